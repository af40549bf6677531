"""Secrets of agents and gateways that have none yet."""

from __future__ import annotations

from django.db.models import QuerySet

from lifecycle.apply.plan import Step
from lifecycle.apply.steps.run import Run, set_difference
from registry import guard
from registry.identity import clients
from registry.models import Agent, Client, Gateway

HOW = "no secret yet: apply again with --secrets FILE, or make one on its page"


def issue_for_agent(run: Run, step: Step) -> None:
    """A secret for an active agent that has neither secret nor keys."""
    agent = run.agent(step.item.label)
    if guard.refusal(agent) is None and not _can_prove_itself(Client.objects.filter(agent=agent)):
        _issue(run, step, agent=agent)


def issue_for_gateway(run: Run, step: Step) -> None:
    """A secret for an active gateway that has no client."""
    gateway = run.gateway(step.item.label)
    if gateway.is_active and not _can_prove_itself(Client.objects.filter(gateway=gateway)):
        _issue(run, step, gateway=gateway)


def _can_prove_itself(clients: QuerySet[Client]) -> bool:
    return clients.exclude(secret_digest="", jwks={}).exists()


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
