"""What happens to an agent closes its cases, in the same transaction."""

from __future__ import annotations

from typing import Any

from lifecycle.cases import services
from registry.enums import AgentState
from registry.models import Agent
from registry.permissions import Actor
from registry.signals import agent_state_changed


def connect() -> None:
    """Listen; called once the models are there."""
    agent_state_changed.connect(on_state, sender=Agent, dispatch_uid="close cases of what ends")


def on_state(agent: Agent, by: Actor, **_: Any) -> None:
    """Nothing is asked about an agent that ends."""
    if agent.state == AgentState.DECOMMISSIONING:
        services.close_of_ended(agent, by)
