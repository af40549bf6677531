"""Callers without a row: counted, recorded now and then, adopted or blocked."""

import threading
from datetime import timedelta

import pytest
from django.db import connection

from governance.kernel import clock
from governance.kernel.errors import NotAllowed
from registry import services
from registry.enums import AgentState, CallerState
from registry.errors import AlreadyDecided
from registry.models import UnregisteredCaller
from registry.services.callers import MAX_NAMES_PER_SOURCE
from tests.factories.registry import make_person, security

pytestmark = pytest.mark.django_db
NOON = clock.now().replace(hour=12, minute=0)


def note(minutes: int = 0, claimed: str = "bot", source: str = "10.0.0.1", **of) -> bool:
    at = NOON + timedelta(minutes=minutes)
    return services.note_caller(claimed=claimed, source=source, now=at, **of).record_due


def test_a_stranger_is_recorded_once_an_hour() -> None:
    due = [note(0), note(1), note(30, claimed="other"), note(61), note(62)]
    elsewhere = note(2, source="10.0.0.2")

    assert due == [True, False, False, True, False]
    assert elsewhere is True
    caller = UnregisteredCaller.objects.get(claimed="bot", source="10.0.0.1")
    assert (caller.count, caller.last_seen - caller.first_seen) == (4, timedelta(minutes=62))


def test_what_a_gateway_names_is_recorded_each_time() -> None:
    gateway = services.save_gateway(slug="edge", by=security()).row

    due = [note(minute, gateway=gateway) for minute in range(3)]

    assert due == [True, True, True]
    caller = UnregisteredCaller.objects.get()
    assert (caller.source, caller.gateway, caller.count) == ("gateway:edge", gateway, 3)


def test_a_stranger_with_many_names_fills_no_table() -> None:
    for number in range(MAX_NAMES_PER_SOURCE + 10):
        note(claimed=f"bot-{number}")

    assert UnregisteredCaller.objects.count() == MAX_NAMES_PER_SOURCE + 1
    assert UnregisteredCaller.objects.get(claimed="").count == 10


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800", "x" * 500, "\n\u202e<b>", "ünïcode"])
def test_any_name_is_counted(name: str) -> None:
    assert note(claimed=name) is True
    assert UnregisteredCaller.objects.get().count == 1


@pytest.mark.django_db(transaction=True)
def test_no_call_is_lost_when_many_come_at_once() -> None:
    due, barrier = [], threading.Barrier(8)

    def call() -> None:
        barrier.wait()
        try:
            due.extend(note(0) for _ in range(5))
        finally:
            connection.close()

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert UnregisteredCaller.objects.get().count == 40
    assert sorted(due) == [False] * 39 + [True]


def test_adopting_makes_a_draft(mark, records_after) -> None:
    note()
    caller, by, owner = UnregisteredCaller.objects.get(), security(), make_person()
    marked = mark()

    agent = services.adopt_caller(caller_id=caller.pk, slug="bot", owner=owner, by=by)

    caller.refresh_from_db()
    assert (agent.state, agent.owner) == (AgentState.DRAFT, owner)
    assert (caller.state, caller.adopted_as, caller.decided_by) == ("adopted", agent, by)
    assert [r["agent"] for r in records_after(marked)] == ["bot", "bot"]
    with pytest.raises(AlreadyDecided):
        services.block_caller(caller_id=caller.pk, by=by)


def test_only_operators_block() -> None:
    note()
    caller = UnregisteredCaller.objects.get()
    with pytest.raises(NotAllowed):
        services.block_caller(caller_id=caller.pk, by=make_person())

    assert services.block_caller(caller_id=caller.pk, by=security()).state == CallerState.BLOCKED
