"""Carrying an erasure out, which only the worker may: aside first, then the keys, then on paper."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from audit.erasure import selectors as kept
from audit.erasure import services as keys
from audit.erasure.services import Approved, Done
from audit.models import HoldLifted
from audit.services import HOLDER_SECONDS
from authz.services.sessions import forget_plans
from compliance.enums import RequestState as State
from compliance.models import SubjectRequest
from compliance.subjects import certificate, services
from governance.kernel import clock
from registry.permissions import Automatic
from registry.services.saving import locked

ERASURE = Automatic("erasure")
# Longer than any process keeps a key that is laid aside.
WAIT = timedelta(seconds=HOLDER_SECONDS + 60)
PAGE = 5000


def due(now: datetime) -> list[str]:
    """Requests to go on with: approved ones, those laid aside for long enough, those whose hold
    was lifted since they were tried."""
    rows = SubjectRequest.objects.order_by("agreed_at", "pk")
    over = HoldLifted.objects.order_by("-at").values_list("at", flat=True).first()
    wanted = Q(state=State.APPROVED) | Q(state=State.ASIDE, aside_at__lte=now - WAIT)
    if over is not None:
        wanted |= Q(state=State.HELD, tried_at__lt=over)
    return [str(pk) for pk in rows.filter(wanted).values_list("pk", flat=True)]


def handle(key: int | str, now: datetime) -> bool:
    """One step of one request; done twice, it is done once."""
    if str(key) not in due(now):
        return False
    with transaction.atomic():
        request = locked(SubjectRequest, "request", pk=str(key))
        if request.state == State.APPROVED and request.is_person:
            return _lay_aside(request)
        return _erase(request)


def _lay_aside(request: SubjectRequest) -> bool:
    base = kept.base_of(request.subject)
    request.keys = keys.lay_aside(base, request=str(request.pk))
    request.aside_at = clock.now()
    services.move(request, State.ASIDE)
    request.save()
    services.record(request, "subject_keys_laid_aside", ERASURE.pid, keys=len(request.keys))
    return True


def _erase(request: SubjectRequest) -> bool:
    if request.state not in (State.APPROVED, State.ASIDE, State.HELD):
        return False
    done = _erased(request, _approved(request))
    request.erased, request.held = request.erased + done.erased, done.held
    request.tried_at = clock.now()
    services.move(request, State.HELD if done.held else State.DONE)
    request.save()
    did = "subject_partly_erased" if done.held else "subject_erased"
    services.record(request, did, ERASURE.pid, erased=done.erased, held=done.held)
    certificate.issue(request)
    return True


def _approved(request: SubjectRequest) -> Approved:
    assert request.asked_by is not None  # noqa: S101 - a constraint says so
    assert request.agreed_by is not None  # noqa: S101
    return Approved(str(request.pk), request.asked_by.pid, request.agreed_by.pid)


def _erased(request: SubjectRequest, approved: Approved) -> Done:
    if not request.is_person:
        return _entries(
            list(kept.entries_of(request.subject).values_list("id", flat=True)), approved
        )
    said, runs = kept.runs_of(request.subject)
    forget_plans(runs)
    return keys.erase_keys(request.keys, approved) + _entries(said, approved)


def _entries(ids: list[UUID], approved: Approved) -> Done:
    """Page by page. The entries stay, only their keys go."""
    done = Done()
    for start in range(0, len(ids), PAGE):
        done += keys.erase_entries(ids[start : start + PAGE], approved)
    return done
