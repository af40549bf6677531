"""Who may say that an agent stays where it is."""

from __future__ import annotations

from governance.kernel.errors import NotAllowed
from lifecycle.models import Case
from registry import permissions as register
from registry.enums import GroupName
from registry.models import Person
from registry.permissions import in_group


def check_can_keep(case: Case, by: Person) -> None:
    """The owner, their manager, or security where the agent is not theirs."""
    register.check_may_act(by)
    agent = case.agent
    others = in_group(by, GroupName.SECURITY) and by.pk != agent.backup_owner_id
    if by.pk not in {agent.owner_id, agent.owner.manager_id} and not others:
        raise NotAllowed(
            f"Only its owner {agent.owner}, their manager and security say that "
            f"{agent.slug} stays theirs."
        )
