"""Pages of evidence: where do we stand with each framework, and why?"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from audit import services as audit
from audit.enums import Kind
from compliance import pages, permissions
from compliance.annexes import tables
from compliance.catalogue import framework, frameworks
from compliance.comparing import compared
from compliance.evidence import Asking, Look, look_asked
from compliance.forms import LookForm, ReportForm
from compliance.models import Report
from compliance.reports import files
from registry.models import Person
from registry.people import signed_in
from registry.permissions import can

PAGE = 50
LATEST = 5


def reader(request: HttpRequest) -> Person:
    """Who looks, if they may."""
    person = signed_in(request)
    permissions.check_can_see_evidence(person)
    return person


def asked_look(request: HttpRequest) -> Look:
    """The period and the scope of the address; the quarter that runs, and everyone."""
    return look_asked(request.GET.get("period", ""), request.GET.get("scope", ""))


def look_context(look: Look) -> dict[str, Any]:
    """What every page of evidence shows: of when and of whom."""
    given = {"period": look.period.key, "scope": look.scope.key}
    form = LookForm(initial=given, today=look.now.date(), chosen=look.period)
    return {"look": look, "look_form": form, "query": pages.query_string(look)}


@login_required
@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    """Where do we stand with each framework, and why?"""
    person, look = reader(request), asked_look(request)
    found = pages.standings(Asking(look))
    given = {"period": look.period.key, "scope": look.scope.key}
    context = {
        **look_context(look),
        "title": pages.title_of(found, look.registered),
        "lede": pages.lede_of(look, found),
        "standings": found,
        "matrix": pages.matrix(found),
        "covered": look.covered,
        "form": ReportForm(initial=given, today=look.now.date(), chosen=look.period),
        "why_not": can(permissions.check_can_make_reports, person),
        "reports": Report.objects.select_related("asked_by")[:LATEST],
    }
    return render(request, "compliance/evidence.html", context)


@login_required
@require_GET
def one_framework(request: HttpRequest, framework_id: str) -> HttpResponse:
    """How does each line of this framework stand?"""
    reader(request)
    asked, look = framework(framework_id), asked_look(request)
    standing = pages.Standing(asked, tuple(Asking(look).framework(asked)))
    context = {
        **look_context(look),
        "standing": standing,
        "framework": asked,
        "annexes": [tables()[name] for name in asked.annexes],
    }
    return render(request, "compliance/framework.html", context)


@login_required
@require_GET
def control(request: HttpRequest, framework_id: str, control_id: str) -> HttpResponse:
    """Why does this line stand so, and what is to be done?"""
    reader(request)
    asked = framework(framework_id)
    line = asked.control(control_id)
    look = asked_look(request)
    found = Asking(look).control(asked, line)
    beside = asked.controls.index(line)
    context = {
        **look_context(look),
        "framework": asked,
        "control": line,
        "found": found,
        "before": asked.controls[beside - 1] if beside else None,
        "after": asked.controls[beside + 1] if beside + 1 < len(asked.controls) else None,
        "annexes": [tables()[name] for name in line.annexes],
    }
    return render(request, "compliance/control.html", context)


@login_required
@require_GET
def annex(request: HttpRequest, framework_id: str, name: str) -> HttpResponse:
    """One register or log, for the agents that the framework is about."""
    reader(request)
    asked, look = framework(framework_id), asked_look(request)
    table = tables().get(name)
    if table is None:
        raise Http404
    rows = list(table.rows(look.about(asked.concern)))
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    context = {**look_context(look), "framework": asked, "table": table, "page": page}
    return render(request, "compliance/annex.html", context)


@login_required
@require_GET
def annex_csv(request: HttpRequest, framework_id: str, name: str) -> HttpResponse:
    """The same as CSV. That it is fetched is recorded."""
    person = reader(request)
    permissions.check_can_make_reports(person)
    asked, look = framework(framework_id), asked_look(request)
    table = tables().get(name)
    if table is None:
        raise Http404
    content = files.csv_bytes(table.columns, table.rows(look.about(asked.concern)))
    audit.record(
        kind=Kind.ACCESS,
        actor=person.pid,
        asked={"did": "annex_fetched", "annex": name, "framework": asked.id,
               "period": look.period.key, "scope": look.scope.key,
               "sha256": files.digest(content)},
    )  # fmt: skip
    answer = HttpResponse(content, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{asked.id}-{name}.csv"'
    answer["Cache-Control"] = "no-store"
    return answer


@login_required
@require_GET
def compare(request: HttpRequest) -> HttpResponse:
    """What is better, and what is worse, than in the period before?"""
    reader(request)
    look = asked_look(request)
    wanted = request.GET.get("framework", frameworks()[0].id)
    asked = framework(wanted)
    context = {
        **look_context(look),
        "framework": asked,
        "frameworks": frameworks(),
        "compared": compared(asked, look),
    }
    return render(request, "compliance/compare.html", context)
