"""Who may change who may do what. For people only; agents are decided in `authz.engine`."""

from __future__ import annotations

from governance.kernel.errors import NotAllowed
from registry.enums import GroupName
from registry.models import Agent, Person
from registry.permissions import OPERATORS, in_group


def check_can_change_roles(by: Person) -> None:
    """Make roles, say what they grant, give them to people."""
    if not in_group(by, *OPERATORS):
        raise NotAllowed("Only security and platform admins may change roles.")


def check_can_change_roles_of(agent: Agent, by: Person) -> None:
    """Say which roles an agent holds: what security then looks at in its review."""
    if not (by.may_act and by.pk == agent.owner_id) and not in_group(by, *OPERATORS):
        raise NotAllowed(
            f"Only its owner {agent.owner}, security and platform admins may change "
            f"the roles of {agent.slug}."
        )


def check_can_propose_policies(by: Person) -> None:
    """Write policies, switch them off, say how things are related."""
    if not in_group(by, *OPERATORS):
        raise NotAllowed("Only security and platform admins may change policies.")


def check_can_change_signatures(by: Person) -> None:
    """Say which texts no parameter may hold."""
    if not in_group(by, GroupName.SECURITY):
        raise NotAllowed("Only security may change denied signatures.")
