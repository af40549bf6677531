"""Requests that wait for an answer: in the inbox, among what is due, and told in time.

What only a legal hold keeps from being erased waits for nobody's answer: its certificate is made,
and says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.urls import reverse

from compliance import permissions
from compliance.enums import RequestState as State
from compliance.models import SubjectRequest
from compliance.subjects import rules
from compliance.subjects.services import ERASE
from governance import words
from governance.kernel.business_days import date_in
from governance.kernel.errors import NotFound
from governance.kernel.waiting import Waiting
from lifecycle.due.kinds import Due, DueKind, Look
from lifecycle.inbox.added import Added
from lifecycle.models import Notice
from lifecycle.notices import Severity, notify
from registry.enums import ChangeState, Employment
from registry.models import Person, ProposedChange
from registry.permissions import in_group
from registry.services.saving import locked

SUBJECT = "subject"
LAW = "The law gives a month (GDPR art. 12(3)); the DPO is told each week that it is overdue."


def unanswered() -> QuerySet[SubjectRequest]:
    """Requests whose subject still waits for an answer, what is due first before the others."""
    rows = SubjectRequest.objects.filter(closed_at__isnull=True).exclude(state=State.HELD)
    return rows.order_by("due_at", "pk")


# The inbox


def waiting_for(person: Person) -> list[Waiting]:
    """What this person may answer. Where an erasure is asked for, that itself waits."""
    return [_entry(each) for each in _answerable(person)]


def _answerable(person: Person) -> list[SubjectRequest]:
    if not person.may_act or not in_group(person, *permissions.SUBJECT_DESK):
        return []
    rows = list(unanswered().filter(state=State.OPEN))
    asked = ProposedChange.objects.filter(kind=ERASE, state=ChangeState.PROPOSED)
    waits = set(asked.values_list("target", flat=True)) if rows else set()
    return [each for each in rows if str(each.pk) not in waits]


def _entry(request: SubjectRequest) -> Waiting:
    return Waiting(
        key=f"{SUBJECT}:{request.pk}",
        kind=SUBJECT,
        title=f"A data subject asks for {request.get_kind_display()}",
        text=request.reference or request.subject,
        since=request.opened_at,
        expires_at=request.due_at,
        on_expiry=LAW,
    )


def _shown(name: str, person: Person) -> dict[str, Any]:
    found = next((each for each in _answerable(person) if str(each.pk) == name), None)
    if found is None:
        raise NotFound()
    return {"template": "compliance/_waiting_subject.html", "request": found}


INBOX = Added(SUBJECT, waiting_for, _shown)


# What is due


def _find(look: Look) -> Iterator[Due]:
    if not in_group(look.person, *permissions.SUBJECT_READERS):
        return
    for each in unanswered().filter(due_at__lte=look.until).select_related("opened_by"):
        what = f"an answer: {each.get_kind_display()}"
        place = reverse("subject_request", args=[each.pk])
        yield Due(SUBJECT, what, each.due_at, place, person=each.opened_by, then=LAW)


DUE = DueKind(SUBJECT, "answer to a data subject", _find)


# Telling


def to_tell(now: datetime) -> list[str]:
    """Those of whose newest day nobody was told yet."""
    events = {event: str(each.pk) for each in unanswered() if (event := _event(each, now))}
    told = set(Notice.objects.filter(event__in=events).values_list("event", flat=True))
    return [pk for event, pk in events.items() if event not in told]


def tell(key: str, now: datetime) -> bool:
    """Tell the DPO of one, each of them once for each of its days; security where there is none."""
    request = locked(SubjectRequest, "request", pk=key)
    event = _event(request, now)
    if not event or not unanswered().filter(pk=request.pk).exists():
        return False
    code, severity = _code(request, now)
    context = {
        "what": f"A request for {request.get_kind_display()}",
        "received": words.day(request.received),
        "day": words.day(_due_day(request)),
        "request": str(request.pk),
    }
    told = [
        notify(person=each, severity=severity, code=code, context=context, event=event)
        for each in _whom()
    ]
    return any(told)


def _event(request: SubjectRequest, now: datetime) -> str:
    """What names the newest of its days; empty while that is ahead. Extended, it begins anew."""
    due = _due_day(request)
    day = rules.notice_day(due, _day(now))
    return "" if day is None else f"{SUBJECT}:{request.pk}:{due}:{day}"


def _code(request: SubjectRequest, now: datetime) -> tuple[str, Severity]:
    """Which words are true now, however late the sweep comes."""
    days = (_day(now) - _due_day(request)).days
    if days > 0:
        return "subject.overdue", Severity.PAGE
    return ("subject.near" if days else "subject.today"), Severity.INFO


def _due_day(request: SubjectRequest) -> date:
    return _day(request.due_at)


def _day(at: datetime) -> date:
    return date_in(settings.MUSTER_ZONE, at)


def _whom() -> list[Person]:
    people = Person.objects.filter(is_active=True).exclude(employment=Employment.LEFT)
    found = (list(people.filter(groups__name=name)) for name in permissions.SUBJECT_DESK)
    return next((each for each in found if each), [])
