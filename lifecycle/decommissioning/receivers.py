"""Whatever begins the end of an agent has it ended, in the same transaction."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from lifecycle.decommissioning import services
from lifecycle.models import EndRun
from registry.enums import AgentState
from registry.models import Agent
from registry.permissions import Actor
from registry.signals import agent_state_changed


def connect() -> None:
    """Listen; called once the models are there."""
    agent_state_changed.connect(on_state, sender=Agent, dispatch_uid="end what is decommissioned")


def on_state(
    agent: Agent, before: AgentState, by: Actor, record: UUID, reason: str = "", **_: Any
) -> None:
    """What raises here undoes the move."""
    if agent.state == AgentState.DECOMMISSIONING:
        services.begin(agent, before, by, reason, record)
    elif agent.state == AgentState.DECOMMISSIONED:
        EndRun.objects.filter(agent=agent).update(closed_record=record)
