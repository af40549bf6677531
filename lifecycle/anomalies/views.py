"""Pages about alerts: what was unusual, and what was said to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from governance.kernel.errors import GovernanceError, NotFound
from governance.pictures import Hour, hours_picture
from governance.words import number_word
from lifecycle.anomalies import permissions, selectors, services
from lifecycle.anomalies.forms import AcknowledgeForm, AlertFilter, FalseAlarmForm
from lifecycle.anomalies.rules import HOUR
from lifecycle.models import Anomaly
from lifecycle.models.anomalies import COUNTED
from registry.models import Person
from registry.people import signed_in
from registry.permissions import can

PAGE = 50


@login_required
@require_GET
def alerts(request: HttpRequest) -> HttpResponse:
    """Does an agent do what it does not usually do?"""
    person = signed_in(request)
    form = AlertFilter(request.GET)
    rows = selectors.alerts(person)
    filtered = form.is_valid() and any(form.cleaned_data.values())
    if filtered:
        rows = selectors.narrowed(rows, **form.cleaned_data)
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    context = {
        "title": _title(selectors.open_alerts(person).count(), any_at_all=bool(page.object_list)),
        "form": form,
        "filtered": filtered,
        "page": page,
        "rows": [{"alert": row, "said": selectors.sentence_of(row)} for row in page.object_list],
        "counted_until": selectors.counted_until(),
    }
    return render(request, "lifecycle/anomalies.html", context)


def _title(waiting: int, *, any_at_all: bool) -> str:
    if not waiting:
        return "No alert waits for an answer" if any_at_all else "Nothing unusual was found"
    noun, verb = ("alert", "waits") if waiting == 1 else ("alerts", "wait")
    return f"{number_word(waiting).capitalize()} {noun} {verb} for an answer"


@login_required
@require_GET
def alert(request: HttpRequest, pk: int) -> HttpResponse:
    """What was unusual, beside the hours around it?"""
    person = signed_in(request)
    found = get_object_or_404(selectors.alerts(person), pk=pk)
    return render(request, "lifecycle/anomaly.html", _page(found, person))


def _page(found: Anomaly, person: Person) -> dict[str, Any]:
    hours = selectors.hours_around(found)
    zone = str(found.detail.get("zone") or "UTC")
    return {
        "alert": found,
        "said": selectors.sentence_of(found),
        "until": found.latest + HOUR,
        "zone_name": zone,
        "picture": hours_picture([Hour(**each) for each in selectors.as_drawn(hours, zone)]),
        "counted": found.kind in COUNTED,
        "has_usual": any(each.limit for each in hours),
        "acknowledge_form": AcknowledgeForm(),
        "false_form": FalseAlarmForm(),
        "why_not": can(permissions.check_can_acknowledge, found, person),
        "why_not_false": can(permissions.check_can_mark_false, found, person),
    }


@login_required
@require_POST
def acknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    """Somebody looked."""
    return _answer(request, pk, AcknowledgeForm(request.POST), services.acknowledge)


@login_required
@require_POST
def false_alarm(request: HttpRequest, pk: int) -> HttpResponse:
    """It was nothing."""
    return _answer(request, pk, FalseAlarmForm(request.POST), services.mark_false_alarm)


def _answer(
    request: HttpRequest, pk: int, form: forms.Form, answer: Callable[..., Anomaly]
) -> HttpResponse:
    if not form.is_valid():
        messages.error(request, "Say why it is nothing, in at most 500 characters.")
        return redirect("anomaly", pk=pk)
    try:
        answered = answer(anomaly_id=pk, by=signed_in(request), **form.cleaned_data)
    except NotFound:
        raise
    except GovernanceError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"Answered: {answered.get_state_display()}.")
    return redirect("anomaly", pk=pk)
