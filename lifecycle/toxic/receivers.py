"""When agents are looked at again: after every change of what they reach, or of the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from authz.models import Role, ToxicCombination
from authz.services.toxic import OUTPUT_KIND
from authz.signals import role_changed, toxic_changed
from lifecycle.toxic import answering, checking, gate
from registry import changes
from registry.enums import AgentState
from registry.models import Agent, Clearance, Person, ProposedChange
from registry.permissions import Actor
from registry.services.agents import STAY_KIND
from registry.signals import (
    agent_state_changed,
    agent_transferred,
    catalogue_changed,
    change_decided,
    reach_changed,
    row_changed,
)


def connect() -> None:
    """Listen, and say how what is proposed here takes effect; called once the models are there."""
    for signal in (agent_state_changed, row_changed, reach_changed):
        signal.connect(on_agent, sender=Agent, dispatch_uid=f"toxic row {id(signal)}")
    agent_state_changed.connect(on_state, sender=Agent, dispatch_uid="toxic gate")
    agent_transferred.connect(on_transfer, sender=Agent, dispatch_uid="toxic transfer")
    catalogue_changed.connect(on_systems, dispatch_uid="toxic systems")
    role_changed.connect(on_role, sender=Role, dispatch_uid="toxic role")
    toxic_changed.connect(on_catalogue, sender=ToxicCombination, dispatch_uid="toxic catalogue")
    change_decided.connect(on_decided, sender=ProposedChange, dispatch_uid="toxic outputs")
    changes.register(
        answering.ELEVATE_KIND,
        answering.apply_elevation,
        interested=answering.interested_in_elevation,
        dropped=answering.drop_elevation,
    )
    changes.register(
        answering.JUNCTION_KIND,
        answering.apply_junction,
        interested=answering.interested_in_junction,
    )


def on_agent(agent: Agent, **_: Any) -> None:
    """A row has changed, or is in another state."""
    checking.ask_for([agent.owner_id])


def on_state(agent: Agent, before: AgentState, **_: Any) -> None:
    """Nothing goes live unanswered, but what is loaded first: what raises here undoes the move."""
    goes_live = (before, agent.state) == (AgentState.IN_REVIEW, AgentState.ACTIVE)
    newest = agent.clearances.first() if goes_live else None
    if newest is not None and newest.basis != Clearance.Basis.BOOTSTRAP:
        gate.require_answered(agent)


def on_transfer(agent: Agent, before: Person, **_: Any) -> None:
    """An agent lies with other agents from now on."""
    checking.ask_for([before.pk, agent.owner_id])


def on_systems(systems: Sequence[str], **_: Any) -> None:
    """Systems, what lies in them, or their tools are otherwise than they were."""
    checking.ask_for_systems(systems)


def on_role(role: Role, **_: Any) -> None:
    """A role grants other tools, or is held by other agents."""
    checking.ask_for(role.agents.values_list("owner_id", flat=True))


def on_catalogue(combination: ToxicCombination, by: Person, **_: Any) -> None:
    """Everything that exists is looked at again."""
    checking.ask_for_everything(combination, by)


def on_decided(change: ProposedChange, by: Actor, **_: Any) -> None:
    """A live agent may stay as it is or not; what one puts out may count as less from now on."""
    if change.kind == STAY_KIND:
        answering.staying_decided(change, by)
    if change.kind == OUTPUT_KIND:
        checking.ask_for(Agent.objects.filter(slug=change.agent).values_list("owner_id", flat=True))
