"""Who sees alerts, and who answers them."""

from __future__ import annotations

from governance.kernel.errors import NotAllowed
from lifecycle.models import Anomaly
from registry.enums import GroupName
from registry.models import Agent, Person
from registry.permissions import in_group


def can_see(anomaly: Anomaly, by: Person) -> bool:
    """As the agent that it is about."""
    return Agent.objects.visible_to(by).filter(pk=anomaly.agent_id).exists()


def check_can_acknowledge(anomaly: Anomaly, by: Person) -> None:
    """Say that somebody looked: who answers for the agent, and security."""
    if not (_answers_for(anomaly.agent, by) or in_group(by, GroupName.SECURITY)):
        raise NotAllowed(
            f"Only its owner {anomaly.agent.owner}, the backup owner and security may "
            f"acknowledge alerts about {anomaly.agent.slug}."
        )


def check_can_mark_false(anomaly: Anomaly, by: Person) -> None:
    """Raise a limit. Nobody does so for an agent that they answer for."""
    if not in_group(by, GroupName.SECURITY):
        raise NotAllowed("Only security may call an alert a false alarm: it raises the limit.")
    if _answers_for(anomaly.agent, by):
        raise NotAllowed(
            f"You answer for {anomaly.agent.slug}, so someone else in security must say "
            "that this was a false alarm."
        )


def _answers_for(agent: Agent, by: Person) -> bool:
    return by.may_act and by.pk in (agent.owner_id, agent.backup_owner_id)
