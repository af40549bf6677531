"""What people do with requests: open, extend, answer, refuse, have erased; legal holds."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from audit import services as audit
from audit.enums import Kind
from audit.erasure import selectors as kept
from audit.erasure import services as keys
from audit.erasure.enums import Ground
from audit.models import LegalHold
from compliance import permissions
from compliance.enums import RequestKind
from compliance.enums import RequestState as State
from compliance.errors import HoldOver, NotErasable, RequestClosed
from compliance.models import SubjectRequest
from compliance.subjects import rules
from governance.kernel import clock
from governance.kernel.business_days import date_in
from governance.kernel.errors import Conflict, Invalid
from registry import changes, signing
from registry.errors import ChangeOutdated
from registry.models import Agent, Person, ProposedChange
from registry.services.saving import check, locked

ERASE = "subject.erase"
LIFT = "legal_hold.lift"
LONGEST_REASON = 500


def connect() -> None:
    """Make known how an erasure and the end of a legal hold take effect: by two people."""
    changes.register(
        ERASE, _approve, who=_check_agrees, interested=_subject_of, record_kind=Kind.ADMIN
    )
    changes.register(LIFT, _lift, who=_check_agrees, record_kind=Kind.ADMIN)


@transaction.atomic
def open_request(
    *, kind: str, subject: str, received: date, reference: str = "", by: Person
) -> SubjectRequest:
    """Take a request in. `received` is the day on which it reached the company."""
    permissions.check_can_handle_subjects(by)
    now = clock.now()
    if received > date_in(settings.MUSTER_ZONE, now):
        raise Invalid("This day lies ahead.", fields={"received": ["This day lies ahead."]})
    if kind not in RequestKind.values:
        raise Invalid("Say access, erasure or portability.", fields={"kind": ["Unknown."]})
    request = SubjectRequest(
        kind=kind,
        subject=subject,
        reference=reference.strip(),
        received=received,
        due_at=rules.due_at(received, calendar=settings.MUSTER_CALENDAR, zone=settings.MUSTER_ZONE),
        opened_by=by,
        opened_at=now,
    )
    check(request)
    request.save()
    record(request, "subject_request_opened", by.pid, received=received.isoformat())
    return request


@transaction.atomic
def extend_request(*, request_id: UUID, months: int, why: str, by: Person) -> SubjectRequest:
    """Take up to two months more (Art. 12(3)); the subject must be told within the first."""
    permissions.check_can_handle_subjects(by)
    request = _open(request_id)
    if not 1 <= months <= rules.MORE:
        raise Invalid("One or two months more.", fields={"months": ["One or two."]})
    if not why.strip():
        raise Invalid("Say why.", fields={"why": ["Say why, as the subject is told."]})
    if request.extended_months:
        raise Conflict("It was extended already.")
    if request.due_at < clock.now():
        raise Conflict("The first month is over: it can no longer be extended.")
    request.extended_months, request.extended_by = months, by
    request.extended_why = why.strip()
    request.due_at = rules.due_at(
        request.received,
        extended=months,
        calendar=settings.MUSTER_CALENDAR,
        zone=settings.MUSTER_ZONE,
    )
    check(request)
    request.save()
    record(request, "subject_request_extended", by.pid, months=months)
    return request


@transaction.atomic
def close_request(*, request_id: UUID, refused: bool, why: str, by: Person) -> SubjectRequest:
    """Say that it is answered, or refuse it, with the reason that the subject is told.

    An erasure is answered by erasing, so it can only be refused here.
    """
    permissions.check_can_handle_subjects(by)
    request = _open(request_id)
    if request.kind == RequestKind.ERASURE and not refused:
        raise NotErasable("An erasure is answered by erasing. Have it erased, or refuse it.")
    if request.state != State.OPEN:
        raise NotErasable()
    if not why.strip():
        raise Invalid("Say how it was answered, or why not.", fields={"why": ["Say it."]})
    request.closed_by, request.closed_why = by, why.strip()
    move(request, State.REFUSED if refused else State.DONE)
    check(request)
    request.save()
    did = "subject_request_refused" if refused else "subject_request_answered"
    record(request, did, by.pid)
    return request


@transaction.atomic
def ask_erasure(*, request_id: UUID, by: Person) -> ProposedChange:
    """Have the DPO asked to agree that what is held of this subject is erased."""
    permissions.check_can_handle_subjects(by)
    request = _open(request_id)
    if request.kind != RequestKind.ERASURE or request.state != State.OPEN:
        raise NotErasable()
    entries = sum(each.readable for each in kept.sealed_of(request.subject))
    return changes.propose(
        kind=ERASE,
        target=str(request.pk),
        summary=f"Erase what lies sealed of {request.subject}",
        before={},
        after={"signs": [[signing.DPO]], "request": str(request.pk), "entries": entries},
        by=by,
    )


def _approve(change: ProposedChange, by: Person) -> None:
    request = locked(SubjectRequest, "request", pk=change.target)
    if request.state != State.OPEN:
        raise ChangeOutdated()
    request.asked_by, request.agreed_by = change.proposed_by, by
    request.agreed_at = clock.now()
    move(request, State.APPROVED)
    request.save()
    record(request, "subject_erasure_approved", by.pid, asked_by=change.proposed_by.pid)


def _check_agrees(change: ProposedChange, by: Person) -> None:
    permissions.check_can_approve_erasure(by)


def _subject_of(change: ProposedChange) -> set[str]:
    """Nobody agrees to the erasure of what is held of themselves."""
    found = SubjectRequest.objects.filter(pk=change.target).values_list("subject", flat=True)
    return set(found)


# Legal holds


@transaction.atomic
def set_hold(
    *,
    subject: str = "",
    agent: str = "",
    first: date | None = None,
    last: date | None = None,
    ground: str,
    reason: str,
    by: Person,
) -> UUID:
    """Keep what fits from being erased or dropped. One person is enough: it takes nothing away."""
    permissions.check_can_handle_subjects(by)
    if wrong := _wrong_place(subject, agent, first, last) or _wrong_ground(ground, reason):
        name, sentence = wrong
        raise Invalid(sentence, fields={name: [sentence]})
    return keys.set_legal_hold(
        subject=subject,
        agent=agent,
        first=first,
        last=last,
        ground=Ground(ground),
        reason=reason.strip(),
        by=by.pid,
    )


def _wrong_place(
    subject: str, agent: str, first: date | None, last: date | None
) -> tuple[str, str] | None:
    if not (subject or agent or first or last):
        return "agent", "Name an agent, a subject, or a span of days: not everything at once."
    if agent and not Agent.objects.filter(slug=agent).exists():
        return "agent", "There is no such agent."
    if first and last and last < first:
        return "last", "This lies before the first day."
    return None


def _wrong_ground(ground: str, reason: str) -> tuple[str, str] | None:
    if ground not in Ground.values:
        return "ground", "Name a letter of Art. 17(3): a, b, c, d or e."
    if not 0 < len(reason.strip()) <= LONGEST_REASON or "\0" in reason:
        return "reason", f"Say why, in up to {LONGEST_REASON} characters."
    return None


@transaction.atomic
def ask_lift(*, hold: UUID, by: Person) -> ProposedChange:
    """Have the DPO asked to agree that a legal hold is over. Two people end it."""
    permissions.check_can_handle_subjects(by)
    found = _standing(hold)
    return changes.propose(
        kind=LIFT,
        target=str(hold),
        summary=f"End the legal hold of {found.at:%Y-%m-%d} on ground 17(3)({found.ground})",
        before={"hold": str(hold)},
        after={"signs": [[signing.DPO]], "hold": "over"},
        by=by,
    )


def _lift(change: ProposedChange, by: Person) -> None:
    hold = UUID(change.target)
    if not keys.lift_legal_hold(hold=hold, asked_by=change.proposed_by.pid, agreed_by=by.pid):
        raise ChangeOutdated()


def _standing(hold: UUID) -> LegalHold:
    found = kept.standing_holds().filter(id=hold).first()
    if found is None:
        raise HoldOver()
    return found


# Shared


def move(request: SubjectRequest, state: State) -> None:
    """The one place that changes the state of a request; who calls holds its lock."""
    if not rules.may_follow(request.state, state):
        raise Conflict(f"A request that is {request.get_state_display()} cannot become so.")
    request.state = state
    if state in (State.DONE, State.REFUSED):
        request.closed_at = clock.now()


def record(request: SubjectRequest, did: str, actor: str, **more: Any) -> UUID:
    """Put on the record what was done about a request: by ids alone."""
    return audit.record(
        kind=Kind.ADMIN,
        actor=actor,
        user=request.subject if request.is_person else "",
        resource="" if request.is_person else request.subject,
        asked={"did": did, "request": str(request.pk), "kind": request.kind, **more},
    )


def _open(request_id: UUID) -> SubjectRequest:
    request = locked(SubjectRequest, "request", pk=request_id)
    if not request.is_open:
        raise RequestClosed()
    return request
