"""Pages about data subjects: what is held of somebody, what they asked for, what keeps it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from audit.erasure import selectors as kept
from audit.erasure.enums import Ground
from audit.models import LegalHold
from audit.views import names_of
from compliance import permissions
from compliance.enums import RequestKind
from compliance.errors import UnknownSubject
from compliance.models import SubjectRequest
from compliance.subjects import certificate, finding, services
from compliance.subjects.export import export as exported
from compliance.subjects.forms import CloseForm, ExtendForm, FindForm, HoldForm, RequestForm
from compliance.subjects.holding import Holding
from governance.kernel import clock
from governance.kernel.errors import GovernanceError, NotAllowed
from governance.kernel.streaming import Streamed
from registry.enums import ChangeState
from registry.models import Person, ProposedChange
from registry.people import signed_in
from registry.permissions import can

PAGE = 30
JSON = "application/json"


def reader(request: HttpRequest) -> Person:
    """Who looks, if they may."""
    person = signed_in(request)
    permissions.check_can_see_subjects(person)
    return person


def tried(request: HttpRequest, act: Callable[[], object], said: str = "") -> bool:
    """Do it, and say what came of it. What somebody may not do at all is no message."""
    try:
        act()
    except NotAllowed:
        raise
    except GovernanceError as error:
        messages.error(request, error.sentences)
        return False
    if said:
        messages.success(request, said)
    return True


@login_required
@require_GET
def subjects(request: HttpRequest) -> HttpResponse:
    """Which requests wait for an answer, and until when?"""
    return _overview(request, FindForm())


@login_required
@require_POST
def find(request: HttpRequest) -> HttpResponse:
    """Whom somebody means. What was typed is personal: it comes and goes in the body."""
    form = FindForm(request.POST)
    wanted = form.cleaned_data["who"] if form.is_valid() else ""
    return _overview(request, form, found=finding.find(wanted), asked=True)


def _overview(request: HttpRequest, form: FindForm, **more: Any) -> HttpResponse:
    person = reader(request)
    rows = SubjectRequest.objects.select_related("opened_by")
    open_rows = list(rows.filter(closed_at__isnull=True).order_by("due_at"))
    closed = rows.filter(closed_at__isnull=False)
    context = {
        "form": form,
        "open": open_rows,
        "late": sum(each.is_unanswered and each.due_at < clock.now() for each in open_rows),
        "page": Paginator(closed, PAGE).get_page(request.GET.get("page")),
        "now": clock.now(),
        "holds": kept.standing_holds().count(),
        "why_not": can(permissions.check_can_handle_subjects, person),
        **more,
    }
    return never_cached(render(request, "compliance/subjects.html", context))


def never_cached(answer: HttpResponse) -> HttpResponse:
    """What names somebody is kept by no browser."""
    answer["Cache-Control"] = "no-store"
    return answer


@login_required
@require_GET
def subject(request: HttpRequest) -> HttpResponse:
    """What is held of this subject, where, since when and until when?"""
    person = reader(request)
    found = finding.subject_of(request.GET.get("subject", "").replace("\0", ""))
    holding = Holding(found)
    if not found.id or (found.person is None and not holding.named):
        raise UnknownSubject()
    initial = {"subject": found.id, "received": clock.now().date()}
    context = {
        "holding": holding,
        "subject": found,
        "holds": _shown(holding.holds),
        "form": RequestForm(initial=initial),
        "hold_url": f"{reverse('legal_holds')}?{urlencode({'subject': found.id})}",
        "now": clock.now(),
        "why_not": can(permissions.check_can_handle_subjects, person),
    }
    return never_cached(render(request, "compliance/subject.html", context))


@login_required
@require_POST
def open_request(request: HttpRequest) -> HttpResponse:
    """Take a request in."""
    form = RequestForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Say what is asked for, and on which day it was received.")
        return redirect("subjects")
    made: list[SubjectRequest] = []
    person = signed_in(request)
    if tried(request, lambda: made.append(services.open_request(**form.cleaned_data, by=person))):
        return redirect("subject_request", pk=made[0].pk)
    return redirect("subjects")


@login_required
@require_GET
def one(request: HttpRequest, pk: UUID) -> HttpResponse:
    """How far is this request, and what is still to be done?"""
    person = reader(request)
    found = _found(pk)
    holding = Holding(finding.subject_of(found.subject))
    waiting = ProposedChange.objects.filter(
        kind=services.ERASE, target=str(pk), state=ChangeState.PROPOSED
    )
    context = {
        "asked": found,
        "holding": holding,
        "subject": holding.subject,
        "holds": _shown(holding.holds),
        "waiting": waiting.select_related("proposed_by").first(),
        "certificates": found.certificates.defer("document", "pdf"),
        "extend_form": ExtendForm(),
        "close_form": CloseForm(),
        "erases": found.kind == RequestKind.ERASURE,
        "now": clock.now(),
        "why_not": can(permissions.check_can_handle_subjects, person),
        "why_not_export": can(permissions.check_can_export_subject, person),
    }
    return never_cached(render(request, "compliance/subject_request.html", context))


def _found(pk: UUID) -> SubjectRequest:
    rows = SubjectRequest.objects.select_related(
        "opened_by", "asked_by", "agreed_by", "closed_by", "extended_by"
    )
    return get_object_or_404(rows, pk=pk)


@login_required
@require_POST
def erase(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Have the DPO asked to agree to the erasure."""
    person = signed_in(request)
    tried(
        request,
        lambda: services.ask_erasure(request_id=pk, by=person),
        "It waits in the inbox of the DPO. Nothing is erased until another person agrees.",
    )
    return redirect("subject_request", pk=pk)


@login_required
@require_POST
def extend(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Take more time."""
    person, form = signed_in(request), ExtendForm(request.POST)
    if form.is_valid():
        given = form.cleaned_data
        tried(
            request,
            lambda: services.extend_request(request_id=pk, by=person, **given),
            "Tell the subject within the first month, with the reason.",
        )
    else:
        messages.error(request, "Say one or two months, and why.")
    return redirect("subject_request", pk=pk)


@login_required
@require_POST
def close(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Say that it is answered, or refuse it."""
    person, refused = signed_in(request), request.POST.get("word") == "refuse"
    why = request.POST.get("why", "").replace("\0", "")
    tried(
        request,
        lambda: services.close_request(request_id=pk, refused=refused, why=why, by=person),
        "It is closed.",
    )
    return redirect("subject_request", pk=pk)


@login_required
@require_POST
def export(request: HttpRequest, pk: UUID) -> Streamed:
    """Everything that is held of the subject, as one JSON file. That it is opened is recorded."""
    found = _found(pk)
    name = f"muster-subject-{found.pk}.json"
    return Streamed(exported(found, by=signed_in(request)), content_type=JSON, name=name)


@login_required
@require_GET
@never_cache
def fetch_certificate(request: HttpRequest, pk: UUID, edition: int, form: str) -> HttpResponse:
    """One edition of the certificate, as a page or as JSON."""
    reader(request)
    found = get_object_or_404(_found(pk).certificates, edition=edition)
    if form == "pdf":
        answer = HttpResponse(certificate.pdf_of(found), content_type="application/pdf")
    else:
        answer = HttpResponse(bytes(found.document), content_type=JSON)
    name = f"muster-erasure-{pk}-{edition}.{'pdf' if form == 'pdf' else 'json'}"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


# Legal holds


@login_required
@require_GET
def holds(request: HttpRequest) -> HttpResponse:
    """What must not be erased, on which ground, and since when?"""
    person = reader(request)
    over = kept.lifted()
    every = list(LegalHold.objects.order_by("-at", "-id")[:500])
    waiting = ProposedChange.objects.filter(kind=services.LIFT, state=ChangeState.PROPOSED)
    context = {
        "holds": _shown([each for each in every if each.id not in over]),
        "over": [(each, over[each.id]) for each in every if each.id in over],
        "waiting": set(waiting.values_list("target", flat=True)),
        "form": HoldForm(initial={"subject": request.GET.get("subject", "")}),
        "why_not": can(permissions.check_can_handle_subjects, person),
    }
    return never_cached(render(request, "compliance/legal_holds.html", context))


def _shown(found: list[LegalHold]) -> list[dict[str, Any]]:
    names = names_of(each.set_by for each in found)
    return [
        {
            "hold": each,
            "key": str(each.id),
            "ground": Ground(each.ground).label,
            "by": names.get(each.set_by, each.set_by),
        }
        for each in found
    ]


@login_required
@require_POST
def set_hold(request: HttpRequest) -> HttpResponse:
    """Keep what fits from being erased, from now on."""
    person, form = signed_in(request), HoldForm(request.POST)
    if form.is_valid():
        given = form.cleaned_data
        tried(
            request,
            lambda: services.set_hold(by=person, **given),
            "The hold stands. Two people end it.",
        )
    else:
        messages.error(request, "Say what is held, on which ground, and why.")
    return redirect("legal_holds")


@login_required
@require_POST
def lift_hold(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Have the DPO asked to agree that a hold is over."""
    person = signed_in(request)
    tried(
        request,
        lambda: services.ask_lift(hold=pk, by=person),
        "It waits in the inbox of the DPO. The hold stands until another person agrees.",
    )
    return redirect("legal_holds")
