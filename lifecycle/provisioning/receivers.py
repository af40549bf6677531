"""Whatever lets an agent go live provisions it, in the same transaction."""

from __future__ import annotations

from typing import Any

from lifecycle.provisioning import services
from registry.enums import AgentState
from registry.models import Agent
from registry.permissions import Actor
from registry.signals import agent_state_changed

S = AgentState


def connect() -> None:
    """Listen; called once the models are there."""
    agent_state_changed.connect(on_state, sender=Agent, dispatch_uid="provision what goes live")


def on_state(agent: Agent, before: AgentState, by: Actor, **_: Any) -> None:
    """What raises here undoes the activation."""
    if agent.state != S.ACTIVE:
        return
    if before == S.IN_REVIEW:
        services.begin(agent, by)
    else:
        services.begin_again(agent, by)
