"""Counts over the record for evidence: each is one statement over one span, whoever is asked about.

`agents` None means every agent; otherwise only entries about these are counted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Max

from audit import leaf
from audit.models import Leaf, Record

_ABOUT = "(%(agents)s::text[] IS NULL OR agent = ANY(%(agents)s::text[]))"
_DECIDED = f"""
    kind = 'decision' AND at >= %(since)s AND at < %(until)s
    AND mode IN ('enforce', 'observe') AND {_ABOUT}
"""
_ALIKE = f"""
SELECT agent, tool, effect, "check", mode, count(*) FROM audit.record WHERE {_DECIDED}
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
"""  # noqa: S608 - of our own words alone
_BY_DAY = f"""
SELECT agent, tool, (at AT TIME ZONE 'UTC')::date, count(*), min(id::text)::uuid
FROM audit.record
WHERE {_DECIDED} AND tool = ANY(%(tools)s::text[]) AND (effect = 'allow' OR mode = 'observe')
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""  # noqa: S608 - of our own words alone
_BY_KIND = f"""
SELECT kind, count(*) FROM audit.record
WHERE at >= %(since)s AND at < %(until)s AND {_ABOUT} GROUP BY kind ORDER BY kind
"""  # noqa: S608 - of our own words alone
# One look into an index for each instant: the first entry at or after it.
_SPREAD = f"""
SELECT DISTINCT found.id, found.at FROM unnest(%(instants)s::timestamptz[]) AS asked (instant)
CROSS JOIN LATERAL (
    SELECT id, at FROM audit.record
    WHERE at >= asked.instant AND at < %(until)s AND {_ABOUT} {{which}}
    ORDER BY at, id LIMIT 1
) AS found ORDER BY found.at, found.id
"""  # noqa: S608 - of our own words alone
_SAMPLED = _SPREAD.format(
    which="""
        AND kind = 'decision' AND mode IN ('enforce', 'observe')
        AND (%(effect)s = '' OR effect = %(effect)s) AND (%(check)s = '' OR "check" = %(check)s)
        AND (%(tools)s::text[] IS NULL OR tool = ANY(%(tools)s::text[]))"""
)

# One look into an index for each reason, which ends where enough were seen.
_STOPPED = f"""
SELECT asked.effect, asked.code, counted.many
FROM unnest(%(effects)s::text[]) AS e (effect)
CROSS JOIN unnest(%(codes)s::text[]) AS c (code)
CROSS JOIN LATERAL (SELECT e.effect, c.code) AS asked
CROSS JOIN LATERAL (
    SELECT count(*) AS many FROM (
        SELECT FROM audit.record
        WHERE effect = asked.effect AND effect IN ('deny', 'hold') AND code = asked.code
            AND {_DECIDED}
        LIMIT %(most)s
    ) AS seen
) AS counted
WHERE counted.many > 0 ORDER BY 1, 2
"""  # noqa: S608 - of our own words alone

Agents = Collection[str] | None
NEAR = 1000


@dataclass(frozen=True, slots=True)
class Decided:
    """How many decisions are alike."""

    agent: str
    tool: str
    effect: str
    check: str
    mode: str
    calls: int

    @property
    def went_on(self) -> bool:
        """Whether the caller was not told no."""
        return self.effect == "allow" or self.mode == "observe"


@dataclass(frozen=True, slots=True)
class Day:
    """The calls of one agent with one tool that went on on one day, and the first of them."""

    agent: str
    tool: str
    day: date
    calls: int
    record: UUID


@dataclass(frozen=True, slots=True)
class Told:
    """One entry that tells of a change or an access."""

    id: UUID
    at: datetime
    kind: str
    actor: str
    agent: str
    tool: str
    resource: str
    parent: UUID | None
    asked: Mapping[str, Any]

    @property
    def did(self) -> str:
        """The word for what was done."""
        return str(self.asked.get("did", ""))


def decisions(since: datetime, until: datetime, agents: Agents = None) -> list[Decided]:
    """Every decision in earnest, counted by what it was about and how it ended."""
    return [Decided(*row) for row in _rows(_ALIKE, _span(since, until, agents))]


def stopped(
    since: datetime, until: datetime, codes: Collection[str], *, most: int
) -> dict[tuple[str, str], int]:
    """How many decisions ended by which (effect, reason); each counted no further than `most`."""
    given = {
        **_span(since, until, None),
        "effects": ["deny", "hold"],
        "codes": sorted(codes),
        "most": most,
    }
    return {(effect, code): many for effect, code, many in _rows(_STOPPED, given)}


def days_of(
    since: datetime, until: datetime, *, agents: Collection[str], tools: Collection[str]
) -> list[Day]:
    """The calls of these agents with these tools that went on, day by day (UTC)."""
    given = {**_span(since, until, agents), "tools": sorted(tools)}
    return [Day(*row) for row in _rows(_BY_DAY, given)]


def entries_by_kind(since: datetime, until: datetime, agents: Agents = None) -> dict[str, int]:
    """How many entries of each kind there are."""
    return dict(_rows(_BY_KIND, _span(since, until, agents)))


def told(
    kinds: Sequence[str], since: datetime, until: datetime, agents: Agents = None
) -> Iterator[Told]:
    """What entries of these kinds tell of, oldest first; nothing of one that was tampered with."""
    rows = Record.objects.filter(kind__in=kinds, at__gte=since, at__lt=until)
    if agents is not None:
        rows = rows.filter(agent__in=agents)
    fields = ("id", "at", "kind", "actor", "agent", "tool", "resource", "parent", "body")
    for row in rows.order_by("at", "id").values(*fields).iterator():
        body = bytes(row.pop("body"))
        yield Told(**row, asked=_asked(body))


def _asked(body: bytes) -> Mapping[str, Any]:
    try:
        return dict(leaf.parse_body(body).get("asked", {}))
    except leaf.BadBody:
        return {}


def sample(
    since: datetime,
    until: datetime,
    *,
    many: int,
    agents: Agents = None,
    effect: str = "",
    check: str = "",
    tools: Agents = None,
    decisions: bool = True,
) -> list[Record]:
    """Up to `many` decisions, or entries of every kind, spread over the span; the same ones
    whenever it is asked."""
    step = (until - since) / many
    given = {
        **_span(since, until, agents),
        "instants": [since + step * number for number in range(many)],
        "effect": effect,
        "check": check,
        "tools": None if tools is None else sorted(tools),
    }
    found = list(_rows(_SAMPLED if decisions else _SPREAD.format(which=""), given))
    if not found:
        return []
    ids, times = [row[0] for row in found], [row[1] for row in found]
    # The times say nothing new, but they leave out partitions.
    near = Record.objects.filter(id__in=ids, at__gte=min(times), at__lte=max(times))
    return list(near.order_by("at", "id"))


def last_leaf_before(until: datetime) -> int | None:
    """The place in the tree of the last entries before an instant; None where none is sealed.

    Entries are sealed nearly in the order of their time: among the last thousand is the last.
    """
    newest = Record.objects.filter(at__lt=until).order_by("-at", "-id").values("id")[:NEAR]
    found = Leaf.objects.filter(record__in=newest).aggregate(last=Max("index"))
    last: int | None = found["last"]
    return last


def first_entry_at() -> datetime | None:
    """When the record begins."""
    return Record.objects.order_by("at", "id").values_list("at", flat=True).first()


def _span(since: datetime, until: datetime, agents: Agents) -> dict[str, Any]:
    return {
        "since": since,
        "until": until,
        "agents": None if agents is None else sorted(agents),
    }


def _rows(statement: str, given: dict[str, Any]) -> Iterator[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, given)
        yield from cursor.fetchall()
