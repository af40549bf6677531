"""Pages of the register's catalogue: systems, tools, people, unregistered callers."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Page, Paginator
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from governance.kernel import clock
from governance.kernel.errors import GovernanceError
from registry import permissions, services
from registry.enums import CallerState
from registry.forms import CallerFilter, SystemFilter, ToolFilter
from registry.models import Agent, System, Tool, UnregisteredCaller
from registry.people import signed_in

PAGE = 50


def _page(request: HttpRequest, rows: QuerySet[Any], sortable: dict[str, str]) -> Page[Any]:
    """The page of `rows` that the request asks for, sorted by an allowed column."""
    asked = request.GET.get("sort", "")
    column = sortable.get(asked.removeprefix("-"))
    if column:
        rows = rows.order_by(f"-{column}" if asked.startswith("-") else column, "pk")
    elif not rows.ordered:
        # Counting groups the rows, and with that the model's own order is lost.
        rows = rows.order_by(next(iter(sortable.values())), "pk")
    return Paginator(rows, PAGE).get_page(request.GET.get("page"))


@login_required
@require_GET
def systems(request: HttpRequest) -> HttpResponse:
    """Every system, with its tier and who answers for it."""
    form = SystemFilter(request.GET or None)
    rows = System.objects.select_related("owner").annotate(
        tool_count=Count("tools", distinct=True), resource_count=Count("resources", distinct=True)
    )
    if form.is_valid():
        if text := form.cleaned_data["q"]:
            rows = rows.filter(
                Q(slug__icontains=text) | Q(name__icontains=text) | Q(categories__contains=[text])
            )
        if tier := form.cleaned_data["tier"]:
            rows = rows.filter(Q(tier=tier) | (Q(tier="") if tier == "restricted" else Q()))
    page = _page(request, rows, {"name": "name", "tools": "tool_count", "slug": "slug"})
    return render(request, "registry/systems.html", {"form": form, "page": page})


@login_required
@require_GET
def system(request: HttpRequest, slug: str) -> HttpResponse:
    """One system: what lies in it, what calls it, which agreements hold."""
    found = get_object_or_404(System.objects.select_related("owner"), slug=slug)
    reaching = (
        Agent.objects.filter(
            Q(allowlist__tool__system=found)
            | Q(allowlist__tool__accesses__system=found)
            | Q(model_provider=found)
        )
        .select_related("owner")
        .distinct()
    )
    return render(
        request,
        "registry/system.html",
        {
            "system": found,
            "resources": found.resources.all(),
            "tools": found.tools.all(),
            "agreements": found.agreements.all(),
            "today": clock.now().date(),
            "agents": reaching,
            "may_change": not permissions.can(
                permissions.check_can_change_system, found, signed_in(request)
            ),
        },
    )


@login_required
@require_GET
def tools(request: HttpRequest) -> HttpResponse:
    """Every tool, with its system and effect."""
    form = ToolFilter(request.GET or None)
    rows = Tool.objects.select_related("system").annotate(agent_count=Count("allowlisted"))
    if form.is_valid():
        if text := form.cleaned_data["q"]:
            rows = rows.filter(
                Q(name__icontains=text) | Q(title__icontains=text) | Q(system__slug__icontains=text)
            )
        if effect := form.cleaned_data["effect"]:
            rows = rows.filter(effect=effect)
    page = _page(request, rows, {"name": "name", "system": "system__slug", "agents": "agent_count"})
    return render(request, "registry/tools.html", {"form": form, "page": page})


@login_required
@require_GET
def tool(request: HttpRequest, name: str) -> HttpResponse:
    """One tool: its parameters, what it touches, who may call it."""
    found = get_object_or_404(Tool.objects.select_related("system"), name=name)
    entries = found.allowlisted.select_related("agent__owner")
    return render(
        request,
        "registry/tool.html",
        {
            "tool": found,
            "parameters": _parameters(found),
            "accesses": found.accesses.select_related("system"),
            "entries": entries,
        },
    )


def _parameters(tool: Tool) -> list[dict[str, Any]]:
    """The tool's parameters as rows: name, type, whether it must be there, what it stands for."""
    roles = {
        tool.amount_parameter: "amount",
        tool.currency_parameter: "currency",
        tool.count_parameter: "record count",
        tool.recipient_parameter: "recipient",
        tool.resource_parameter: "resource",
    }
    required = tool.schema.get("required", [])
    return [
        {
            "name": name,
            "type": spec.get("type", "any") if isinstance(spec, dict) else "any",
            "rules": _rules(spec),
            "required": name in required,
            "role": "secret" if name in tool.secret_parameters else roles.get(name, ""),
        }
        for name, spec in tool.schema.get("properties", {}).items()
    ]


def _rules(spec: Any) -> str:
    """What a parameter's schema demands besides its type, in one line."""
    if not isinstance(spec, dict):
        return ""
    told = {key: value for key, value in spec.items() if key not in {"type", "description"}}
    return ", ".join(f"{key} {value}" for key, value in told.items())


@login_required
@require_GET
def callers(request: HttpRequest) -> HttpResponse:
    """Who asked without standing on the register."""
    form = CallerFilter(request.GET if "state" in request.GET else {"state": CallerState.OPEN})
    rows = UnregisteredCaller.objects.select_related("gateway", "adopted_as", "decided_by")
    if form.is_valid():
        if text := form.cleaned_data["q"]:
            rows = rows.filter(Q(claimed__icontains=text) | Q(source__icontains=text))
        if state := form.cleaned_data["state"]:
            rows = rows.filter(state=state)
    page = _page(request, rows, {"last": "last_seen", "first": "first_seen", "count": "count"})
    refusal = permissions.can(permissions.check_can_decide_callers, signed_in(request))
    return render(
        request, "registry/callers.html", {"form": form, "page": page, "refusal": refusal}
    )


@login_required
@require_POST
def block_caller(request: HttpRequest, pk: int) -> HttpResponse:
    """Mark a caller as one that never gets a row."""
    return _decide(request, services.block_caller, pk, "is blocked")


@login_required
@require_POST
def reopen_caller(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a block back."""
    return _decide(request, services.reopen_caller, pk, "is open again")


def _decide(request: HttpRequest, service: Any, pk: int, said: str) -> HttpResponse:
    try:
        caller = service(caller_id=pk, by=signed_in(request))
        messages.success(request, f"{caller.claimed or 'The nameless caller'} {said}.")
    except GovernanceError as error:
        messages.error(request, error.message)
    return redirect("callers")
