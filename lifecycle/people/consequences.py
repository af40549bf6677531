"""What follows for agents and duties when someone leaves, has left, or is back: shown before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from governance.kernel import business_days
from registry.enums import AgentState, Employment, GroupName
from registry.models import Agent, Person

# How long an agent of someone who leaves waits for another owner.
DAYS = 5
OVER = frozenset({AgentState.DECOMMISSIONING, AgentState.DECOMMISSIONED})


@dataclass(frozen=True, slots=True)
class Line:
    """One agent, and what becomes of it."""

    agent: Agent
    then: str
    is_denied: bool = False


@dataclass(frozen=True, slots=True)
class Consequences:
    """What follows from a new employment."""

    owned: tuple[Line, ...]
    backed: tuple[Line, ...]
    groups: tuple[str, ...]
    due: datetime | None

    @property
    def denied(self) -> int:
        """How many agents are denied that work now."""
        return sum(line.is_denied for line in self.owned)


def consequences_of(person: Person, employment: str, now: datetime) -> Consequences:
    """What follows where this person's employment becomes `employment`."""
    owned = person.owned_agents.exclude(state=AgentState.DECOMMISSIONED).order_by("slug")
    lines = tuple(_line(agent, person, employment) for agent in owned)
    leaves = employment != Employment.EMPLOYED
    backed = person.backup_agents.exclude(state__in=OVER).order_by("slug") if leaves else ()
    told = "Its owner names another backup owner."
    names = sorted(person.group_names) if employment == Employment.LEFT else []
    return Consequences(
        lines,
        tuple(Line(agent, told) for agent in backed),
        tuple(str(GroupName(name).label) for name in names if name in GroupName.values),
        _due(person, now) if leaves and lines else None,
    )


def _due(person: Person, now: datetime) -> datetime:
    """The end of the fifth business day, where the person is."""
    return business_days.due(now, DAYS, calendar=person.holidays, zone=person.zone)


def _line(agent: Agent, person: Person, employment: str) -> Line:
    if agent.state in OVER:
        return Line(agent, "It is being ended, and stays so.")
    if employment == Employment.LEFT:
        runs = agent.state == AgentState.ACTIVE and person.is_employed
        said = "It is denied everything at once" if runs else "It gets nothing"
        return Line(agent, f"{said}, until another owner has accepted it.", is_denied=runs)
    if employment == Employment.LEAVING:
        return Line(agent, "It works on, flagged, and needs another owner.")
    if agent.state == AgentState.ACTIVE and not person.is_employed:
        return Line(agent, "It is allowed again what its row allows.")
    return Line(agent, "It stays as it is.")
