"""What of the register waits for a person: widening changes."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from governance.kernel.waiting import Waiting
from registry import absences, changes, permissions, signing
from registry.enums import ChangeState, GroupName
from registry.models import Person, ProposedChange

CHANGE = "change"


def waiting_for(person: Person) -> list[Waiting]:
    """What this person may answer, and what is their own and waits for others."""
    if not person.may_act:
        return []
    return _changes(person)


def answerable(person: Person) -> QuerySet[ProposedChange]:
    """Changes that wait, as far as this person may answer, take back, or is concerned by them."""
    waiting = ProposedChange.objects.filter(state=ChangeState.PROPOSED)
    if not permissions.in_group(person, GroupName.SECURITY):
        theirs = Q(proposed_by=person) | Q(agent__in=person.owned_agents.values("slug"))
        offered = Q(kind="agent.transfer", after__owner=person.pid)
        joining = Q(kind="person.groups", target=person.pid)
        waiting = waiting.filter(theirs | offered | joining | _to_sign(person))
    return waiting.select_related("proposed_by").order_by("proposed_at", "pk")


def _to_sign(person: Person) -> Q:
    """Changes of live rows that need the word of the DPO, or of the owner of a source."""
    wanted = Q(pk__in=[])
    if permissions.in_group(person, GroupName.DPO):
        wanted |= Q(after__signs__contains=[[signing.DPO]])
    for slug in absences.listed_sources_of(person):
        wanted |= Q(after__signs__contains=[[signing.SOURCE_OWNER, slug]])
    return wanted


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
