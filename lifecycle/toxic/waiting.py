"""Findings that wait for a person's answer, as the inbox shows them."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from governance.kernel.waiting import Waiting
from lifecycle.models import ToxicFinding
from lifecycle.toxic import permissions, selectors
from registry.enums import AgentState, GroupName
from registry.models import Agent, Person
from registry.permissions import can, in_group

TOXIC = "toxic"


def waiting_for(person: Person) -> list[Waiting]:
    """An owner's own; for security besides those that one live agent can put together."""
    return [
        Waiting(
            key=f"{TOXIC}:{row.pk}",
            kind=TOXIC,
            title=f"{row.combination} comes together"[:200],
            text=", ".join(row.agents),
            since=row.since,
            on_expiry="Nothing is stopped by itself: it waits, and stays on the list.",
            agent=row.agent.slug if row.agent else "",
            why_not=can(permissions.check_can_answer, row, person),
        )
        for row in answerable(person)
    ]


def answerable(person: Person) -> QuerySet[ToxicFinding]:
    """The open findings that stand in this person's inbox."""
    mine = Q(agent__owner=person) | Q(agent__backup_owner=person) | Q(owner=person)
    if in_group(person, GroupName.SECURITY):
        live = Agent.objects.filter(state=AgentState.ACTIVE).values("pk")
        mine |= Q(agent__in=live, only_listed=False)
    return selectors.open_findings(person).filter(mine).order_by("since", "pk")
