"""Who may change who may do what. For people only; agents are decided in `authz.engine`."""

from __future__ import annotations

from governance.kernel.errors import NotAllowed
from registry.enums import GroupName
from registry.models import Agent, Person
from registry.permissions import OPERATORS, in_group

SIMULATORS = frozenset(
    {GroupName.SECURITY, GroupName.DPO, GroupName.AUDITOR, GroupName.PLATFORM_ADMIN}
)


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
    """Write policies and switch them off."""
    if not in_group(by, *OPERATORS):
        raise NotAllowed("Only security and platform admins may change policies.")


def check_can_change_relationships(by: Person) -> None:
    """Say how things are related, which policies ask about."""
    if not in_group(by, *OPERATORS):
        raise NotAllowed("Only security and platform admins may change relationships.")


def check_can_preview(by: Person) -> None:
    """Compare a change with recorded decisions: reading every one of them is part of it."""
    if not by.audit_scope().everything:
        raise NotAllowed(
            "Only security, the DPO and auditors may read every decision, so only they may preview."
        )


def check_can_simulate_anything(by: Person) -> None:
    """Ask what would be decided for anybody."""
    if not in_group(by, *SIMULATORS):
        raise NotAllowed(
            "Only security, the DPO, auditors and platform admins may simulate any request; "
            "owners may for their own agents."
        )


def check_can_simulate_for(agent: Agent, by: Person) -> None:
    """Ask what would be decided for one agent: its owner and who stands in may as well."""
    theirs = by.may_act and by.pk in (agent.owner_id, agent.backup_owner_id)
    if not theirs and not in_group(by, *SIMULATORS):
        raise NotAllowed(
            f"Only its owner {agent.owner}, security, the DPO, auditors and platform admins may "
            f"simulate {agent.slug}."
        )


def check_can_see_coverage(by: Person) -> None:
    """See what no policy governs and nobody uses."""
    if not in_group(by, *SIMULATORS):
        raise NotAllowed(
            "Only security, the DPO, auditors and platform admins see what is covered by policies."
        )


def check_can_change_signatures(by: Person) -> None:
    """Say which texts no parameter may hold."""
    if not in_group(by, GroupName.SECURITY):
        raise NotAllowed("Only security may change denied signatures.")
