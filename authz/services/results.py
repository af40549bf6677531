"""Answers to delegations: what a sub-agent hands back, taken in or refused with the reasons.

An answer that is taken in raises the run that asked by all that the runs behind it have read, and
counts as untrusted unless the row of the agent that asked says otherwise. The answer itself goes
from agent to agent; its digest says which one was looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from audit import selectors as trail
from audit import services as audit
from audit.enums import Kind
from audit.errors import NotRecordable
from audit.payloads import canonical
from audit.redactor import find_secret
from authz import slices, timekeeper
from authz.asks import Caller
from authz.engine.reading import NOTHING, Reading
from authz.engine.results import SECRET, Declared, Reason, reasons_against
from authz.engine.types import Document, Input
from authz.errors import BadRequest, DelegationEnded, DelegationRefused, NoSuchDelegation
from authz.models import Delegation, DelegationResult
from authz.services import sessions
from authz.services.delegations import user_of
from governance.kernel import clock
from registry import guard
from registry.models import SubAgent

Json = Any
# A page of verdicts is no trail; that holds all of them.
SHOWN = 100


@dataclass(frozen=True, slots=True)
class HandedBack:
    """An answer: any JSON value, the run that made it ("" for none), what it is made of."""

    value: Json
    session: str = ""
    inputs: Sequence[Input] = ()


@transaction.atomic
def hand_back(*, delegation_id: UUID, answer: HandedBack, caller: Caller) -> DelegationResult:
    """Look at an answer as its receiver gives it. Refused or taken in, it is recorded.

    Raises `NoSuchDelegation` for any other caller, `DelegationEnded`, and `DelegationRefused`
    with `not_declared` where the row of the agent that asked does not name its sub-agent any more.
    """
    sessions.check_caller(caller)
    delegation = _received(delegation_id, caller)
    declared = _declared(delegation)
    now = timekeeper.now()
    if delegation.ended_at is not None or delegation.until <= now:
        raise DelegationEnded()
    world = _world()
    reading = _reading(delegation, answer, caller, world, now)
    label = sessions.label_of_reading(delegation.receiver.slug, reading)
    digest = _digest(answer.value)
    reasons = _reasons(delegation, declared, answer, label, world)
    taken = Reading(label, reading.untrusted or not declared.result_trusted, reading.categories)
    if not reasons:
        sessions.raise_run(delegation.giver.slug, delegation.session, taken, now)
    result = DelegationResult.objects.create(
        id=clock.uuid7(now),
        delegation=delegation,
        digest=digest,
        accepted=not reasons,
        reasons=[one.document() for one in reasons],
        label=taken.tier,
        untrusted=taken.untrusted,
        categories=sorted(taken.categories),
        at=now,
    )
    _record(result)
    return result


def _received(delegation_id: UUID, caller: Caller) -> Delegation:
    """The link, held: it does not end beside this. Its receiver's row must be active."""
    rows = Delegation.objects.select_for_update(of=("self",), no_key=True).select_related(
        "giver", "receiver__owner", "grant__person"
    )
    delegation = rows.filter(pk=delegation_id).first()
    if delegation is None or caller.is_gateway or delegation.receiver.slug != caller.slug:
        raise NoSuchDelegation()
    guard.require_active(delegation.receiver)
    return delegation


def _declared(delegation: Delegation) -> SubAgent:
    row = SubAgent.objects.filter(agent=delegation.giver, sub_agent=delegation.receiver).first()
    if row is None:
        raise DelegationRefused(
            f"{delegation.giver.slug} does not declare {delegation.receiver.slug} as an agent that "
            "it hands over to any more, so it takes in nothing from it.",
            code="not_declared",
        )
    return row


def _reading(
    delegation: Delegation, answer: HandedBack, caller: Caller, world: Document, now: datetime
) -> Reading:
    """What lies behind an answer: every run of the receiver under this link, and what it says.

    The run that it names cannot hide another one.
    """
    receiver = delegation.receiver.slug
    if answer.session:
        sessions.show_session(session_id=answer.session, caller=caller)
    below = delegation.children.values_list("session", flat=True)
    decided = trail.runs_under(agent=receiver, delegation=delegation.pk, since=delegation.given_at)
    # "" stands for no run that was opened: what the receiver carries.
    runs = {*decided, *below, *filter(None, [answer.session])} or {""}
    found: Reading = NOTHING
    for run in sorted(runs):
        found = found | sessions.reading_of_run(receiver, run, now)
    return found | sessions.reading_of_inputs(answer.inputs, world)


def _reasons(
    delegation: Delegation,
    declared: SubAgent,
    answer: HandedBack,
    label: str,
    world: Document,
) -> list[Reason]:
    found = reasons_against(
        answer.value,
        Declared(declared.result_schema, declared.result_tier, _systems(delegation, world)),
        label=label,
        inputs=answer.inputs,
        signatures=world.get("signatures") or (),
    )
    if find_secret(answer.value) is not None:
        found.append(Reason(SECRET, "", "A credential stands in it."))
    return found


def _systems(delegation: Delegation, world: Document) -> set[str]:
    """What the tools that were handed over touch."""
    tools: list[Mapping[str, Json]] = [
        world["tools"][name] for name in delegation.tools if name in world["tools"]
    ]
    touched = {str(one["system"]) for tool in tools for one in tool["accesses"]}
    return touched | {str(tool["system"]) for tool in tools}


def _digest(value: Json) -> str:
    try:
        return hashlib.sha256(canonical(value)).hexdigest()
    except NotRecordable as error:
        raise BadRequest("result is no JSON value that has a canonical form.") from error


def _world() -> Document:
    (read,) = slices.read([slices.WORLD])
    return read.document or {}


def _record(result: DelegationResult) -> None:
    delegation = result.delegation
    person = user_of(delegation)
    audit.record(
        kind=Kind.ACCESS,
        actor=delegation.receiver.slug,
        agent=delegation.giver.slug,
        user=person.pid if person else "",
        session=delegation.session,
        tier=result.label,
        asked={
            "did": "result_accepted" if result.accepted else "result_refused",
            "delegation": str(delegation.pk),
            "from": delegation.receiver.slug,
            "digest": result.digest,
            "untrusted": result.untrusted,
            "codes": sorted({str(one["code"]) for one in result.reasons}),
        },
    )


def show_results(*, delegation_id: UUID, caller: Caller) -> list[DelegationResult]:
    """What became of the answers to a delegation, newest first, for either side of it."""
    sessions.check_caller(caller)
    delegation = (
        Delegation.objects.select_related("giver", "receiver").filter(pk=delegation_id).first()
    )
    sides = {delegation.giver.slug, delegation.receiver.slug} if delegation else set()
    if delegation is None or caller.is_gateway or caller.slug not in sides:
        raise NoSuchDelegation()
    return list(delegation.results.all()[:SHOWN])
