"""The overview, and the rows behind those of its figures that no other page lists."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from authz.enums import HoldState
from authz.models import Hold
from compliance.dashboard import figures, page
from compliance.dashboard.forms import AgentRows
from compliance.evidence.look import Row
from compliance.permissions import check_can_see_evidence
from compliance.selfaudit.standing import live_look
from governance.kernel.database_clock import database_now
from registry.people import signed_in

PAGE = 50


@never_cache
@login_required
@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    """Is anything out of hand?"""
    person = signed_in(request)
    check_can_see_evidence(person)
    return render(request, "compliance/dashboard/overview.html", page.overview(person))


@never_cache
@login_required
@require_GET
def agents(request: HttpRequest) -> HttpResponse:
    """The agents behind a figure: by tier, state and department, with what they spent today."""
    check_can_see_evidence(signed_in(request))
    form, look = AgentRows(request.GET), live_look()
    wanted = form.cleaned_data if form.is_valid() else {}
    rows = [row for row in look.rows if _fits(row, wanted, look.now)]
    spent = figures.spent_by_agent(rows, look.now)
    shown = Paginator([(row, spent.get(row.agent.slug, 0)) for row in rows], PAGE)
    context = {
        "title": _agents_title(len(rows), form),
        "form": form,
        "page": shown.get_page(request.GET.get("page")),
    }
    return render(request, "compliance/dashboard/agents.html", context)


def _agents_title(many: int, form: AgentRows) -> str:
    agents = "One agent" if many == 1 else f"{many:,} agents"
    return f"{agents}: {', '.join(said)}" if (said := form.said) else f"{agents} on the register"


def _fits(row: Row, wanted: Mapping[str, Any], now: datetime) -> bool:
    agent = row.agent
    said = {"tier": str(row.reach.tier), "state": agent.state, "department": agent.owner.department}
    if any(wanted.get(name) not in ("", None, value) for name, value in said.items()):
        return False
    if wanted.get("renewal") and not page.past_renewal(row, now):
        return False
    return not wanted.get("observed") or (row.is_live and agent.is_observed)


@never_cache
@login_required
@require_GET
def holds(request: HttpRequest) -> HttpResponse:
    """Actions that wait for a person, or those that were decided lately and how long that took."""
    check_can_see_evidence(signed_in(request))
    decided = request.GET.get("state") == "decided"
    rows = _decided() if decided else figures.open_holds(database_now()).order_by("expires_at")
    shown = Paginator(rows.select_related("decided_by"), PAGE)
    context = {
        "title": _title(shown.count, decided=decided),
        "decided": decided,
        "days": figures.DAYS,
        "page": shown.get_page(request.GET.get("page")),
    }
    return render(request, "compliance/dashboard/holds.html", context)


def _decided() -> QuerySet[Hold]:
    since = figures.first_day(database_now())
    rows = Hold.objects.filter(
        state__in=[HoldState.APPROVED, HoldState.REJECTED], decided_at__gte=since
    )
    return rows.order_by("-decided_at", "id")


def _title(many: int, *, decided: bool) -> str:
    actions = "One action" if many == 1 else f"{many:,} actions"
    if decided:
        return f"{actions} decided by people in the last {figures.DAYS} days"
    return f"{actions} {'waits' if many == 1 else 'wait'} for a person"
