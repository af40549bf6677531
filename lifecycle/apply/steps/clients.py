"""Secrets of agents and gateways that have none yet."""

from __future__ import annotations

from lifecycle.apply.plan import Step
from lifecycle.apply.steps.run import Run, set_difference
from registry import guard
from registry.identity import clients
from registry.models import Agent, Client, Gateway

HOW = "no secret yet: apply again with --secrets FILE, or make one on its page"


def issue_for_agent(run: Run, step: Step) -> None:
    """A secret for an active agent that has no client."""
    agent = run.agent(step.item.label)
    if guard.refusal(agent) is None and not Client.objects.filter(agent=agent).exists():
        _issue(run, step, agent=agent)


def issue_for_gateway(run: Run, step: Step) -> None:
    """A secret for an active gateway that has no client."""
    gateway = run.gateway(step.item.label)
    if gateway.is_active and not Client.objects.filter(gateway=gateway).exists():
        _issue(run, step, gateway=gateway)


def _issue(
    run: Run, step: Step, *, agent: Agent | None = None, gateway: Gateway | None = None
) -> None:
    if run.secrets is None:
        if step.differences:
            step.notes.append(HOW)
        return
    issued = clients.issue_client(agent=agent, gateway=gateway, by=run.by)
    run.secrets.add(
        step.item.kind,
        step.item.label,
        client_id=issued.client_id,
        client_secret=issued.secret,
    )
    set_difference(step, "client", None, issued.client_id)
    step.notes.append(f"its secret is in {run.secrets.path}")
