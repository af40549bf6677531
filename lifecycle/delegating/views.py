"""Pages about whom an agent hands over to."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from governance.kernel.errors import GovernanceError
from lifecycle.delegating.forms import ResultForm, SubAgentForm, initial_of
from lifecycle.views import tell_saved
from registry import permissions, services
from registry.people import signed_in, visible_agent


@login_required
@require_http_methods(["GET", "POST"])
def sub_agents(request: HttpRequest, slug: str) -> HttpResponse:
    """Whom this agent may hand over to, and a form for one more."""
    agent = visible_agent(request, slug)
    form = SubAgentForm(request.POST or None, agent=agent)
    if request.method == "POST" and form.is_valid():
        try:
            saved = services.set_sub_agent(
                agent_id=agent.pk, by=signed_in(request), **form.cleaned_data
            )
            tell_saved(request, len(saved.proposed))
            return redirect("sub_agents", slug=slug)
        except GovernanceError as error:
            form.add_error(None, error.sentences)
    context = {
        "agent": agent,
        "form": form,
        "declared": list(agent.sub_agents.select_related("sub_agent__owner")),
        "why_not": permissions.can(permissions.check_can_change_agent, agent, signed_in(request)),
        "why_not_remove": permissions.can(
            permissions.check_can_narrow_agent, agent, signed_in(request)
        ),
    }
    return render(request, "lifecycle/delegating/sub_agents.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def sub_agent(request: HttpRequest, slug: str, other: str) -> HttpResponse:
    """What of the answers of one sub-agent is taken in."""
    agent = visible_agent(request, slug)
    row = get_object_or_404(agent.sub_agents.select_related("sub_agent"), sub_agent__slug=other)
    form = ResultForm(request.POST or None, initial=initial_of(row))
    if request.method == "POST" and form.is_valid():
        try:
            saved = services.set_sub_agent(
                agent_id=agent.pk,
                sub_agent=row.sub_agent,
                by=signed_in(request),
                **form.cleaned_data,
            )
            tell_saved(request, len(saved.proposed))
            return redirect("sub_agents", slug=slug)
        except GovernanceError as error:
            form.add_error(None, error.sentences)
    context = {"agent": agent, "row": row, "form": form}
    return render(request, "lifecycle/delegating/sub_agent.html", context)


@login_required
@require_POST
def remove(request: HttpRequest, slug: str, other: str) -> HttpResponse:
    """Take a sub-agent from the row, at once."""
    agent = visible_agent(request, slug)
    row = get_object_or_404(agent.sub_agents.select_related("sub_agent"), sub_agent__slug=other)
    try:
        services.remove_sub_agent(agent_id=agent.pk, sub_agent=row.sub_agent, by=signed_in(request))
        messages.success(
            request, f"{agent.slug} hands over to {other} no more. What it handed over is refused."
        )
    except GovernanceError as error:
        messages.error(request, error.sentences)
    return redirect("sub_agents", slug=slug)
