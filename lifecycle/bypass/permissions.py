"""Who reads a system's log in, who sees what came of it, and who answers."""

from __future__ import annotations

from governance.kernel.errors import NotAllowed
from registry.enums import GroupName
from registry.models import Agent, Person, System
from registry.permissions import in_group


def check_can_read_in(system: System, by: Person) -> None:
    """Say how the log of a system is read, and read it in: security, and who owns the system."""
    owns = by.may_act and system.owner_id == by.pk
    if not (owns or in_group(by, GroupName.SECURITY)):
        who = f"its owner {system.owner}" if system.owner else "its owner, who is not named yet,"
        raise NotAllowed(f"Only {who} and security may read in the log of {system.slug}.")


def check_can_confirm(agent: Agent, by: Person) -> None:
    """Say that a call did go past Muster: who answers for the agent, and security."""
    if not (_answers_for(agent, by) or in_group(by, GroupName.SECURITY)):
        raise NotAllowed(
            f"Only its owner {agent.owner}, the backup owner and security may answer for "
            f"calls of {agent.slug}."
        )


def check_can_explain(agent: Agent, by: Person) -> None:
    """Say that a call was none that had to be asked. Nobody does so for an agent of theirs."""
    if not in_group(by, GroupName.SECURITY):
        raise NotAllowed("Only security may explain a call away: it waits for nobody any more.")
    if _answers_for(agent, by):
        raise NotAllowed(
            f"You answer for {agent.slug}, so someone else in security must explain its calls."
        )


def _answers_for(agent: Agent, by: Person) -> bool:
    return by.may_act and by.pk in (agent.owner_id, agent.backup_owner_id)
