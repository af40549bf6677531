"""What a template does when the register changes."""

from __future__ import annotations

from typing import Any

from authz.engine.acting import MAX_DEPTH
from authz.services import delegations
from lifecycle.models.templates import FromTemplate
from lifecycle.templates import permissions, services
from lifecycle.templates.content import read_content
from registry import changes
from registry import services as register
from registry.enums import AgentState
from registry.models import Agent
from registry.permissions import Actor
from registry.signals import agent_state_changed


def connect() -> None:
    """Listen to the register, and say how a proposed template is applied."""
    changes.register(
        services.ACTIVATION_KIND,
        services.apply_activation,
        who=permissions.check_who_agrees,
        dropped=services.drop_activation,
    )
    delegations.use_depths(depth_of)
    agent_state_changed.connect(
        renew_as_the_template_says, dispatch_uid="lifecycle.renew as the template says"
    )


def depth_of(agent: Agent) -> int:
    """How deep what an agent hands on may go, as the template says that it was made from."""
    origin = FromTemplate.objects.select_related("template").filter(agent=agent).first()
    return read_content(origin.template.content).delegation_depth if origin else MAX_DEPTH


def renew_as_the_template_says(*, agent: Agent, before: AgentState, by: Actor, **_: Any) -> None:
    """Bring the renewal of a row that goes live forward, where its template asks for it sooner."""
    if (before, agent.state) != (AgentState.IN_REVIEW, AgentState.ACTIVE):
        return
    origin = FromTemplate.objects.select_related("template").filter(agent=agent).first()
    if origin is None:
        return
    months = read_content(origin.template.content).renewal_months
    register.renew_within(agent_id=agent.pk, months=months, by=by)
    agent.refresh_from_db(fields=["renewal_due"])
