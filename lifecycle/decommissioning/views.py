"""The end of an agent on the site: the plan, the order, the words of who relies on it, progress,
the certificate, and registering it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance.kernel.errors import GovernanceError
from lifecycle.decommissioning import printing, reading, selectors, services
from lifecycle.decommissioning.answers import what_follows
from lifecycle.decommissioning.plan import plan_of
from lifecycle.forms import ReasonForm
from lifecycle.models import EndRun
from lifecycle.models.decommissioning import EndStepState
from registry import permissions
from registry.models import Agent, Person
from registry.people import signed_in, visible_agent


@login_required
@require_http_methods(["GET", "POST"])
def end(request: HttpRequest, slug: str) -> HttpResponse:
    """What would end with it; what ends now; what is left of it."""
    agent, person = _agent(request, slug), signed_in(request)
    form = ReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.end(agent_id=agent.pk, by=person, reason=form.cleaned_data["reason"])
            messages.success(request, what_follows(made.agent))
            return redirect("agent_end", slug=slug)
        except GovernanceError as error:
            form.add_error(None, error.sentences)
    run = reading.run_of(agent)
    shown = _progress(agent, person) if run else _planned(agent, person)
    return render(request, "lifecycle/decommissioning/end.html", {**shown, "form": form})


def _agent(request: HttpRequest, slug: str) -> Agent:
    """For who sees the agent, and for who is asked for their word."""
    found = selectors.agent_for(signed_in(request), slug)
    if found is None:
        raise Http404
    return found


def _planned(agent: Agent, person: Person) -> dict[str, Any]:
    return {
        "agent": agent,
        "plan": plan_of(agent, person),
        "mine": reading.mine(agent, person),
        "sees_all": selectors.sees(person, agent),
        "why_end": permissions.can(permissions.check_can_decommission_agent, agent, person),
    }


def _progress(agent: Agent, person: Person) -> dict[str, Any]:
    """How far it is. Whoever only relies on it reads that it ends, and nothing of what it held."""
    run = reading.run_of(agent)
    told = {
        "agent": agent,
        "run": run,
        "mine": reading.mine(agent, person),
        "sees_all": selectors.sees(person, agent),
    }
    return told | (_whole(agent, run, person) if run and told["sees_all"] else {})


def _whole(agent: Agent, run: EndRun, person: Person) -> dict[str, Any]:
    return {
        "steps": list(run.steps.all()),
        "left": reading.left_of(run),
        "live": selectors.live_credentials(agent),
        "clients": reading.clients_left(agent),
        "certificates": list(run.certificates.order_by("-edition")),
        "stuck": run.steps.exclude(state=EndStepState.DONE).exists(),
        "dependents": reading.dependents_of(agent),
        "successions": agent.successions.select_related("later", "by"),
        "why_again": permissions.can(permissions.check_can_suspend_agent, agent, person),
        "why_confirm": permissions.can(permissions.check_can_change_agent, agent, person),
    }


@login_required
@require_GET
def steps(request: HttpRequest, slug: str) -> HttpResponse:
    """The steps as they are now; asked for again while some are open."""
    context = _progress(visible_agent(request, slug), signed_in(request))
    return render(request, "lifecycle/decommissioning/_steps.html", context)


@login_required
@require_POST
def acknowledge(request: HttpRequest, slug: str) -> HttpResponse:
    """Say that one knows."""
    agent = _agent(request, slug)
    return _act(
        request,
        slug,
        lambda: services.acknowledge(agent_id=agent.pk, by=signed_in(request)),
        "It stands on the record that you know.",
    )


@login_required
@require_POST
def withdraw(request: HttpRequest, slug: str) -> HttpResponse:
    """Take the order back."""
    agent = _agent(request, slug)
    return _act(
        request,
        slug,
        lambda: services.withdraw(agent_id=agent.pk, by=signed_in(request)),
        f"{agent.slug} goes on. Those who were asked are told.",
    )


@login_required
@require_POST
def try_again(request: HttpRequest, slug: str) -> HttpResponse:
    """Do not wait for the next try."""
    agent = _agent(request, slug)
    return _act(
        request,
        slug,
        lambda: services.try_again(agent_id=agent.pk, by=signed_in(request)),
        "It is tried again now.",
    )


@login_required
@require_POST
def confirm_client(request: HttpRequest, slug: str, provider: str) -> HttpResponse:
    """Someone's word that a client at an identity provider is gone there."""
    agent, form = _agent(request, slug), ReasonForm(request.POST)
    reason = form.cleaned_data["reason"] if form.is_valid() else ""
    return _act(
        request,
        slug,
        lambda: services.confirm_client(
            agent_id=agent.pk, provider=provider, by=signed_in(request), reason=reason
        ),
        f"The client at {provider} no longer counts as there.",
    )


def _act(request: HttpRequest, slug: str, act: Callable[[], object], said: str) -> HttpResponse:
    try:
        act()
        messages.success(request, said)
    except GovernanceError as error:
        messages.error(request, error.sentences)
    return redirect("agent_end", slug=slug)


@login_required
@require_GET
def certificate(request: HttpRequest, slug: str, edition: int, form: str) -> HttpResponse:
    """One edition, as it was issued: the same bytes every time."""
    found = selectors.certificate_of(visible_agent(request, slug), edition)
    name = f"{slug}-end-{found.edition}.{form}"
    if form == "pdf":
        return _file(printing.pdf_of(found), "application/pdf", name)
    return _file(bytes(found.document), "application/json", name)


def _file(content: bytes, kind: str, name: str) -> HttpResponse:
    response = HttpResponse(content, content_type=kind)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
