"""What is due: found, narrowed, put in order, and placed into weeks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from lifecycle.due.kinds import Due, Look, registered
from registry.models import Agent, Person
from registry.reach import reaches_of
from registry.selectors import agents_for_reach

WITHIN = (7, 30, 90, 365)
WEEKS = 5
_TIERS = ("restricted", "confidential", "internal", "public", "")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asks for; empty means any."""

    owner: str = ""
    tier: str = ""
    kind: str = ""
    agent: str = ""
    within: int = 30
    sort: str = "at"


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that is due, with its agent and whose it is."""

    due: Due
    agent: Agent | None
    owner: Person | None
    late: bool
    tier: str = ""


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the calendar: how much is due on it."""

    date: date
    many: int
    is_today: bool
    is_past: bool


def due_for(
    person: Person, wanted: Wanted, now: datetime, *, agents: QuerySet[Agent] | None = None
) -> list[Row]:
    """What is due and this person sees, in the order asked for. A fixed number of queries.

    The tier of a row is "" here unless it is asked for: `with_tiers` fills it for a page.
    """
    seen = Agent.objects.visible_to(person) if agents is None else agents
    look = Look(person, _narrowed(seen, wanted), now + timedelta(days=wanted.within), now)
    kinds = [each for each in registered() if wanted.kind in ("", each.name)]
    found = [due for kind in kinds for due in kind.find(look)]
    rows = [row for row in _rows(found, now) if _fits(row, wanted)]
    if wanted.tier or wanted.sort.endswith("tier"):
        rows = [row for row in with_tiers(rows) if wanted.tier in ("", row.tier)]
    return _sorted(rows, wanted.sort)


def _narrowed(agents: QuerySet[Agent], wanted: Wanted) -> QuerySet[Agent]:
    if wanted.owner:
        named = Q(owner__name__icontains=wanted.owner) | Q(owner__email__icontains=wanted.owner)
        agents = agents.filter(named)
    if wanted.agent:
        agents = agents.filter(slug__icontains=wanted.agent)
    return agents


def _rows(found: Sequence[Due], now: datetime) -> list[Row]:
    slugs = {each.agent for each in found if each.agent}
    rows = Agent.objects.filter(slug__in=slugs).select_related("owner", "backup_owner")
    agents = {agent.slug: agent for agent in rows}
    return [_row(each, agents, now) for each in found]


def _row(due: Due, agents: Mapping[str, Agent], now: datetime) -> Row:
    agent = agents.get(due.agent)
    return Row(due, agent, agent.owner if agent else due.person, due.at <= now)


def _fits(row: Row, wanted: Wanted) -> bool:
    """What is about no agent is narrowed here: by whom it is asked of."""
    if row.agent is not None:
        return True
    named = f"{row.owner.name} {row.owner.email}".lower() if row.owner else ""
    return not wanted.agent and wanted.owner.lower() in named


def with_tiers(rows: Sequence[Row]) -> list[Row]:
    """The rows with the tiers of their agents, as they reach now."""
    slugs = {row.agent.slug for row in rows if row.agent}
    reached = reaches_of(agents_for_reach().filter(slug__in=slugs))
    tiers = {agent.slug: str(reach.tier) for agent, reach in reached}
    return [
        Row(row.due, row.agent, row.owner, row.late, tiers.get(row.due.agent, "")) for row in rows
    ]


def _sorted(rows: Iterable[Row], asked: str) -> list[Row]:
    keys = {
        "at": lambda row: row.due.at,
        "agent": lambda row: row.due.agent,
        "owner": lambda row: str(row.owner or ""),
        "tier": lambda row: _TIERS.index(row.tier),
        "kind": lambda row: row.due.kind,
    }
    first = keys.get(asked.removeprefix("-"), keys["at"])
    rows = sorted(rows, key=lambda row: (row.due.at, row.due.agent, row.due.kind))
    return sorted(rows, key=first, reverse=asked.startswith("-"))


def weeks_of(rows: Iterable[Row], now: datetime) -> list[list[Day]]:
    """The coming weeks, Monday to Sunday, where the reader is. What is late stands on its day."""
    many = Counter(timezone.localtime(row.due.at).date() for row in rows)
    today = timezone.localtime(now).date()
    first = today - timedelta(days=today.weekday())
    days = [first + timedelta(days=number) for number in range(7 * WEEKS)]
    shown = [Day(day, many[day], day == today, day < today) for day in days]
    return [shown[start : start + 7] for start in range(0, len(shown), 7)]


def soon_for(
    person: Person, now: datetime, *, waiting: Collection[str] = (), most: int = 5
) -> list[Row]:
    """What comes next of what a person owns or stands in for.

    `waiting` are the agents of what waits in their inbox: that is not said a second time.
    """
    own = Agent.objects.filter(Q(owner=person) | Q(backup_owner=person))
    rows = due_for(person, Wanted(), now, agents=own)
    mine = [row for row in rows if row.agent or row.owner == person]
    return [row for row in mine if not _waits(row, waiting)][:most]


def _waits(row: Row, waiting: Collection[str]) -> bool:
    return row.due.kind in _IN_INBOX and row.due.agent in waiting


_IN_INBOX = frozenset({"case", "hold"})
