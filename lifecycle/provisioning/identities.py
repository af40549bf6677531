"""The step of each identity provider outside: an agent that goes live gets its client there."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from governance.kernel.errors import NotFound, Unavailable
from lifecycle.provisioning import outside
from lifecycle.provisioning.outside import OutsideStep
from registry.identity import providers
from registry.models import Agent


def register_steps() -> None:
    """One step for each provider of the installation."""
    for provider in providers.configured():
        outside.register(step_of(provider.name))


def step_of(provider: str) -> OutsideStep:
    """The step that makes an agent's client at `provider`, and takes it back."""
    return OutsideStep(
        name=f"identity:{provider}",
        title=f"Client at {provider}",
        wanted=_every,
        do=partial(_make, provider),
        undo=partial(_take_back, provider),
    )


def _every(agent: Agent) -> bool:
    return True


def _make(provider: str, agent: Agent, run_id: UUID) -> str:
    made = providers.register(agent_id=agent.pk, provider=provider)
    if not made.is_live:
        raise Unavailable(made.why or f"{provider} is being told of it at this moment.")
    return f"It is {made.client_id} at {provider}."


def _take_back(provider: str, agent: Agent) -> None:
    try:
        providers.delete(agent_id=agent.pk, provider=provider)
    except NotFound:
        # Nothing was made there.
        return
