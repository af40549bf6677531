"""The result page: the steps, the secret once, what to paste, and the first call."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from governance.kernel.errors import GovernanceError
from lifecycle.provisioning import selectors, services
from lifecycle.provisioning.snippets import snippets_of
from registry import permissions
from registry import services as register
from registry.enums import AgentState
from registry.identity.clients import Issued
from registry.models import Agent, Person
from registry.people import signed_in, visible_agent


@login_required
@require_GET
def live(request: HttpRequest, slug: str) -> HttpResponse:
    """How the agent went live, and how it is used. Without its secret."""
    return live_page(request, visible_agent(request, slug))


def live_page(request: HttpRequest, agent: Agent, issued: Issued | None = None) -> HttpResponse:
    """The page; with `issued` the one that shows the secret. Nothing keeps it: no redirect, no
    cache, no log."""
    agent = Agent.objects.select_related("owner").get(pk=agent.pk)
    response = render(request, "lifecycle/live.html", _shown(agent, signed_in(request), issued))
    response["Cache-Control"] = "no-store"
    return response


def _shown(agent: Agent, person: Person, issued: Issued | None) -> dict[str, Any]:
    client = getattr(agent, "client", None)
    client_id = client.client_id if client else ""
    return {
        "agent": agent,
        "issued": issued,
        "client": client,
        "why_secret": _why_no_secret(agent, person),
        "snippets": snippets_of(agent, client_id, issued.secret if issued else ""),
        "kill_link": f"{settings.MUSTER_BASE_URL}{reverse('agent_suspend', args=[agent.slug])}",
        **_progress(agent, person),
    }


def _why_no_secret(agent: Agent, person: Person) -> str:
    if agent.state != AgentState.ACTIVE:
        return f"{agent.slug} is {agent.state_word}: only an active agent gets a secret."
    return permissions.can(permissions.check_can_change_agent, agent, person)


def _progress(agent: Agent, person: Person) -> dict[str, Any]:
    run = selectors.newest_run(agent)
    reach = register.fresh_reach(agent)
    return {
        "agent": agent,
        "run": run,
        "steps": list(run.steps.all()) if run else [],
        "first": selectors.first_decision(agent, run),
        "why_again": permissions.can(permissions.check_can_resume_agent, agent, reach, person),
    }


@login_required
@require_GET
def steps(request: HttpRequest, slug: str) -> HttpResponse:
    """The steps as they are now; asked for again while some are open."""
    agent = visible_agent(request, slug)
    context = _progress(agent, signed_in(request))
    return render(request, "lifecycle/provisioning/_steps.html", context)


@login_required
@require_GET
def first_call(request: HttpRequest, slug: str) -> HttpResponse:
    """Whether the first call has arrived; asked for again until it has."""
    agent = visible_agent(request, slug)
    run = selectors.newest_run(agent)
    context = {"agent": agent, "first": selectors.first_decision(agent, run)}
    return render(request, "lifecycle/provisioning/_first_call.html", context)


@login_required
@require_POST
def try_again(request: HttpRequest, slug: str) -> HttpResponse:
    """Provision anew what had to be taken back."""
    agent = visible_agent(request, slug)
    try:
        services.try_again(agent_id=agent.pk, by=signed_in(request))
    except GovernanceError as error:
        messages.error(request, error.message)
    return redirect("agent_live", slug=slug)
