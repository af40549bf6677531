"""Widening needs two people: what one proposes takes effect when another agrees.

Whoever owns a kind of change registers how it is applied, in `AppConfig.ready`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction

from audit import services as audit
from audit.enums import Kind
from governance.kernel import clock
from governance.kernel.errors import NotAllowed, NotFound
from registry import permissions
from registry.enums import ChangeState
from registry.errors import AlreadyDecided, ChangeOpen, OwnMatter
from registry.models import Person, ProposedChange
from registry.permissions import Actor
from registry.signals import change_decided, change_proposed

Apply = Callable[[ProposedChange, Person], object]
# Who dropped it may be Muster: where its agent has ended.
Dropped = Callable[[ProposedChange, Any], object]
Who = Callable[[ProposedChange, Person], None]
Interested = Callable[[ProposedChange], set[str]]


def _security(change: ProposedChange, by: Person) -> None:
    permissions.check_can_agree(by)


def _nobody(change: ProposedChange) -> set[str]:
    return set()


@dataclass(frozen=True, slots=True)
class _ChangeKind:
    apply: Apply
    who: Who
    interested: Interested
    record_kind: str
    dropped: Dropped | None


_kinds: dict[str, _ChangeKind] = {}


def register(
    kind: str,
    apply: Apply,
    *,
    who: Who | None = None,
    interested: Interested | None = None,
    record_kind: str = Kind.REGISTRY,
    dropped: Dropped | None = None,
) -> None:
    """Make `kind` a change that can be proposed.

    `apply(change, by)` runs in the transaction of the agreement and raises `ChangeOutdated`
    where what the change starts from is no longer so. `who(change, by)` raises `NotAllowed`
    (without it: security agrees). `interested(change)` are the pids that may not agree.
    `dropped(change, by)` runs where it was rejected, withdrawn or fell away with its agent.
    """
    _kinds[kind] = _ChangeKind(apply, who or _security, interested or _nobody, record_kind, dropped)


def propose(
    *,
    kind: str,
    target: str,
    summary: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    by: Person,
    agent: str = "",
    reason: str = "",
) -> ProposedChange:
    """Have a change wait for a second person; who may propose it, the caller has checked.

    The same change proposed again is returned as it stands. Another open one of the same
    target raises `ChangeOpen`.
    """
    if kind not in _kinds:
        raise LookupError(f"no change of kind {kind} is registered")
    waiting = ProposedChange.objects.filter(kind=kind, target=target, state=ChangeState.PROPOSED)
    if found := waiting.first():
        if found.after == after:
            return found
        raise ChangeOpen()
    change = ProposedChange(
        kind=kind,
        target=target,
        agent=agent,
        summary=summary[:300],
        before=dict(before),
        after=dict(after),
        proposed_by=by,
        proposed_at=clock.now(),
        reason=reason,
    )
    try:
        with transaction.atomic():
            change.save()
            _record(change, "change_proposed", by)
    except IntegrityError as error:
        raise ChangeOpen() from error
    change_proposed.send(sender=ProposedChange, change=change, by=by)
    return change


def can_agree(change: ProposedChange, by: Person) -> str:
    """Why `by` may not agree, as a sentence; empty if they may."""
    return permissions.can(check_can_agree, change, by)


def check_can_agree(change: ProposedChange, by: Person) -> None:
    """The right people, and never one whose own matter it is."""
    kind = _kinds[change.kind]
    permissions.check_may_act(by)
    if change.proposed_by_id == by.pk:
        raise OwnMatter("You proposed this, so someone else must agree to it.")
    if by.pid in kind.interested(change):
        raise OwnMatter("This is your own matter, so someone else must agree to it.")
    kind.who(change, by)


def agree(*, change_id: int, by: Person, answer: str = "") -> ProposedChange:
    """Let the change take effect. Of several at once exactly one succeeds.

    The others get `AlreadyDecided`. What applying it refuses undoes the agreement too. That
    somebody tried to agree to their own matter is recorded.
    """
    try:
        return _agree(change_id=change_id, by=by, answer=answer)
    except OwnMatter:
        _record(waiting(change_id), "change_refused", by)
        raise


@transaction.atomic
def _agree(*, change_id: int, by: Person, answer: str) -> ProposedChange:
    change = waiting(change_id)
    check_can_agree(change, by)
    change = _decide(change, ChangeState.AGREED, by, answer)
    _record(change, "change_agreed", by)
    _kinds[change.kind].apply(change, by)
    return change


@transaction.atomic
def reject(*, change_id: int, by: Person, answer: str) -> ProposedChange:
    """Refuse the change, with the reason that its proposer reads."""
    change = waiting(change_id)
    check_can_agree(change, by)
    change = _decide(change, ChangeState.REJECTED, by, answer)
    _record(change, "change_rejected", by)
    _drop(change, by)
    return change


@transaction.atomic
def withdraw(*, change_id: int, by: Person) -> ProposedChange:
    """Take one's own proposal back."""
    change = waiting(change_id)
    if change.proposed_by_id != by.pk:
        raise NotAllowed(f"Only {change.proposed_by}, who proposed this, may withdraw it.")
    change = _decide(change, ChangeState.WITHDRAWN, by, "")
    _record(change, "change_withdrawn", by)
    _drop(change, by)
    return change


@transaction.atomic
def drop_of_agent(agent: str, *, by: Actor, why: str) -> list[ProposedChange]:
    """Let everything fall away that waits about an agent which has ended. Done twice, it is done
    once."""
    open_of = ProposedChange.objects.filter(agent=agent, state=ChangeState.PROPOSED)
    return [_fallen(change, by, why) for change in open_of.select_related("proposed_by")]


def _fallen(change: ProposedChange, by: Actor, why: str) -> ProposedChange:
    change = _decide(change, ChangeState.DROPPED, by, why)
    _record(change, "change_dropped", by)
    _drop(change, by)
    return change


def _drop(change: ProposedChange, by: Actor) -> None:
    if dropped := _kinds[change.kind].dropped:
        dropped(change, by)


def waiting(change_id: int) -> ProposedChange:
    """The change, if it still waits for a second person."""
    change = ProposedChange.objects.select_related("proposed_by").filter(pk=change_id).first()
    if change is None:
        raise NotFound("There is no such change.")
    if change.state != ChangeState.PROPOSED:
        raise AlreadyDecided()
    return change


def _decide(change: ProposedChange, state: ChangeState, by: Actor, answer: str) -> ProposedChange:
    """Compare and swap: the one UPDATE that still finds it proposed decides."""
    won = ProposedChange.objects.filter(pk=change.pk, state=ChangeState.PROPOSED).update(
        state=state,
        decided_by=by if isinstance(by, Person) else None,
        decided_at=clock.now(),
        answer=answer,
    )
    if not won:
        raise AlreadyDecided()
    change.refresh_from_db()
    change_decided.send(sender=ProposedChange, change=change, by=by)
    return change


def _record(change: ProposedChange, did: str, by: Actor) -> None:
    audit.record(
        kind=_kinds[change.kind].record_kind,
        actor=by.pid,
        agent=change.agent,
        resource=f"change:{change.pk}",
        asked={
            "did": did,
            "change": change.pk,
            "kind": change.kind,
            "target": change.target,
            "proposed_by": change.proposed_by.pid,
        },
        payload={
            "change": {
                "summary": change.summary,
                "before": change.before,
                "after": change.after,
                "reason": change.reason,
                "answer": change.answer,
            }
        },
    )
