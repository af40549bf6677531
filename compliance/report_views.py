"""Pages of reports: asked for, made, planned, handed out, fetched."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from compliance import period, permissions, tasks
from compliance.catalogue import framework
from compliance.enums import ReportState
from compliance.forms import LinkForm, PlanForm, ReportForm
from compliance.models import DownloadLink, Report, ReportFile, ReportSchedule
from compliance.reports import making, services, signing
from compliance.views import reader
from governance.kernel import clock
from governance.kernel.errors import GovernanceError, NotAllowed
from registry.people import signed_in
from registry.permissions import can

PAGE = 30
TYPES = {"bundle.zip": "application/zip", "report.pdf": "application/pdf"}


@login_required
@require_GET
def reports(request: HttpRequest) -> HttpResponse:
    """Which reports are there, and which are made by the clock?"""
    person = reader(request)
    rows = Report.objects.select_related("asked_by", "schedule").prefetch_related("files")
    today = clock.now().date()
    chosen = period.quarter_of(today).before
    context = {
        "page": Paginator(rows, PAGE).get_page(request.GET.get("page")),
        "plans": ReportSchedule.objects.filter(ended_at__isnull=True).select_related("made_by"),
        "form": ReportForm(initial={"period": chosen.key}, today=today, chosen=chosen),
        "plan_form": PlanForm(),
        "why_not": can(permissions.check_can_make_reports, person),
        "why_not_plan": can(permissions.check_can_plan_reports, person),
        "fingerprint": signing.fingerprint(),
    }
    return render(request, "compliance/reports.html", context)


@login_required
@require_POST
def ask(request: HttpRequest) -> HttpResponse:
    """Have a report made."""
    person = signed_in(request)
    given = request.POST
    try:
        report = services.ask_report(
            framework_id=given.get("framework", ""),
            period=period.read(given.get("period", "")),
            scope_key=given.get("scope", ""),
            by=person,
        )
    except NotAllowed:
        raise
    except GovernanceError as error:
        messages.error(request, error.message)
        return redirect("evidence_reports")
    tasks.set_off(report)
    return redirect("evidence_report", pk=report.pk)


@login_required
@require_GET
def report(request: HttpRequest, pk: UUID) -> HttpResponse:
    """How far is this report, and what does it say?"""
    reader(request)
    return render(request, "compliance/report.html", _page(request, _found(pk)))


@login_required
@require_GET
def progress(request: HttpRequest, pk: UUID) -> HttpResponse:
    """How far it is; asked for again while it is being made."""
    reader(request)
    found = _found(pk)
    answer = render(request, "compliance/_progress.html", _progress(found))
    if not found.is_open:
        answer["HX-Refresh"] = "true"
    return answer


def _found(pk: UUID) -> Report:
    rows = Report.objects.select_related("asked_by", "schedule")
    return get_object_or_404(rows, pk=pk)


def _progress(found: Report) -> dict[str, Any]:
    now = clock.now()
    running = found.state == ReportState.RUNNING
    silent = running and not making.is_alive(found, now)
    waits = found.state == ReportState.WAITING and now - found.asked_at > making.SILENCE
    return {"report": found, "silent": silent or waits}


def _page(request: HttpRequest, found: Report, **more: Any) -> dict[str, Any]:
    person = signed_in(request)
    return {
        **_progress(found),
        "framework": framework(found.framework),
        "files": found.files.defer("content"),
        "links": found.links.select_related("made_by"),
        "now": clock.now(),
        "link_form": LinkForm(),
        "why_not": can(permissions.check_can_make_reports, person),
        "why_not_link": can(permissions.check_can_plan_reports, person),
        "fingerprint": signing.fingerprint(),
        **more,
    }


@login_required
@require_POST
def again(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Have it made again after it failed."""
    try:
        tasks.set_off(services.make_again(report_id=pk, by=signed_in(request)))
    except NotAllowed:
        raise
    except GovernanceError as error:
        messages.error(request, error.message)
    return redirect("evidence_report", pk=pk)


@login_required
@require_GET
@never_cache
def fetch(request: HttpRequest, pk: UUID, name: str) -> HttpResponse:
    """One file. That it is fetched is recorded first."""
    found = services.fetch_file(report_id=pk, name=name, by=signed_in(request))
    return sent(found)


def sent(found: ReportFile) -> HttpResponse:
    """A file as a download, which no cache keeps."""
    report = found.report
    stem = f"{report.framework}-{report.first}-{report.last}"
    suffix = found.name.rpartition(".")[2]
    kind = TYPES.get(found.name, "application/octet-stream")
    answer = HttpResponse(bytes(found.content), content_type=kind)
    answer["Content-Disposition"] = f'attachment; filename="muster-{stem}.{suffix}"'
    answer["Cache-Control"] = "no-store"
    answer["X-Content-Type-Options"] = "nosniff"
    return answer


# By the clock


@login_required
@require_POST
def plan(request: HttpRequest) -> HttpResponse:
    """Have a report made after each month or quarter."""
    form = PlanForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose a framework and how often.")
        return redirect("evidence_reports")
    given = form.cleaned_data
    planned = services.plan_reports(
        framework_id=given["framework"],
        cadence=given["cadence"],
        scope_key="",
        by=signed_in(request),
    )
    messages.success(request, f"A report is made {planned.get_cadence_display()}.")
    return redirect("evidence_reports")


@login_required
@require_POST
def end_plan(request: HttpRequest, pk: int) -> HttpResponse:
    """Have no more reports made by this clock."""
    services.end_plan(schedule_id=pk, by=signed_in(request))
    messages.success(request, "No more reports are made by it. Those that were made stay.")
    return redirect("evidence_reports")


# Links for who has no account here


@login_required
@require_POST
@never_cache
def link(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Make a link. Its address is shown this once."""
    person, form = signed_in(request), LinkForm(request.POST)
    permissions.check_can_plan_reports(person)
    found = _found(pk)
    if not form.is_valid():
        return render(
            request, "compliance/report.html", _page(request, found, link_form=form), status=400
        )
    made, token = services.make_link(report_id=pk, by=person, **form.cleaned_data)
    address = request.build_absolute_uri(reverse("evidence_link", args=[token]))
    more = {"made_link": made, "address": address}
    answer = render(request, "compliance/report.html", _page(request, found, **more))
    answer["Cache-Control"] = "no-store"
    return answer


@login_required
@require_POST
def end_link(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Have a link open nothing any more."""
    ended = services.end_link(link_id=pk, by=signed_in(request))
    messages.success(request, f"The link for {ended.whom} opens nothing any more.")
    return redirect("evidence_report", pk=ended.report_id)


@require_GET
@never_cache
def by_link(request: HttpRequest, token: str) -> HttpResponse:
    """What who has the link may fetch. No account is needed, and nothing else is shown."""
    opened = services.open_link(token)
    context = _linked(opened, token)
    answer = render(request, "compliance/link.html", context)
    answer["Referrer-Policy"] = "no-referrer"
    answer["X-Robots-Tag"] = "noindex"
    return answer


def _linked(opened: DownloadLink, token: str) -> dict[str, Any]:
    found = opened.report
    return {
        "link": opened,
        "report": found,
        "framework": framework(found.framework),
        "files": found.files.defer("content"),
        "token": token,
        "fingerprint": signing.fingerprint(),
    }


@require_GET
@never_cache
def fetch_by_link(request: HttpRequest, token: str, name: str) -> HttpResponse:
    """One file by a link. That it is fetched is recorded first."""
    answer = sent(services.fetch_by_link(token=token, name=name))
    answer["Referrer-Policy"] = "no-referrer"
    return answer


@require_GET
def key(request: HttpRequest) -> HttpResponse:
    """The public key of the bundles, as PEM."""
    return HttpResponse(signing.public_key(), content_type="application/x-pem-file")
