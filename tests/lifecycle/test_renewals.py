"""Renewals: who is asked when, what an answer does, and what happens where nobody answers."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connections, transaction

from audit.models import Record
from audit.selectors import parse_body
from governance.kernel import clock
from governance.kernel.errors import Conflict, GovernanceError, Invalid, NotAllowed
from lifecycle.cases import sweep as cases
from lifecycle.models import Attestation, Notice
from lifecycle.models.cases import Case, CaseState
from lifecycle.renewals import selectors, services, sweep
from lifecycle.renewals.errors import ExtendedAlready, NotAsked, SeenOtherwise, WidensNothing
from registry import changes
from registry import services as register
from registry.enums import AgentState
from registry.models import Agent, AllowlistEntry, Person
from registry.rules import months_after
from tests.factories.registry import (
    make_agent,
    make_draft,
    make_person,
    make_tool,
    security,
)
from tests.lifecycle.moved import Moved, moved_clock

pytestmark = pytest.mark.django_db
S = AgentState
ANSWERED = "answered"


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Moved:
    return moved_clock(monkeypatch, datetime.now(UTC).replace(hour=12))


def due_in(days: int, **of: Any) -> Agent:
    """A live agent that is to be renewed in so many days."""
    agent = make_agent(**of)
    day = clock.now().date() + timedelta(days=days)
    return register.renew_agent(agent_id=agent.pk, by=sweep.ACTOR, due=day, because="For a test.")


def swept(now: datetime | None = None) -> int:
    """The sweep of renewals, and then that of cases, at an instant."""
    at = now or clock.now()
    done = sum(one(sweep.ask, key, at) for key in sweep.due(at))
    return done + sum(one(cases.handle, key, at) for key in cases.due(at))


@transaction.atomic
def one(handle: Callable[[Any, datetime], bool], key: int, at: datetime) -> bool:
    return handle(key, at)


def seen(agent: Agent) -> str:
    return selectors.seen_now(Agent.objects.get(pk=agent.pk))


def renew(agent: Agent, by: Person | None = None, **more: Any) -> Attestation:
    given = {"seen": seen(agent)} | more
    return services.renew(agent_id=agent.pk, by=by or agent.owner, **given)


def state(agent: Agent) -> str:
    return Agent.objects.get(pk=agent.pk).state


def told(agent: Agent) -> list[tuple[str, str]]:
    """Who was told what of it, in order."""
    rows = Notice.objects.filter(code__startswith="renewal.").order_by("made_at")
    return [(each.code, each.person.pid) for each in rows if agent.slug in each.subject]


def day_of(agent: Agent) -> date:
    agent.refresh_from_db()
    assert agent.renewal_due is not None
    return agent.renewal_due


def refused(act: Callable[[], object], error: type[GovernanceError]) -> str:
    with pytest.raises(error) as caught:
        act()
    return caught.value.message


def test_notices_30_14_7_and_1_days_before_each_once_and_the_last_to_the_manager() -> None:
    manager = make_person()
    owner, backup = make_person(manager=manager), make_person()
    agent = due_in(40, owner=owner, backup_owner=backup)
    # An hour later it is the same day.
    start = clock.now().replace(hour=9)
    heard = {}
    for day in range(40):
        before = len(told(agent))
        swept(start + timedelta(days=day))
        swept(start + timedelta(days=day, hours=1))
        if new := told(agent)[before:]:
            heard[40 - day] = sorted(pid for _, pid in new)

    both = sorted([owner.pid, backup.pid])
    assert heard == {30: both, 14: both, 7: both, 1: sorted([*both, manager.pid])}


def test_unanswered_it_ends_after_ten_business_days_and_each_day_is_told(
    settings: Any, time: Moved
) -> None:
    settings.MUSTER_CALENDAR = ""
    time.move_to(datetime(2026, 12, 11, 9, tzinfo=UTC))
    agent = due_in(0)
    swept()
    case = Case.objects.get(agent=agent)
    while state(agent) == S.ACTIVE:
        time.shift(timedelta(hours=8))
        swept()

    assert (case.due_on, case.due_at) == (
        date(2026, 12, 25),
        datetime(2026, 12, 25, 17, tzinfo=UTC),
    )
    assert state(agent) == S.DECOMMISSIONING
    case.refresh_from_db()
    assert (case.state, case.outcome) == (CaseState.ENDED, "decommissioned")
    whats = set(case.events.values_list("what", flat=True))
    assert whats == {"opened", *(f"day:{day}" for day in range(11)), "ended"}
    assert "2026-12-25 17:00" in Agent.objects.get(pk=agent.pk).state_reason


def test_an_answer_sets_the_next_day_and_closes_the_case() -> None:
    agent = due_in(3)
    swept()
    before = agent.renewal_due

    found = renew(agent, reason="The desk needs it.")

    agent.refresh_from_db()
    assert (found.due_on, found.next_due, found.answer) == (before, agent.renewal_due, "renewed")
    assert agent.renewal_due is not None
    assert before is not None
    assert agent.renewal_due > before + timedelta(days=500)
    case = Case.objects.get(agent=agent)
    assert (case.state, case.outcome, case.closed_by) == (ANSWERED, "renewed", agent.owner)
    swept()
    assert Case.objects.filter(agent=agent).count() == 1


def test_what_was_not_used_is_ticked_and_taken_away_with_what_is_not_required() -> None:
    agent = make_draft(tool=make_tool(name="desk.read"))
    register.set_allowlist_entry(
        agent_id=agent.pk, tool=make_tool(name="desk.write"), by=agent.owner
    )
    register.add_credential_reference(
        agent_id=agent.pk, reference="vault://kv/desk-key", by=agent.owner
    )
    register.attest_agent(agent_id=agent.pk, by=agent.owner)
    old = clock.now() - timedelta(days=120)
    AllowlistEntry.history.filter(agent_id=agent.pk).update(history_date=old)
    register.renew_agent(
        agent_id=agent.pk, by=sweep.ACTOR, due=clock.now().date(), because="For a test."
    )
    agent.refresh_from_db()

    asked = selectors.asked_about(agent, clock.now())
    assert (asked.said, asked.ticked) == ("Used 0 of 2. Drop 2?", ["desk.read", "desk.write"])
    assert [each.drop for each in asked.credentials] == [False]

    found = renew(agent, drop=["desk.write"], revoke=["vault://kv/desk-key"])

    assert list(agent.allowlist.values_list("tool__name", flat=True)) == ["desk.read"]
    assert agent.credentials.get().state == "revoked"
    assert (found.dropped, found.kept_unused, found.revoked) == (
        ["desk.write"],
        ["desk.read"],
        ["vault://kv/desk-key"],
    )


def test_taking_away_what_was_restricted_gives_the_longer_time() -> None:
    agent = make_agent(tier="restricted")
    agent = register.renew_agent(
        agent_id=agent.pk, by=sweep.ACTOR, due=clock.now().date(), because="For a test."
    )
    kept = agent.allowlist.values_list("tool__name", flat=True)

    found = renew(agent, drop=list(kept))

    assert (found.tier, found.next_due) == (
        "public",
        months_after(clock.now().date(), 18),
    )


def test_nothing_widens_and_nothing_is_answered_that_was_read_otherwise() -> None:
    agent = due_in(3)
    stale = seen(agent)
    refused(lambda: renew(agent, drop=["other.tool"]), WidensNothing)
    register.set_allowlist_entry(agent_id=agent.pk, tool=make_tool(), by=agent.owner)

    refused(lambda: renew(agent, seen=stale), SeenOtherwise)

    assert not Attestation.objects.filter(agent=agent).exists()


def test_only_whoever_answers_for_it_and_only_when_it_is_asked_about() -> None:
    backup = make_person()
    agent = due_in(31, backup_owner=backup)
    refused(lambda: renew(agent), NotAsked)
    near = due_in(30, backup_owner=backup)

    refused(lambda: renew(near, by=security()), NotAllowed)
    refused(lambda: renew(near, by=make_person()), NotAllowed)
    refused(
        lambda: services.end(agent_id=near.pk, by=backup, seen=seen(near), reason="No."),
        NotAllowed,
    )
    assert renew(near, by=backup).by == backup


def test_not_needed_any_more_ends_it_at_once() -> None:
    agent = due_in(3)
    swept()

    services.end(agent_id=agent.pk, by=agent.owner, seen=seen(agent), reason="The desk is gone.")

    assert state(agent) == S.DECOMMISSIONING
    case = Case.objects.get(agent=agent)
    assert (case.state, case.outcome) == (ANSWERED, "not_needed")
    found = Attestation.objects.get(agent=agent)
    assert (found.answer, found.next_due) == ("ended", None)


def test_more_time_takes_a_reason_and_security_is_bounded_and_given_once(time: Moved) -> None:
    agent = due_in(3)
    swept()
    due = day_of(agent)

    def ask(days: int, reason: str = "She is away.") -> Any:
        until = day_of(agent) + timedelta(days=days)
        return services.ask_for_extension(
            agent_id=agent.pk, by=agent.owner, until=until, reason=reason
        )

    refused(lambda: ask(20, " "), Invalid)
    refused(lambda: ask(31), Invalid)
    refused(lambda: ask(0), Invalid)
    change = ask(30)
    refused(lambda: changes.agree(change_id=change.pk, by=agent.owner), NotAllowed)
    assert day_of(agent) == due
    changes.agree(change_id=change.pk, by=security())

    assert day_of(agent) == due + timedelta(days=30)
    assert Case.objects.get(agent=agent).outcome == "extended"
    time.shift(timedelta(days=20))
    refused(lambda: ask(5), ExtendedAlready)


def test_a_case_of_another_day_is_dropped() -> None:
    agent = due_in(3)
    swept()
    later = clock.now().date() + timedelta(days=300)
    register.renew_agent(agent_id=agent.pk, by=sweep.ACTOR, due=later, because="For a test.")

    swept()

    assert Case.objects.get(agent=agent).state == CaseState.DROPPED


def test_where_nobody_could_be_told_the_days_count_from_the_telling() -> None:
    agent = due_in(-60)

    swept()

    case = Case.objects.get(agent=agent)
    assert case.counts_from == clock.now().date()
    assert case.about == {"renewal_due": str(agent.renewal_due)}
    assert state(agent) == S.ACTIVE


@pytest.mark.parametrize("times", [0, 1, 2, 5])
def test_run_so_often_and_after_three_days_it_comes_to_the_same(times: int) -> None:
    agent = due_in(30)
    at = clock.now()
    for _ in range(times):
        swept(at)
    swept(at + timedelta(days=3))

    case = Case.objects.get(agent=agent)
    assert case.counts_from == agent.renewal_due
    assert sorted(case.events.values_list("what", flat=True)) == ["day:-30", "opened"]
    assert len(told(agent)) == 1


def test_the_record_tells_what_was_answered() -> None:
    agent = due_in(3)

    found = renew(agent)

    asked = [parse_body(row)["asked"] for row in Record.objects.filter(agent=agent.slug)]
    told = [each for each in asked if each["did"] == "renewal_attested"]
    assert [(each["due_on"], each["used"], each["held"], each["dropped"]) for each in told] == [
        (found.due_on.isoformat(), 0, 1, [])
    ]


# At once


@pytest.fixture
def at_once() -> Callable[..., list[str]]:
    """Run several things at the same moment, each on a connection of its own."""

    def run(*acts: Callable[[], object]) -> list[str]:
        barrier = Barrier(len(acts))

        def one(act: Callable[[], object]) -> str:
            try:
                barrier.wait(timeout=20)
                act()
            except Conflict as error:
                return error.code
            finally:
                connections.close_all()
            return "done"

        with ThreadPoolExecutor(len(acts)) as pool:
            return sorted(pool.map(one, acts))

    return run


@pytest.mark.django_db(transaction=True)
def test_of_two_answers_at_once_one_counts(at_once: Callable[..., list[str]]) -> None:
    agent = due_in(3, backup_owner=make_person())
    swept()
    read = seen(agent)
    backup = agent.backup_owner

    found = at_once(lambda: renew(agent, seen=read), lambda: renew(agent, by=backup, seen=read))

    assert found == ["done", "not_asked"]
    assert Attestation.objects.filter(agent=agent).count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_answer_beside_the_due_moment_is_one_transition(
    at_once: Callable[..., list[str]],
) -> None:
    agent = due_in(0)
    swept()
    late = Case.objects.get(agent=agent).due_at + timedelta(seconds=1)
    pk, read = Case.objects.get(agent=agent).pk, seen(agent)

    found = at_once(lambda: renew(agent, seen=read), lambda: one(cases.handle, pk, late))

    case = Case.objects.get(pk=pk)
    agent.refresh_from_db()
    ended = agent.state == S.DECOMMISSIONING
    assert (case.state, found) == (
        (CaseState.ENDED, ["done", "not_asked"])
        if ended
        else (CaseState.ANSWERED, ["done", "done"])
    )
    assert Attestation.objects.filter(agent=agent).exists() != ended
