"""When agents last asked, and which tools they used: from the hours that are counted, and after."""

from __future__ import annotations

from datetime import timedelta

import pytest

from authz.decide import decide
from governance.kernel import clock
from lifecycle.anomalies import counting
from lifecycle.anomalies.rules import HOUR
from lifecycle.idle import uses
from lifecycle.idle.selectors import last_decisions, used_tools
from lifecycle.models import Counted, ToolUse
from tests.factories.authz import Desk, make_desk

pytestmark = pytest.mark.django_db

DENIED = {"parameters": {"claim": "CL-1", "amount": -1}}


@pytest.fixture
def desk() -> Desk:
    return make_desk()


def test_an_agent_that_never_asked_has_no_last_decision(desk: Desk) -> None:
    assert last_decisions([desk.agent.slug, "nobody"]) == {}


def test_last_decision_is_the_newest_whatever_it_was(desk: Desk) -> None:
    before = clock.now()
    decide([desk.ask(), desk.ask(**DENIED)], desk.caller)

    found = last_decisions([desk.agent.slug, "nobody"])

    assert list(found) == [desk.agent.slug]
    assert found[desk.agent.slug] >= before - timedelta(seconds=1)


def test_what_is_not_counted_yet_is_read_from_the_record(desk: Desk) -> None:
    decide([desk.ask()], desk.caller)

    assert used_tools(desk.agent.slug, clock.now() - HOUR) == {desk.tool.name}


def test_what_was_denied_was_not_used(desk: Desk) -> None:
    decide([desk.ask(**DENIED)], desk.caller)

    assert used_tools(desk.agent.slug, clock.now() - HOUR) == set()


def test_counting_an_hour_keeps_what_was_used_in_it(desk: Desk) -> None:
    hour = counting.hour_of(clock.now())
    Counted.objects.create(pk=1, until=hour)
    decide([desk.ask(), desk.ask(tool="guess.call")], desk.caller)

    assert counting.claim(hour, hour + HOUR + counting.SETTLED)
    counting.count(hour)

    kept = ToolUse.objects.values_list("agent", "tool", "last_hour")
    assert list(kept) == [(desk.agent.slug, desk.tool.name, hour)]
    assert Counted.objects.get().uses_from == hour


def test_counted_hours_are_read_from_their_count_alone(desk: Desk) -> None:
    now = clock.now()
    decide([desk.ask()], desk.caller)
    long_ago, tomorrow = now - timedelta(days=400), now + timedelta(days=1)
    Counted.objects.create(pk=1, until=tomorrow, uses_from=long_ago)
    ToolUse.objects.create(agent=desk.agent.slug, tool="old.call", last_hour=now - HOUR * 50)

    assert used_tools(desk.agent.slug, now - HOUR * 60) == {"old.call"}
    assert used_tools(desk.agent.slug, now - HOUR * 40) == set()


def test_what_is_older_than_all_counting_is_read_from_the_record(desk: Desk) -> None:
    now = clock.now()
    decide([desk.ask()], desk.caller)
    tomorrow = now + timedelta(days=1)
    Counted.objects.create(pk=1, until=tomorrow, uses_from=tomorrow)

    assert used_tools(desk.agent.slug, now - HOUR) == {desk.tool.name}


def test_an_hour_that_was_counted_late_moves_nothing_back(desk: Desk) -> None:
    hour = counting.hour_of(clock.now())
    uses.keep(hour, {(desk.agent.slug, "a.call")})
    uses.keep(hour - HOUR, {(desk.agent.slug, "a.call")})

    assert ToolUse.objects.get().last_hour == hour
