"""Reads of findings, for pages and the API."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from governance.pictures import Combined, Source
from lifecycle.models import ToxicCheck, ToxicFinding
from lifecycle.models.toxic import FindingState
from registry.enums import AgentState
from registry.models import Agent, Person


def findings(person: Person) -> QuerySet[ToxicFinding]:
    """The findings that this person may see, newest first."""
    return ToxicFinding.objects.visible_to(person).select_related(
        "agent__owner", "agent__backup_owner", "owner", "answered_by"
    )


def open_findings(person: Person) -> QuerySet[ToxicFinding]:
    """Those that wait for an answer."""
    return findings(person).filter(state=FindingState.OPEN)


def narrowed(
    rows: QuerySet[ToxicFinding],
    *,
    agent: str = "",
    combination: str = "",
    scope: str = "",
    state: str = "",
) -> QuerySet[ToxicFinding]:
    """Of these findings, those that fit."""
    if agent:
        rows = rows.filter(agents__contains=[agent])
    if combination:
        rows = rows.filter(combination=combination)
    if scope:
        rows = rows.filter(scope=scope)
    return rows.filter(state=state) if state else rows


def findings_of(agent: Agent, person: Person) -> list[ToxicFinding]:
    """What an agent has a part in and is still there, what waits first."""
    rows = findings(person).filter(agents__contains=[agent.slug]).exclude(state=FindingState.GONE)
    return sorted(rows, key=lambda row: (row.state != FindingState.OPEN, row.combination))


def live_agents(row: ToxicFinding) -> list[Agent]:
    """Agents of a finding that run now, which security may suspend."""
    rows = Agent.objects.filter(slug__in=row.agents, state=AgentState.ACTIVE)
    return list(rows.select_related("owner", "backup_owner").order_by("slug"))


def checks_of(combination: str) -> QuerySet[ToxicCheck]:
    """How far looking at everything has come, the newest first: all, done, found."""
    return (
        ToxicCheck.objects.filter(combination=combination)
        .select_related("asked_by")
        .annotate(owners=Count("due"), done=Count("due", filter=Q(due__done_at__isnull=False)))
    )


def picture_of(row: ToxicFinding) -> Combined:
    """Which places give which part of it."""
    return Combined(row.combination, row.tier, tuple(_source(each) for each in row.places))


def _source(place: dict[str, object]) -> Source:
    names = [str(place["agent"] or "this agent"), str(place["system"]), str(place["resource"])]
    gives = place["gives"]
    told = [member_word(str(each)) for each in gives] if isinstance(gives, list) else []
    shown = "/".join(name for name in names[1:] if name)
    return Source(f"{shown} ({names[0]})", str(place["tier"] or "restricted"), " and ".join(told))


def member_word(member: str) -> str:
    """A category, or an effect, in words."""
    return member.removeprefix("effect:").replace("_", " ").replace("-", " ")


@dataclass(frozen=True, slots=True)
class Figures:
    """How many findings a person sees: all that wait, and those that are live and connected."""

    open: int
    urgent: int


def figures(person: Person) -> Figures:
    """For the head of the list."""
    rows = open_findings(person)
    return Figures(rows.count(), rows.filter(connected=True, only_listed=False).count())
