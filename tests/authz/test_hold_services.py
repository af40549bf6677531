"""What people do with holds: who may, what follows, and that it happens once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, connections

from audit import leaf
from audit import selectors as trail
from authz import held as held_holds
from authz.decide import decide
from authz.enums import HoldState
from authz.errors import (
    AlreadyApproved,
    BadEdit,
    HoldDecided,
    HoldUnreadable,
    SecondFactorNeeded,
    UnknownHold,
)
from authz.models import Hold, HoldEdit, HoldVote, KnownDomain, Release
from authz.services import holds
from governance.kernel import clock
from governance.kernel.errors import GovernanceError, Invalid, NotAllowed
from registry.enums import AgentState, Employment, GroupName
from registry.models import Person
from tests.factories.authz import (
    Desk,
    age,
    caller_of,
    make_agent,
    make_client,
    make_desk,
    make_person,
)

pytestmark = pytest.mark.django_db(transaction=True)

SECURITY = [GroupName.SECURITY]
GATES = {"amount": {"above": 400, "currency": "EUR"}}


@pytest.fixture(autouse=True)
def _without_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


def gated(gates: dict[str, Any] = GATES, **fields: Any) -> Desk:
    return make_desk(tool_fields={"gates": gates, "effect": "financial"} | fields)


def hold_of(desk: Desk, **changed: Any) -> Hold:
    (answer,) = decide([desk.ask(**changed)], desk.caller)
    return Hold.objects.get(pk=answer.settled["hold"]["id"])


def again(desk: Desk, release: Release, **changed: Any) -> bool:
    (answer,) = decide([desk.ask(approval=str(release.pk), **changed)], desk.caller)
    return answer.allowed


def said(record: Any) -> Any:
    return leaf.parse_body(bytes(record["body"]))["asked"]


# Approving


def test_an_approval_releases_the_action_once_and_is_recorded_once(
    mark: Callable[[], Any], records_after: Callable[..., Any]
) -> None:
    approver, desk = make_person(groups=SECURITY), gated()
    hold, before = hold_of(desk), mark()

    moved = holds.approve_hold(hold_id=hold.pk, by=approver)

    assert (moved.state, moved.decided_by) == (HoldState.APPROVED, approver)
    (record,) = records_after(before, kind="hold")
    assert said(record)["did"] == "hold_approved"
    assert (record["parent"], record["actor"], record["code"]) == (
        hold.pk,
        approver.pid,
        "hold.approved",
    )
    (reading,) = records_after(before, kind="payload_read")
    assert (reading["actor"], reading["parent"]) == (approver.pid, hold.pk)
    assert again(desk, moved.release)
    assert not again(desk, moved.release)


def test_who_may_not_approve() -> None:
    owner_and_security = make_person(groups=SECURITY)
    backup, early = make_person(groups=SECURITY), make_person(groups=SECURITY)
    owner_of_another = make_person(groups=SECURITY)
    desk = gated()
    desk.agent.owner, desk.agent.backup_owner = owner_and_security, backup
    desk.agent.save()
    make_agent(owner_of_another)
    hold = hold_of(desk)
    later = make_person(groups=SECURITY)
    nobody = make_person()
    operator = make_person(groups=[GroupName.PLATFORM_ADMIN])
    left = make_person(groups=SECURITY, employment=Employment.LEFT, last_day="2026-01-01")

    for person in (owner_and_security, backup, later, nobody, operator, left):
        with pytest.raises(NotAllowed):
            holds.approve_hold(hold_id=hold.pk, by=person)
    early.groups.clear()
    with pytest.raises(NotAllowed):
        holds.approve_hold(hold_id=hold.pk, by=Person.objects.get(pk=early.pk))

    assert not HoldVote.objects.exists()
    holds.approve_hold(hold_id=hold.pk, by=owner_of_another)


def test_who_joined_later_may_decide_what_is_asked_later() -> None:
    make_person(groups=SECURITY)
    desk = gated()
    first = hold_of(desk)
    later = make_person(groups=SECURITY)
    second = hold_of(desk, parameters={"claim": "CL-2", "amount": 500})

    with pytest.raises(NotAllowed):
        holds.approve_hold(hold_id=first.pk, by=later)

    holds.approve_hold(hold_id=second.pk, by=later)


def test_the_owner_of_the_system_may_approve_where_the_gate_says_so() -> None:
    source = make_person(groups=[GroupName.SOURCE_OWNER])
    elsewhere = make_person(groups=[GroupName.SOURCE_OWNER])
    desk = gated()
    desk.system.owner = source
    desk.system.save()
    hold = hold_of(desk)

    with pytest.raises(NotAllowed):
        holds.approve_hold(hold_id=hold.pk, by=elsewhere)
    assert holds.approve_hold(hold_id=hold.pk, by=source).state == HoldState.APPROVED


def test_who_became_owner_and_gave_it_away_again_may_not_approve() -> None:
    passing, desk = make_person(groups=SECURITY), gated()
    hold = hold_of(desk)
    for owner in (passing, make_person()):
        desk.agent.owner = owner
        desk.agent.save()

    with pytest.raises(NotAllowed):
        holds.approve_hold(hold_id=hold.pk, by=passing)


def test_money_takes_a_fresh_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = True
    approver, desk = make_person(groups=SECURITY), gated()
    hold, now = hold_of(desk), clock.now()

    for at in (None, now - timedelta(minutes=16)):
        with pytest.raises(SecondFactorNeeded):
            holds.approve_hold(hold_id=hold.pk, by=approver, second_factor_at=at)

    fresh = now - timedelta(minutes=14)
    moved = holds.approve_hold(hold_id=hold.pk, by=approver, second_factor_at=fresh)
    assert moved.state == HoldState.APPROVED


def test_two_approvals_take_two_people() -> None:
    first, second = make_person(groups=SECURITY), make_person(groups=SECURITY)
    desk = gated(GATES | {"approvals": 2})
    hold = hold_of(desk)

    assert holds.approve_hold(hold_id=hold.pk, by=first).state == HoldState.OPEN
    with pytest.raises(AlreadyApproved):
        holds.approve_hold(hold_id=hold.pk, by=first)
    moved = holds.approve_hold(hold_id=hold.pk, by=second)

    assert moved.state == HoldState.APPROVED
    assert again(desk, moved.release)


def test_what_was_altered_behind_muster_is_approved_by_nobody() -> None:
    approver, desk = make_person(groups=SECURITY), gated()
    other = hold_of(desk, parameters={"claim": "CL-9", "amount": 499})
    hold = hold_of(desk)
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE NONE")
        cursor.execute("ALTER TABLE authz_hold DISABLE TRIGGER guard")
        cursor.execute("UPDATE authz_hold SET overdue = true WHERE id = %s", [other.pk])
        cursor.execute("UPDATE authz_hold SET digest = %s WHERE id = %s", [other.digest, hold.pk])
        cursor.execute("ALTER TABLE authz_hold ENABLE TRIGGER guard")
        cursor.execute("SET ROLE muster_web")

    with pytest.raises(HoldUnreadable):
        holds.approve_hold(hold_id=hold.pk, by=approver)

    assert Hold.objects.get(pk=hold.pk).state == HoldState.OPEN


# Editing


def test_an_edit_releases_the_edited_action_and_no_other(
    mark: Callable[[], Any], records_after: Callable[..., Any]
) -> None:
    approver, desk = make_person(groups=SECURITY), gated()
    hold, before = hold_of(desk), mark()
    edited = {"claim": "CL-1", "amount": 450}

    moved = holds.edit_hold(hold_id=hold.pk, by=approver, parameters=edited)

    assert moved.state == HoldState.APPROVED
    assert not again(desk, moved.release)
    assert again(desk, moved.release, parameters=edited)
    assert not again(desk, moved.release, parameters=edited)
    edit, approved = records_after(before, kind="hold")[:2]
    assert (said(edit)["did"], said(edit)["changed"]) == ("hold_edited", ["amount"])
    assert said(approved)["edited"] is True
    kept = trail.get_record(edit["id"], scope=trail.AuditScope(everything=True))
    (opened,) = held_holds.open_entries([kept], fields=("differences",), by="test", reason="test")
    assert opened.payload["differences"] == [{"name": "amount", "before": 500, "after": 450}]


def test_an_edit_below_the_gate_uses_its_release_up_all_the_same() -> None:
    approver, desk = make_person(groups=SECURITY), gated()
    hold = hold_of(desk)
    edited = {"claim": "CL-1", "amount": 300}

    moved = holds.edit_hold(hold_id=hold.pk, by=approver, parameters=edited)

    assert again(desk, moved.release, parameters=edited)
    moved.release.refresh_from_db()
    assert moved.release.used_by is not None


@pytest.mark.parametrize(
    "parameters",
    [
        {"claim": "CL-1", "amount": -5},
        {"amount": 450},
        {"claim": "CL-1", "amount": 450, "more": 1},
        {"claim": "CL-1", "amount": "450"},
        {"claim": "CL-1", "note": "AKIAIOSFODNN7EXAMPLE"},
    ],
)
def test_an_edit_must_be_what_the_agent_could_have_sent(parameters: dict[str, Any]) -> None:
    approver, desk = make_person(groups=SECURITY), gated()
    hold = hold_of(desk)

    with pytest.raises(GovernanceError) as refusal:
        holds.edit_hold(hold_id=hold.pk, by=approver, parameters=parameters)

    assert isinstance(refusal.value, BadEdit | Invalid)
    assert not HoldEdit.objects.exists()
    assert Hold.objects.get().state == HoldState.OPEN


def test_votes_for_what_was_asked_do_not_count_for_what_it_was_made() -> None:
    first, second, third = (make_person(groups=SECURITY) for _ in range(3))
    desk = gated(GATES | {"approvals": 2})
    hold = hold_of(desk)
    holds.approve_hold(hold_id=hold.pk, by=first)

    edited = holds.edit_hold(
        hold_id=hold.pk, by=second, parameters={"claim": "CL-1", "amount": 450}
    )
    assert edited.state == HoldState.OPEN
    (edit,) = edited.edits.all()
    moved = holds.approve_hold(hold_id=hold.pk, by=third, seen=edit.digest)

    assert (moved.state, moved.release.digest) == (HoldState.APPROVED, edit.digest)


def test_a_call_with_secrets_is_approved_as_it_is_or_not_at_all() -> None:
    approver = make_person(groups=SECURITY)
    desk = gated(secret_parameters=["pin"])
    hold = hold_of(desk, parameters={"claim": "CL-1", "amount": 500, "pin": "4711"})

    with pytest.raises(BadEdit):
        holds.edit_hold(hold_id=hold.pk, by=approver, parameters={"claim": "CL-1", "amount": 1})
    held = held_holds.open_hold(hold, by=approver.pid, reason="test")

    assert (dict(held.parameters), held.secrets) == ({"claim": "CL-1", "amount": 500}, ("pin",))
    assert holds.approve_hold(hold_id=hold.pk, by=approver).state == HoldState.APPROVED


# Rejecting, cancelling, expiring


def test_a_rejection_has_a_reason_and_one_person() -> None:
    approver, desk = make_person(groups=SECURITY), gated()
    hold = hold_of(desk)

    for reason in ("", " ", "x" * 501, "a\0b"):
        with pytest.raises(Invalid):
            holds.reject_hold(hold_id=hold.pk, by=approver, reason=reason)
    with pytest.raises(NotAllowed):
        holds.reject_hold(hold_id=hold.pk, by=make_person(), reason="no")
    moved = holds.reject_hold(hold_id=hold.pk, by=desk.owner, reason="Not this customer.")

    assert (moved.state, moved.reason) == (HoldState.REJECTED, "Not this customer.")
    with pytest.raises(HoldDecided):
        holds.approve_hold(hold_id=hold.pk, by=approver)


def test_a_hold_expires_by_the_databases_time_and_not_before() -> None:
    desk = gated()
    hold = hold_of(desk)

    early = holds.expire_hold(hold_id=hold.pk)
    age(hold)
    over = holds.expire_hold(hold_id=hold.pk)

    assert (early, over) == (False, True)
    assert Hold.objects.get().state == HoldState.EXPIRED
    with pytest.raises(HoldDecided):
        holds.expire_hold(hold_id=hold.pk)


def test_what_is_over_is_not_approved_even_before_the_sweep_comes() -> None:
    approver, desk = make_person(groups=SECURITY), gated()
    hold = hold_of(desk)
    age(hold)

    with pytest.raises(HoldDecided):
        holds.approve_hold(hold_id=hold.pk, by=approver)

    assert Hold.objects.get().state == HoldState.OPEN
    assert not Release.objects.exists()


def test_an_unknown_hold_is_none() -> None:
    person = make_person(groups=SECURITY)

    with pytest.raises(UnknownHold):
        holds.approve_hold(hold_id=UUID(int=1), by=person)
    with pytest.raises(UnknownHold):
        holds.reject_hold(hold_id=UUID(int=1), by=person, reason="no")


# Several at once


def test_alike_holds_are_decided_as_one_whole_or_in_part(
    mark: Callable[[], Any], records_after: Callable[..., Any]
) -> None:
    approver, desk = make_person(groups=SECURITY), gated()
    alike = [hold_of(desk, parameters={"claim": f"CL-{n}", "amount": 500}) for n in range(5)]
    assert len({hold.shape for hold in alike}) == 1
    before = mark()

    released = holds.approve_holds(hold_ids=[hold.pk for hold in alike[:3]], by=approver)
    refused = holds.reject_holds(
        hold_ids=[hold.pk for hold in alike], by=approver, reason="Enough."
    )

    assert [hold.pk for hold in released.moved] == [hold.pk for hold in alike[:3]]
    assert [hold.pk for hold in refused.moved] == [hold.pk for hold in alike[3:]]
    assert set(refused.left) == {hold.pk for hold in alike[:3]}
    assert len(records_after(before, kind="hold")) == 5
    assert len(records_after(before, kind="payload_read")) == 1


def test_holds_that_are_not_alike_are_not_decided_as_one() -> None:
    approver, desk = make_person(groups=SECURITY), gated()
    one = hold_of(desk)
    other = hold_of(desk, parameters={"claim": "CL-1", "amount": 500, "note": "x"})

    with pytest.raises(Invalid):
        holds.approve_holds(hold_ids=[one.pk, other.pk], by=approver)


def test_a_batch_leaves_what_its_person_may_not_decide() -> None:
    make_person(groups=SECURITY)
    desk = gated()
    early = hold_of(desk, parameters={"claim": "CL-1", "amount": 500})
    joined = make_person(groups=SECURITY)
    late = hold_of(desk, parameters={"claim": "CL-2", "amount": 500})

    batch = holds.approve_holds(hold_ids=[early.pk, late.pk], by=joined)

    assert [hold.pk for hold in batch.moved] == [late.pk]
    assert "not among those" in batch.left[early.pk]


# Approver agents


def test_an_approver_agent_approves_only_where_the_gate_names_it() -> None:
    desk = gated()
    friend, own = make_agent(make_person()), make_agent(desk.owner)
    desk.tool.gates = GATES | {"agents": [friend.slug, own.slug]}
    desk.tool.save()
    hold = hold_of(desk)
    callers = {agent: _caller(agent) for agent in (friend, own)}
    stranger = _caller(make_agent(make_person()))

    proved = callers[friend].token
    assert proved is not None
    for_a_user = replace(callers[friend], token=replace(proved, user="p_a", grant="g"))
    handed_over = replace(callers[friend], token=replace(proved, delegation="d"))

    refused = (callers[own], stranger, desk.caller, desk.gateway_caller, for_a_user, handed_over)
    for caller in refused:
        with pytest.raises(GovernanceError):
            holds.approve_as_agent(hold_id=hold.pk, caller=caller)
    shown = holds.show_to_agent(hold_id=hold.pk, caller=callers[friend])
    moved = holds.approve_as_agent(hold_id=hold.pk, caller=callers[friend])

    assert dict(shown.parameters) == {"claim": "CL-1", "amount": 500}
    assert (moved.state, moved.decided_by_agent) == (HoldState.APPROVED, friend.slug)


@pytest.mark.parametrize("why", ["restricted", "grant", "suspended"])
def test_no_agent_approves_restricted_data_or_rights(why: str) -> None:
    friend = make_agent(make_person())
    tier = "restricted" if why == "restricted" else "internal"
    effect = "permission_grant" if why == "grant" else "financial"
    desk = make_desk(
        tool_fields={"gates": GATES | {"agents": [friend.slug]}, "effect": effect},
        system_fields={"tier": tier},
    )
    hold, caller = hold_of(desk), _caller(friend)
    if why == "suspended":
        friend.state = AgentState.SUSPENDED
        friend.save()

    with pytest.raises(NotAllowed):
        holds.approve_as_agent(hold_id=hold.pk, caller=caller)

    assert Hold.objects.get().state == HoldState.OPEN


def _caller(agent: Any) -> Any:
    return caller_of(make_client(agent=agent))


# Domains


MAIL = {"type": "object", "properties": {"to": {}, "cc": {}, "text": {"type": "string"}}}


def mailing() -> Desk:
    return make_desk(
        tool_fields={
            "effect": "external_communication",
            "gates": {"domains": True},
            "schema": MAIL,
            "amount_parameter": "",
            "resource_parameter": "",
            "recipient_parameter": "to",
        }
    )


def test_a_domain_is_learned_from_an_approval_and_from_nothing_else() -> None:
    approver, desk = make_person(groups=SECURITY), mailing()
    first = {"to": "ann@example.com", "text": "Hello"}
    second = {"to": ["bob@EXAMPLE.com", "eve@example.com"], "text": "Bye"}

    hold = hold_of(desk, parameters=first)
    assert hold_of(desk, parameters=first | {"text": "Hello again"}).codes == ["gate.domain"]
    holds.approve_hold(hold_id=hold.pk, by=approver)
    (known,) = decide([desk.ask(parameters=second)], desk.caller)
    (unknown,) = decide([desk.ask(parameters=second | {"cc": "x@evil.example"})], desk.caller)

    assert [(one.agent, one.domain) for one in KnownDomain.objects.all()] == [
        (desk.agent.slug, "example.com")
    ]
    assert (known.allowed, unknown.allowed) == (True, False)


# Races


def _race(*acts: Callable[[], Any]) -> list[str]:
    """Everything at once; what each came to."""
    outcomes: list[str] = []
    barrier = threading.Barrier(len(acts))

    def run(act: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            act()
            outcomes.append("won")
        except GovernanceError as error:
            outcomes.append(error.code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


RIVALS = pytest.mark.parametrize("rival", ["approve", "reject", "expire", "cancel"])


@RIVALS
def test_of_eight_that_decide_at_once_one_does(
    rival: str, mark: Callable[[], Any], records_after: Callable[..., Any]
) -> None:
    decide_at_once(rival, 4, mark, records_after)


@pytest.mark.kill
@RIVALS
def test_of_eight_that_decide_at_once_one_does_a_hundred_times(
    rival: str, mark: Callable[[], Any], records_after: Callable[..., Any]
) -> None:
    decide_at_once(rival, 100, mark, records_after)


def decide_at_once(
    rival: str, rounds: int, mark: Callable[[], Any], records_after: Callable[..., Any]
) -> None:
    """Half of eight approve and the others act against it, at once, on one hold after another."""
    people, desk = [make_person(groups=SECURITY) for _ in range(8)], gated()
    for number in range(rounds):
        hold = hold_of(desk, parameters={"claim": f"CL-{number}", "amount": 500})
        before = mark()

        if rival == "expire":
            age(hold, "20 milliseconds")

        outcomes = _race(*_acts(hold, people, rival, desk))

        moves = [
            record
            for record in records_after(before, kind="hold")
            if said(record)["did"] != "hold_vote"
        ]
        assert (outcomes.count("won"), len(moves)) == (1, 1), outcomes
        assert Release.objects.filter(hold=hold).count() == (
            said(moves[0])["did"] == "hold_approved"
        )


def _acts(hold: Hold, people: list[Any], rival: str, desk: Desk) -> list[Callable[[], Any]]:
    def approve(person: Any) -> Callable[[], Any]:
        return lambda: holds.approve_hold(hold_id=hold.pk, by=person)

    def against(person: Any) -> Callable[[], Any]:
        if rival == "reject":
            return lambda: holds.reject_hold(hold_id=hold.pk, by=person, reason="no")
        if rival == "cancel":
            return lambda: holds.cancel_hold(hold_id=hold.pk, caller=desk.caller)
        if rival == "expire":
            return lambda: _expired(hold)
        return approve(person)

    return [approve(each) if n % 2 else against(each) for n, each in enumerate(people)]


def _expired(hold: Hold) -> None:
    time.sleep(0.02)
    if not holds.expire_hold(hold_id=hold.pk):
        raise HoldDecided()


def test_a_release_is_used_once_by_eight_at_once() -> None:
    approver, desk = make_person(groups=SECURITY), gated()
    for number in range(3):
        parameters = {"claim": f"CL-{number}", "amount": 500}
        hold = hold_of(desk, parameters=parameters)
        release = holds.approve_hold(hold_id=hold.pk, by=approver).release
        allowed: list[bool] = []
        use = partial(_use, desk, release, parameters, allowed)

        _race(*[use] * 8)

        assert (len(allowed), allowed.count(True)) == (8, 1)


def _use(desk: Desk, release: Release, parameters: dict[str, Any], allowed: list[bool]) -> None:
    allowed.append(again(desk, release, parameters=parameters))
