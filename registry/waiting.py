"""What of the register waits for a person: agents that ask to go live, and widening changes."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from governance.kernel.waiting import Waiting
from registry import changes, permissions
from registry.enums import AgentState, ChangeState, GroupName
from registry.models import Agent, Person, ProposedChange

REVIEW = "review"
CHANGE = "change"


def waiting_for(person: Person) -> list[Waiting]:
    """What this person may answer, and what is their own and waits for others."""
    if not person.may_act:
        return []
    return [*_reviews(person), *_changes(person)]


def reviewable(person: Person) -> QuerySet[Agent]:
    """Agents that ask to go live: security's to answer, and their owners' to see."""
    asking = Agent.objects.filter(state=AgentState.IN_REVIEW).select_related("owner")
    if not permissions.in_group(person, GroupName.SECURITY):
        asking = asking.filter(owner=person)
    return asking.order_by("state_changed_at", "slug")


def answerable(person: Person) -> QuerySet[ProposedChange]:
    """Changes that wait, as far as this person may answer, take back, or is concerned by them."""
    waiting = ProposedChange.objects.filter(state=ChangeState.PROPOSED)
    if not permissions.in_group(person, GroupName.SECURITY):
        theirs = Q(proposed_by=person) | Q(agent__in=person.owned_agents.values("slug"))
        offered = Q(kind="agent.transfer", after__owner=person.pid)
        joining = Q(kind="person.groups", target=person.pid)
        waiting = waiting.filter(theirs | offered | joining)
    return waiting.select_related("proposed_by").order_by("proposed_at", "pk")


def _reviews(person: Person) -> list[Waiting]:
    return [
        Waiting(
            key=f"{REVIEW}:{agent.slug}",
            kind=REVIEW,
            title=f"{agent.slug} asks to go live",
            text=f"{agent.owner} owns it",
            since=agent.state_changed_at or agent.created_at,
            on_expiry="Nothing happens by itself: it stays in review and gets nothing.",
            agent=agent.slug,
            why_not=why_not_review(agent, person),
        )
        for agent in reviewable(person)
    ]


def why_not_review(agent: Agent, person: Person) -> str:
    """The sentence for which this person may not let the agent go live; empty if they may."""
    if person.pk in (agent.owner_id, agent.backup_owner_id):
        return f"You answer for {agent.slug}, so someone else in security must clear it."
    if not permissions.in_group(person, GroupName.SECURITY):
        return "Only security may clear it."
    return ""


def _changes(person: Person) -> list[Waiting]:
    return [
        Waiting(
            key=f"{CHANGE}:{change.pk}",
            kind=CHANGE,
            title=change.summary,
            text=f"{change.proposed_by} proposed it",
            since=change.proposed_at,
            on_expiry="Nothing happens by itself: it waits, and changes nothing until then.",
            agent=change.agent,
            why_not=changes.can_agree(change, person),
        )
        for change in answerable(person)
    ]
