"""What is due: from every part, for who sees it, in order, in a fixed number of queries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from authz.decide import decide
from governance.kernel import clock
from lifecycle.due import selectors
from lifecycle.due.selectors import Wanted
from lifecycle.idle import services as idle
from lifecycle.models import EndOrder
from lifecycle.renewals import sweep as renewals
from registry.enums import GroupName
from registry.models import Agent
from tests.factories.authz import Desk, make_desk, observed
from tests.factories.registry import make_person

pytestmark = pytest.mark.django_db

GATE = {"gates": {"amount": {"above": 1, "currency": "EUR"}}, "effect": "financial"}
QUERIES = 21


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


def dated(days: int, **fields: Any) -> Desk:
    """An agent that is to be renewed so many days from now."""
    desk = make_desk(agent_fields=fields)
    day = clock.now().date() + timedelta(days=days)
    Agent.objects.filter(pk=desk.agent.pk).update(renewal_due=day)
    return desk


def what(person: Any, **wanted: Any) -> list[tuple[str, str, bool]]:
    rows = selectors.due_for(person, Wanted(**wanted), clock.now())
    return [(row.due.kind, row.due.agent, row.late) for row in rows]


def test_what_is_overdue_comes_first_and_what_is_far_away_not_at_all() -> None:
    far, near, late = dated(60), dated(5), dated(-3)
    person = make_person(GroupName.AUDITOR)

    found = what(person)

    assert found == [
        ("renewal", late.agent.slug, True),
        ("renewal", near.agent.slug, False),
    ]
    assert what(person, within=90)[-1] == ("renewal", far.agent.slug, False)


def test_every_part_tells_its_own() -> None:
    desk = make_desk(tool_fields=GATE)
    decide([desk.ask()], desk.caller)
    soon = f"{clock.now() + timedelta(days=1):%Y-%m-%dT%H:%MZ}"
    watched = make_desk(agent_fields=observed(soon))
    quiet, ago = make_desk(), clock.now() - timedelta(days=100)
    Agent.objects.filter(pk=quiet.agent.pk).update(state_changed_at=ago, activated_at=ago)
    idle.flag_idle(agent_id=quiet.agent.pk, now=clock.now())
    person = make_person(GroupName.AUDITOR)

    found = {(kind, agent) for kind, agent, _ in what(person)}

    assert found == {
        ("hold", desk.agent.slug),
        ("observing", watched.agent.slug),
        ("case", quiet.agent.slug),
    }


def test_each_date_is_said_once_and_says_what_follows() -> None:
    """A renewal that is over is its case; before that it is its day."""
    over, ahead = dated(-2), dated(9)
    for desk in (over, ahead):
        renewals.ask(desk.agent.pk, clock.now())
    EndOrder.objects.create(
        agent=ahead.agent,
        by=ahead.owner,
        reason="Replaced.",
        at=clock.now(),
        begins_at=clock.now() + timedelta(days=1),
        begins_on=clock.now().date(),
    )
    person = make_person(GroupName.AUDITOR)

    rows = selectors.due_for(person, Wanted(), clock.now())

    assert sorted((row.due.agent, row.due.kind) for row in rows) == sorted(
        [
            (over.agent.slug, "case"),
            (ahead.agent.slug, "renewal"),
            (ahead.agent.slug, "end"),
        ]
    )
    assert [row.due.agent for row in rows if not row.due.then] == []


def test_what_waits_in_the_inbox_is_not_said_twice_at_home() -> None:
    desk, now = dated(-2), clock.now()
    renewals.ask(desk.agent.pk, now)

    said = [row.due.kind for row in selectors.soon_for(desk.owner, now)]
    not_again = selectors.soon_for(desk.owner, now, waiting={desk.agent.slug})

    assert said == ["case"]
    assert not_again == []


def test_a_person_sees_what_is_due_of_agents_that_they_see() -> None:
    mine, other = dated(1), dated(1)

    assert what(mine.owner) == [("renewal", mine.agent.slug, False)]
    assert what(other.owner, owner=other.owner.name) == [("renewal", other.agent.slug, False)]


def test_it_is_narrowed_and_sorted() -> None:
    one, two = dated(1), dated(2)
    person = make_person(GroupName.AUDITOR)

    assert what(person, owner=one.owner.email) == [("renewal", one.agent.slug, False)]
    assert what(person, agent=two.agent.slug) == [("renewal", two.agent.slug, False)]
    assert what(person, kind="hold") == []
    assert what(person, tier="restricted") == []
    assert len(what(person, tier="internal")) == 2
    assert [agent for _, agent, _ in what(person, sort="-at")] == [two.agent.slug, one.agent.slug]


@pytest.mark.parametrize("many", [1, 4])
def test_it_asks_the_same_queries_for_any_number(many: int, django_assert_num_queries: Any) -> None:
    for _ in range(many):
        dated(1)
    person = make_person(GroupName.AUDITOR)

    with django_assert_num_queries(QUERIES):
        rows = selectors.due_for(person, Wanted(), clock.now())
        selectors.with_tiers(rows)

    assert len(rows) == many


def test_the_page_the_weeks_and_rest(client: Client) -> None:
    desk = dated(0)
    client.force_login(desk.owner)

    page = client.get("/due/")
    home = client.get("/").content.decode()
    rest = client.get("/api/v1/due").json()

    days = [day for week in page.context["weeks"] for day in week]
    assert [day.many for day in days if day.is_today] == [1]
    assert len(days) == 35
    assert f"{desk.agent.slug}: its renewal" in home
    assert [(each["kind"], each["agent"]) for each in rest["results"]] == [
        ("renewal", desk.agent.slug)
    ]
