"""Who answers for an idle agent."""

from __future__ import annotations

from governance.kernel.errors import NotAllowed
from registry import permissions
from registry.models import Agent, Person


def check_can_answer(agent: Agent, by: Person) -> None:
    """Its owner, or who stands in for them."""
    permissions.check_may_act(by)
    if not permissions.answers_for(agent, by):
        also = f" or {agent.backup_owner}" if agent.backup_owner else ""
        raise NotAllowed(f"Only its owner {agent.owner}{also} answers for {agent.slug}.")
