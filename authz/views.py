"""Pages that show who may do what: policies, roles, toxic combinations."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from authz.enums import PolicyState
from authz.models import GovernedTool, Policy, Role, Signature, ToxicCombination


@login_required
@require_GET
def policies(request: HttpRequest) -> HttpResponse:
    """What is in force: policies, roles and the catalogue of toxic combinations."""
    rows = Policy.objects.select_related("proposed_by", "agreed_by")
    context = {
        "active": rows.filter(state=PolicyState.ACTIVE).order_by("slug"),
        "waiting": rows.filter(state=PolicyState.PROPOSED).order_by("slug"),
        "roles": Role.objects.annotate(
            tool_count=Count("tools", distinct=True),
            agent_count=Count("agents", distinct=True),
            person_count=Count("people", distinct=True),
        ),
        "toxic": ToxicCombination.objects.filter(is_active=True),
        "signatures": Signature.objects.filter(is_active=True),
        "governed": set(GovernedTool.objects.values_list("tool", flat=True)),
    }
    return render(request, "authz/policies.html", context)


@login_required
@require_GET
def policy(request: HttpRequest, slug: str) -> HttpResponse:
    """Every version of one policy, newest first."""
    versions = list(
        Policy.objects.filter(slug=slug).select_related("proposed_by", "agreed_by")
    ) or [get_object_or_404(Policy, slug=slug)]
    return render(request, "authz/policy.html", {"slug": slug, "versions": versions})


@login_required
@require_GET
def role(request: HttpRequest, slug: str) -> HttpResponse:
    """What one role grants, and to whom."""
    found = get_object_or_404(Role, slug=slug)
    context = {
        "role": found,
        "tools": found.tools.select_related("system"),
        "agents": found.agents.select_related("owner"),
        "people": found.people.all(),
        "governed": set(GovernedTool.objects.values_list("tool", flat=True)),
    }
    return render(request, "authz/role.html", context)


@login_required
@require_GET
def signatures(request: HttpRequest) -> HttpResponse:
    """The denied signatures, those switched off as well."""
    return render(request, "authz/signatures.html", {"signatures": Signature.objects.all()})
