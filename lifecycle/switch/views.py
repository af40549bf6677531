"""Pages of the kill switch."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from governance.kernel.errors import GovernanceError
from governance.words import number_word
from lifecycle import tasks
from lifecycle.models import MassSuspension
from lifecycle.permissions import check_can_suspend_many
from lifecycle.switch import selectors, services
from lifecycle.switch.forms import FamilyForm, OrderForm
from registry import permissions
from registry.models import Agent, Person
from registry.people import signed_in
from registry.reach import PREFETCH, reaches_of

PAGE = 50
SHOWN = 20


@login_required
@require_GET
def suspended(request: HttpRequest) -> HttpResponse:
    """What is stopped, by whom, and who can start it again?"""
    person = signed_in(request)
    rows = selectors.suspended(person).prefetch_related(*PREFETCH)
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "rows": _rows(list(page.object_list), person),
        "title": _title(page.paginator.count),
        "why_not_many": permissions.can(check_can_suspend_many, person),
        "orders": selectors.open_orders().select_related("by"),
    }
    return render(request, "lifecycle/suspended.html", context)


def _title(count: int) -> str:
    if not count:
        return "Nothing is suspended"
    verb, noun = ("is", "agent") if count == 1 else ("are", "agents")
    return f"{number_word(count).capitalize()} {noun} {verb} suspended"


def _rows(agents: list[Agent], person: Person) -> list[dict[str, Any]]:
    """Each with the sentence for which this person may not start it again, if there is one."""
    return [
        {
            "agent": agent,
            "tier": str(reach.tier),
            "why_not": permissions.can(permissions.check_can_resume_agent, agent, reach, person),
        }
        for agent, reach in reaches_of(agents)
    ]


@login_required
@require_http_methods(["GET", "POST"])
def suspend_many(request: HttpRequest) -> HttpResponse:
    """First how many that would stop and which, then the word."""
    by = signed_in(request)
    check_can_suspend_many(by)
    family = FamilyForm(request.GET or None)
    if not family.is_valid():
        return render(request, "lifecycle/suspend_family.html", {"form": family})
    members = selectors.family_members(family.cleaned_data["family"], family.target)
    count = members.count()
    order = OrderForm(request.POST or None, initial={"seen": count})
    if request.method == "POST" and order.is_valid():
        try:
            return _order(family, order, by)
        except GovernanceError as error:
            messages.error(request, error.message)
            return redirect(request.get_full_path())
    context = {
        "family": family,
        "said": family.said,
        "order": order,
        "count": count,
        "members": members.select_related("owner")[:SHOWN],
        "more": max(0, count - SHOWN),
    }
    return render(request, "lifecycle/suspend_many.html", context)


def _order(family: FamilyForm, order: OrderForm, by: Person) -> HttpResponse:
    made = services.order_suspension(
        family=family.cleaned_data["family"], target=family.target, by=by, **order.cleaned_data
    )
    services.carry_out(made)
    made.refresh_from_db()
    if made.ended_at is None:
        tasks.set_off("suspensions")
    return redirect("suspension", pk=made.pk)


@login_required
@require_GET
def suspension(request: HttpRequest, pk: int) -> HttpResponse:
    """How far is it?"""
    check_can_suspend_many(signed_in(request))
    order = get_object_or_404(MassSuspension.objects.select_related("by"), pk=pk)
    left = 0 if order.ended_at else selectors.left_of(order).count()
    context = {"order": order, "left": left, "stopped": max(0, order.total - left)}
    # The fragment is what htmx asks for again until all are stopped.
    name = "_suspension" if getattr(request, "htmx", False) else "suspension"
    return render(request, f"lifecycle/{name}.html", context)
