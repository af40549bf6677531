"""Pages of an incident. Who sees what is as on the trail, and as there only what leaves is told."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from audit import services as audit
from audit.enums import Kind
from audit.payloads import canonical
from audit.selectors import AuditScope
from authz import permissions as authorization_rights
from compliance.errors import BadHandle
from compliance.incident import handles, pages, paper
from compliance.incident.document import document_of, summary_of
from compliance.incident.forms import AskedForm, FindForm
from compliance.incident.gathering import Incident, gather
from compliance.reports import files
from governance.kernel import clock
from registry.models import Person
from registry.people import signed_in
from registry.permissions import can


@login_required
@require_GET
def incident(request: HttpRequest) -> HttpResponse:
    """What happened, who caused it, was it authorized, what data was touched?"""
    person = signed_in(request)
    if "handle" not in request.GET:
        return _start(request, person)
    found = _asked(request, person.audit_scope())
    return render(request, "compliance/incident/incident.html", _shown(found, person))


def _start(request: HttpRequest, person: Person) -> HttpResponse:
    """One field that takes any name; straight on where only one thing is meant."""
    form = FindForm(request.GET or None)
    context: dict[str, Any] = {"form": form, "scope": person.audit_scope()}
    if not form.is_bound:
        return render(request, "compliance/incident/find.html", {**context, "form": FindForm()})
    if not form.is_valid():
        return render(request, "compliance/incident/find.html", context, status=400)
    text, span = form.cleaned_data["q"].strip(), form.span()
    choices = handles.meant(text, person)
    if not text and span.since:
        choices = [handles.Choice(handles.Handle(handles.HandleKind.EVERYTHING), "", span=span)]
    if len(choices) == 1:
        return redirect(_address(choices[0], form))
    told = [(choice, _address(choice, form)) for choice in choices]
    return render(
        request, "compliance/incident/find.html", {**context, "choices": told, "text": text}
    )


def _address(choice: handles.Choice, form: FindForm) -> str:
    return f"{reverse('incident')}?{pages.query(choice.handle.key, choice.span or form.span())}"


def _asked(request: HttpRequest, scope: AuditScope) -> Incident:
    form = AskedForm(request.GET)
    if not form.is_valid():
        told = form.errors.get_json_data()
        raise BadHandle(
            fields={name: [each["message"] for each in found] for name, found in told.items()}
        )
    return gather(form.asked(), scope)


def _shown(found: Incident, person: Person) -> dict[str, Any]:
    systems, actors = pages.by_system(found), pages.by_actor(found)
    propose_url, why_nothing = pages.proposal(found)
    start, end = pages.spans_of(found) if found.calls else (found.span.since, found.span.until)
    given = {"q": pages.typed(found), **pages.typed_span(found.span)}
    lanes = len({each.system for each in systems}), len({each.system for each in actors})
    return {
        "incident": found,
        "scope": person.audit_scope(),
        "form": FindForm(initial=given),
        "query": pages.query_of(found),
        "rows": pages.rows_of(found),
        "systems": systems,
        "actors": actors if lanes[1] > 1 else [],
        "systems_said": pages.said(found, "system", lanes[0]),
        "actors_said": pages.said(found, "run", lanes[1]),
        "start": start,
        "end": end,
        "propose_url": propose_url,
        "why_not": can(authorization_rights.check_can_change_toxic, person) or why_nothing,
        "now": clock.now(),
        **pages.paging(found),
    }


@login_required
@require_GET
def on_paper(request: HttpRequest) -> HttpResponse:
    """The same as an incident report. That it is fetched is recorded, with what it says."""
    person = signed_in(request)
    found = _asked(request, person.audit_scope())
    whole = document_of(found)
    document = canonical(whole)
    sha256 = files.digest(document)
    recorded = audit.record(
        kind=Kind.ACCESS,
        actor=person.pid,
        asked={"did": "incident_report_fetched", **summary_of(whole), "sha256": sha256},
    )
    stamp = paper.stamp_of(found, person, str(recorded), sha256)
    answer = HttpResponse(
        paper.pdf_of(document, stamp, clock.now()), content_type="application/pdf"
    )
    answer["Content-Disposition"] = 'attachment; filename="muster-incident.pdf"'
    answer["Cache-Control"] = "no-store"
    return answer
