"""Holds on the record: made, merged, capped; released once, for exactly what was approved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction

from audit import leaf
from authz import holding
from authz.decide import decide
from authz.engine.types import Effect
from authz.enums import HoldState
from authz.models import Hold, HoldVote, Release
from governance.kernel import clock
from registry.enums import GroupName
from registry.models import AllowlistEntry
from tests.factories.authz import Desk, make_agent, make_client, make_desk, make_person, observed

pytestmark = pytest.mark.django_db(transaction=True)

GATES = {"amount": {"above": 400, "currency": "EUR"}}


def gated(**more: Any) -> Desk:
    """A desk whose refunds above 4.00 EUR wait for someone in security."""
    return make_desk(tool_fields={"gates": GATES, "effect": "financial"} | more)


def held(desk: Desk, **changed: Any) -> Any:
    (answer,) = decide([desk.ask(**changed)], desk.caller)
    return answer


def released(desk: Desk, hold: Hold, *, until: timedelta = timedelta(hours=1)) -> Release:
    """A release as the service makes it, by someone who was asked."""
    person = make_person(groups=[GroupName.SECURITY])
    return release_by(hold, person, until=until)


def release_by(hold: Hold, person: Any, *, until: timedelta = timedelta(hours=1)) -> Release:
    now = clock.now()
    with transaction.atomic():
        HoldVote.objects.create(hold=hold, digest=hold.digest, person=person, at=now)
        Hold.objects.filter(pk=hold.pk).update(
            state=HoldState.APPROVED, decided_at=now, decided_by=person
        )
        return Release.objects.create(
            hold=hold, agent=hold.agent, digest=hold.digest, made_at=now, until=now + until
        )


def test_a_call_above_the_gate_is_held_on_the_record(
    mark: Callable[[], Any], records_after: Callable[..., Any]
) -> None:
    approver = make_person(groups=[GroupName.SECURITY])
    desk, before = gated(), mark()

    answer = held(desk)

    assert (answer.allowed, answer.decision.effect, answer.decision.code) == (
        False,
        Effect.HOLD,
        "gate.amount",
    )
    (record,) = records_after(before)
    (hold,) = Hold.objects.all()
    assert (record["effect"], record["code"]) == ("hold", "gate.amount")
    assert hold.id == record["id"] == answer.id
    assert leaf.parse_body(bytes(record["body"]))["settled"]["hold"] == answer.settled["hold"]
    assert (hold.asked_of, hold.barred) == ([approver.pid], [desk.owner.pid])
    assert (hold.is_money, hold.is_restricted, hold.approvals) == (True, False, 1)


def test_at_the_gate_passes() -> None:
    desk = gated()

    answer = held(desk, parameters={"claim": "CL-1", "amount": 400})

    assert answer.allowed
    assert not Hold.objects.exists()


def test_the_same_call_has_one_hold_however_often_it_is_asked() -> None:
    desk = gated()

    ids = {held(desk).settled["hold"]["id"] for _ in range(4)}
    reordered = held(desk, parameters={"amount": 500.0, "claim": "CL-1"})

    (hold,) = Hold.objects.all()
    assert ids == {str(hold.id)} == {reordered.settled["hold"]["id"]}
    assert hold.times_asked == 5


def test_other_values_make_another_hold() -> None:
    desk = gated()

    held(desk)
    held(desk, parameters={"claim": "CL-1", "amount": 501})
    held(desk, parameters={"claim": "CL-1", "amount": 500, "note": "x"})
    held(desk, parameters={"claim": "CL-2", "amount": 500})

    assert Hold.objects.count() == 4
    assert len({hold.digest for hold in Hold.objects.all()}) == 4


def test_in_observe_mode_nothing_waits() -> None:
    desk = make_desk(tool_fields={"gates": GATES}, agent_fields=observed())

    answer = held(desk)

    assert answer.allowed
    assert answer.decision.observe is not None
    assert (answer.decision.observe.would, answer.decision.observe.code) == (
        Effect.HOLD,
        "gate.amount",
    )
    assert not Hold.objects.exists()


def test_a_release_lets_the_call_go_on_once(
    mark: Callable[[], Any], records_after: Callable[..., Any]
) -> None:
    approver = make_person(groups=[GroupName.SECURITY])
    desk = gated()
    held(desk)
    release, before = release_by(Hold.objects.get(), approver), mark()

    first = held(desk, approval=str(release.id))
    second = held(desk, approval=str(release.id))

    assert (first.allowed, first.decision.code) == (True, "")
    assert first.settled["release"]["release"] == str(release.id)
    assert first.settled["rate"]["used"]["agent"] == [1, 1]
    release.refresh_from_db()
    assert release.used_by == first.id
    assert (second.allowed, second.decision.effect) == (False, Effect.HOLD)
    assert second.settled["approval"] == {"refused": "used"}
    allowed, again = records_after(before)
    assert (allowed["effect"], allowed["check"], allowed["code"]) == ("allow", "", "")
    assert again["effect"] == "hold"


@pytest.mark.parametrize(
    "changed",
    [
        {"amount": 501},
        {"amount": 500, "note": None},
        {"amount": "500"},
        {"claim": "CL-2"},
    ],
)
def test_a_release_is_for_exactly_what_was_approved(changed: dict[str, Any]) -> None:
    approver = make_person(groups=[GroupName.SECURITY])
    desk = gated(schema={"type": "object"})
    held(desk)
    release = release_by(Hold.objects.get(), approver)

    answer = held(
        desk, parameters={"claim": "CL-1", "amount": 500} | changed, approval=str(release.id)
    )

    assert (answer.allowed, answer.settled["approval"]) == (False, {"refused": "out_of_scope"})
    assert answer.settled["hold"]["id"] != str(release.hold_id)
    release.refresh_from_db()
    assert release.used_by is None


@pytest.mark.parametrize("amount", [500, 500.0])
def test_numbers_that_are_the_same_are_what_was_approved(amount: Any) -> None:
    approver = make_person(groups=[GroupName.SECURITY])
    desk = gated(schema={"type": "object"})
    held(desk)
    release = release_by(Hold.objects.get(), approver)

    answer = held(desk, parameters={"amount": amount, "claim": "CL-1"}, approval=str(release.id))

    assert answer.allowed


def test_a_release_ends_with_its_time_and_its_tool() -> None:
    approver = make_person(groups=[GroupName.SECURITY])
    desk = gated()
    held(desk)
    over = release_by(Hold.objects.get(), approver, until=timedelta(microseconds=1))

    late = held(desk, approval=str(over.id))

    assert (late.allowed, late.settled["approval"]) == (False, {"refused": "expired"})
    again = release_by(Hold.objects.get(state=HoldState.OPEN), approver)
    desk.tool.version += 1
    desk.tool.save()
    changed = held(desk, approval=str(again.id))
    assert (changed.allowed, changed.settled["approval"]) == (False, {"refused": "out_of_scope"})


def test_a_release_of_another_agent_is_none() -> None:
    approver = make_person(groups=[GroupName.SECURITY])
    desk = gated()
    held(desk)
    release = release_by(Hold.objects.get(), approver)
    other = make_agent(desk.owner)
    AllowlistEntry.objects.create(agent=other, tool=desk.tool)
    desk.role.agents.add(other)
    theirs = replace(desk, agent=other, client=make_client(agent=other))

    answer = held(theirs, approval=str(release.id))
    nonsense = held(theirs, approval="unreadable")
    unknown = held(theirs, approval=str(uuid4()))

    assert {each.decision.code for each in (answer, nonsense, unknown)} == {"gate.release_unknown"}
    assert {each.decision.effect for each in (answer, nonsense, unknown)} == {Effect.DENY}
    release.refresh_from_db()
    assert release.used_by is None


def test_what_still_waits_is_no_release() -> None:
    desk = gated()
    first = held(desk)

    answer = held(desk, approval=first.settled["hold"]["id"])

    assert (answer.decision.effect, answer.decision.code) == (Effect.DENY, "gate.release_pending")
    assert Hold.objects.get().times_asked == 1


def test_refusals_still_refuse_and_use_nothing_up() -> None:
    approver = make_person(groups=[GroupName.SECURITY])
    desk = gated()
    held(desk)
    release = release_by(Hold.objects.get(), approver)
    desk.agent.rate_per_minute = 1
    desk.agent.save()
    assert held(desk, parameters={"claim": "CL-1", "amount": 1}).allowed

    by_rate = held(desk, approval=str(release.id))
    desk.role.agents.remove(desk.agent)
    by_role = held(desk, approval=str(release.id))

    assert (by_rate.allowed, by_rate.decision.code) == (False, "rate.minute")
    assert "release" not in by_rate.settled
    assert (by_role.allowed, by_role.decision.code) == (False, "role.none")
    release.refresh_from_db()
    assert release.used_by is None


def test_a_release_that_waits_to_be_used_is_told_instead_of_asking_again() -> None:
    approver = make_person(groups=[GroupName.SECURITY])
    desk = gated()
    held(desk)
    release = release_by(Hold.objects.get(), approver)

    answer = held(desk)

    assert (answer.decision.effect, Hold.objects.count()) == (Effect.HOLD, 1)
    assert answer.settled["hold"]["release"] == str(release.id)


def test_flooding_the_queue_is_itself_a_refusal(settings: Any) -> None:
    settings.MUSTER_OPEN_HOLDS = 3
    desk = gated()
    for amount in (501, 502, 503):
        held(desk, parameters={"claim": "CL-1", "amount": amount})

    one_more = held(desk, parameters={"claim": "CL-1", "amount": 504})
    known = held(desk, parameters={"claim": "CL-1", "amount": 502})

    assert (one_more.decision.effect, one_more.decision.code) == (Effect.DENY, "gate.flooded")
    assert one_more.decision.detail["flooded"] == 3
    assert known.decision.effect is Effect.HOLD
    assert Hold.objects.count() == 3


def test_many_alike_are_fewer_than_many_kinds(settings: Any) -> None:
    settings.MUSTER_OPEN_HOLD_SHAPES = 1
    desk = gated()
    held(desk, parameters={"claim": "CL-1", "amount": 501})

    alike = held(desk, parameters={"claim": "CL-2", "amount": 502})
    other = held(desk, parameters={"claim": "CL-2", "amount": 502, "note": 1})

    assert alike.decision.effect is Effect.HOLD
    assert (other.decision.effect, other.decision.code) == (Effect.DENY, "gate.flooded")


def test_what_is_over_waits_no_more() -> None:
    desk = gated()
    first = held(desk)
    with connection.cursor() as cursor:
        # Nothing else than the clock does this.
        cursor.execute("SET ROLE NONE")
        cursor.execute("ALTER TABLE authz_hold DISABLE TRIGGER guard")
        cursor.execute(
            "UPDATE authz_hold SET made_at = now() - interval '2 days',"
            " expires_at = now() - interval '1 second'"
        )
        cursor.execute("ALTER TABLE authz_hold ENABLE TRIGGER guard")
        cursor.execute("SET ROLE muster_web")

    second = held(desk)

    assert second.settled["hold"] != first.settled["hold"]
    assert Hold.objects.filter(overdue=True).get().id == first.id


def test_secrets_are_part_of_what_is_approved_and_kept_nowhere() -> None:
    approver = make_person(groups=[GroupName.SECURITY])
    desk = gated(secret_parameters=["pin"])
    parameters = {"claim": "CL-1", "amount": 500, "pin": "4711"}
    held(desk, parameters=parameters)
    hold = Hold.objects.get()
    release = release_by(hold, approver)

    other = held(desk, parameters=parameters | {"pin": "4712"}, approval=str(release.id))
    same = held(desk, parameters=parameters, approval=str(release.id))

    assert "4711" not in str(hold.sealed)
    assert (other.allowed, same.allowed) == (False, True)


# What the database refuses, whatever a service says


def _refused_vote(hold: Hold, **voter: Any) -> str:
    with pytest.raises(IntegrityError) as refusal, transaction.atomic():
        HoldVote.objects.create(hold=hold, digest=hold.digest, at=clock.now(), **voter)
    return str(refusal.value).splitlines()[0]


def test_the_database_lets_nobody_approve_for_their_own() -> None:
    security = [GroupName.SECURITY]
    owner, backup, later = (make_person(groups=security) for _ in range(3))
    desk = make_desk(
        tool_fields={"gates": GATES, "effect": "financial"},
        agent_fields={"backup_owner": backup},
    )
    desk.agent.owner = owner
    desk.agent.save()
    held(desk)
    hold = Hold.objects.get()
    desk.agent.owner = later
    desk.agent.save()
    desk.agent.owner = make_person()
    desk.agent.save()
    hold.refresh_from_db()
    newcomer = make_person(groups=security)

    for person in (owner, backup):
        assert "not asked" in _refused_vote(hold, person=person)
    assert "own" in _refused_vote(hold, person=later)
    assert "not asked" in _refused_vote(hold, person=newcomer)
    assert "No agent" in _refused_vote(hold, agent=desk.agent.slug)


def test_the_database_wants_votes_before_an_approval_and_an_approval_before_a_release() -> None:
    approver = make_person(groups=[GroupName.SECURITY])
    desk = gated()
    held(desk)
    hold, now = Hold.objects.get(), clock.now()

    with pytest.raises(IntegrityError), transaction.atomic():
        Hold.objects.filter(pk=hold.pk).update(state=HoldState.APPROVED, decided_at=now)
    with pytest.raises(IntegrityError), transaction.atomic():
        Release.objects.create(
            hold=hold,
            agent=hold.agent,
            digest=hold.digest,
            made_at=now,
            until=now + timedelta(hours=1),
        )
    release = release_by(hold, approver)
    for changed in ({"digest": "0" * 64}, {"until": now + timedelta(days=9)}, {"agent": "other"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Release.objects.filter(pk=release.pk).update(**changed)
    with pytest.raises(IntegrityError), transaction.atomic():
        Hold.objects.filter(pk=hold.pk).update(state=HoldState.REJECTED)


def test_the_digest_names_each_of_its_members() -> None:
    said: dict[str, Any] = {
        "agent": "desk",
        "user": "p_1",
        "tool": "refund",
        "tool_version": 1,
        "parameters": {"a": 1, "b": [1, 2]},
        "resource_type": "claims",
        "resource_id": "CL-1",
    }
    whole = holding.digest_of(**said)

    others = [
        {"agent": "desk2"},
        {"user": "p_2"},
        {"tool": "refund2"},
        {"tool_version": 2},
        {"parameters": {"a": 1, "b": [2, 1]}},
        {"parameters": {"a": 1}},
        {"resource_type": "claim"},
        {"resource_id": "CL-2"},
    ]

    assert holding.digest_of(**said | {"parameters": {"b": [1.0, 2], "a": 1}}) == whole
    assert len({whole, *(holding.digest_of(**said | one) for one in others)}) == 9
