"""Reads of the record around a handle.

Each goes by one index from one end of a span (`audit.search`), takes no more than it shows and
counts nothing, so that it costs the same however long the record is. What a reader may not see is
left out by it, and where something was left behind, the answer says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from audit import search
from audit.asked import Place, TrailFilters
from audit.enums import Kind
from audit.models import Checkpoint, Leaf, Record
from audit.search import STEADY, Bounds, Many, Statement
from audit.selectors import ID_SLACK, AuditScope, limited_time

MOST = 500
# Runs that are looked for beside what is shown: of so many names so many entries together.
MOST_NAMES = 20
MOST_ENTRIES = 1000
LEAST_ENTRIES = 5
MOST_CHILDREN = 1000
_TICK = timedelta(microseconds=1)
_EVERYTHING = AuditScope(everything=True)


@dataclass(frozen=True, slots=True)
class Subject:
    """Entries whose `column` holds one of these values; without a column, every entry."""

    column: str = ""
    values: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return bool(self.column) and not self.values

    @property
    def many(self) -> Many:
        """The column and its values, where there are several."""
        return {self.column: self.values} if len(self.values) > 1 else {}

    def filters(self, **more: Any) -> TrailFilters:
        """The column with its one value, and what else is asked for."""
        one: dict[str, Any] = {self.column: self.values[0]} if len(self.values) == 1 else {}
        return TrailFilters(**one, **more)


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time: `since` is part of it, `until` is not; None leaves an end open."""

    since: datetime | None = None
    until: datetime | None = None


ALWAYS = Span()


@dataclass(frozen=True, slots=True)
class Window:
    """Entries, newest first, and whether there are older and newer ones in the span."""

    records: tuple[Record, ...] = ()
    older: bool = False
    newer: bool = False


@dataclass(frozen=True, slots=True)
class Places:
    """Where entries stand in the log: the index of each that is in it, and what is signed."""

    index: Mapping[UUID, int]
    signed: int

    def is_sealed(self, record: UUID) -> bool:
        return self.index.get(record, self.signed) < self.signed


@dataclass(frozen=True, slots=True)
class Kin:
    """A run that has a user, a resource or an agent in common with what is shown."""

    session: str
    agent: str
    by: str
    value: str
    first: datetime
    last: datetime
    many: int
    stopped: int


def window(
    subject: Subject,
    span: Span,
    *,
    scope: AuditScope,
    after: Record | None = None,
    before: Record | None = None,
    most: int = MOST,
) -> Window:
    """The newest entries of the span; those older than `after`, or newer than `before`.

    Raises `SearchTooSlow` after five seconds.
    """
    filters = TrailFilters(since=span.since, until=span.until)
    bounds = Bounds.of(filters, after=_place(after), before=_place(before))
    found = _found(subject, scope, bounds, most=most + 1)
    shown, more = found[:most], len(found) > most
    if before is not None:
        return Window(tuple(reversed(shown)), older=True, newer=more)
    return Window(tuple(shown), older=more, newer=after is not None)


def _place(record: Record | None) -> Place | None:
    return Place(record.at, record.id) if record else None


def around(record: Record, subject: Subject, span: Span, *, scope: AuditScope) -> Window:
    """One entry with what came before and after it."""
    half = MOST // 2
    later = window(subject, span, scope=scope, before=record, most=half)
    earlier = window(subject, span, scope=scope, after=record, most=half - 1)
    records = (*later.records, record, *earlier.records)
    return Window(records, older=earlier.older, newer=later.newer)


def edges(subject: Subject, *, scope: AuditScope) -> Span | None:
    """From the first entry to just after the last one; None where there is none."""
    last = _found(subject, scope, Bounds(), most=1)
    if not last:
        return None
    first = _found(subject, scope, Bounds(rising=True), most=1)
    return Span(first[0].at, last[0].at + _TICK)


def last_at(subject: Subject, *, scope: AuditScope, kind: str = "") -> datetime | None:
    """When the newest entry was made; the newest of a kind."""
    found = _found(subject, scope, Bounds(), most=1, kind=kind)
    return found[0].at if found else None


def known(column: str, values: Sequence[str], *, scope: AuditScope) -> list[str]:
    """Which of these values the record knows where this scope reaches."""
    found = _known(column, values, _EVERYTHING)
    # Most names are nowhere: only those that are somewhere are looked for agent by agent.
    return found if scope.everything or not found else _known(column, found, scope)


def _known(column: str, values: Sequence[str], scope: AuditScope) -> list[str]:
    asked = {column: [value for value in values if value and "\0" not in value]}
    found = search.walks(TrailFilters(), scope, Bounds(), each=1, many=asked)
    if found is None:
        return []
    name = f'found."{column}"'
    with limited_time(STEADY), connection.cursor() as cursor:
        # Of our own words alone.
        cursor.execute(
            f"SELECT DISTINCT {name} FROM ({found.sql}) AS found ORDER BY {name}",  # noqa: S608
            found.params,
        )
        return [value for (value,) in cursor.fetchall()]


def _found(
    subject: Subject, scope: AuditScope, bounds: Bounds, *, most: int, kind: str = ""
) -> list[Record]:
    if subject.is_empty:
        return []
    filters, many = subject.filters(kind=kind), subject.many
    with limited_time(STEADY):
        if (many or not scope.everything) and most > 1:
            bounds = _narrowed(
                bounds, search.end_statement(filters, scope, bounds, most=most, many=many)
            )
        asked = search.statement(filters, scope, bounds, most=most, many=many)
        return list(Record.objects.raw(asked.sql, asked.params)) if asked else []


def _narrowed(bounds: Bounds, asked: Statement | None) -> Bounds:
    """The same, up to the instant that is asked for, and no further."""
    if asked is None:
        return bounds
    with connection.cursor() as cursor:
        cursor.execute(asked.sql, asked.params)
        row = cursor.fetchone()
    if row is None:
        return bounds
    return replace(bounds, until=row[0] + _TICK) if bounds.rising else replace(bounds, since=row[0])


@dataclass(frozen=True, slots=True)
class Children:
    """What was recorded of some entries later, oldest first; `cut` where there is more of it."""

    records: tuple[Record, ...] = ()
    cut: bool = False


# OFFSET 0: they are looked up by their parents, and not met on a walk in the order of time.
_CHILDREN = """
SELECT found.* FROM (
    SELECT r.* FROM audit.record AS r
    WHERE r.parent = ANY(%(parents)s::uuid[]) AND r.at >= %(since)s
      AND r.kind IN ('outcome', 'hold')
      AND (%(all)s OR r.agent = ANY(%(agents)s::text[]) OR r."user" = ANY(%(users)s::text[]))
    OFFSET 0
) AS found ORDER BY found.at, found.id LIMIT %(most)s
"""


def children_of(records: Sequence[Record], *, scope: AuditScope) -> Children:
    """What was reported of these entries later, and what people said of those that were held."""
    if not records:
        return Children()
    given = {
        "parents": [record.id for record in records],
        "since": min(record.at for record in records) - ID_SLACK,
        "all": scope.everything,
        "agents": sorted(scope.agents),
        "users": sorted(scope.users),
        "most": MOST_CHILDREN + 1,
    }
    with limited_time(STEADY):
        found = list(Record.objects.raw(_CHILDREN, given))
    return Children(tuple(found[:MOST_CHILDREN]), len(found) > MOST_CHILDREN)


def places_of(records: Sequence[Record]) -> Places:
    """Where each of these entries stands in the log."""
    leaves = Leaf.objects.filter(record__in=[record.id for record in records])
    latest = Checkpoint.objects.order_by("-size").values_list("size", flat=True).first()
    return Places(dict(leaves.values_list("record", "index")), latest or 0)


@dataclass(frozen=True, slots=True)
class Related:
    """Runs, newest first; `cut` where not all was looked at in which there could be more."""

    runs: tuple[Kin, ...] = ()
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A decision as far as runs are told apart by it: `value` is what it has in common."""

    session: str
    agent: str
    user: str
    value: str
    at: datetime
    stopped: bool


def related_runs(
    column: str,
    values: Sequence[str],
    span: Span,
    *,
    besides: Sequence[str],
    scope: AuditScope,
) -> Related:
    """Runs in the span that have one of these values in common, newest first, but not `besides`.

    Of each value only its newest entries are looked at, the fewer the more values there are.
    """
    most = _share(len(values), scope)
    calls = _calls(column, values[:MOST_NAMES], span, scope, each=most + 1)
    walks = Counter((call.value, _walked_by(call, scope)) for call in calls)
    runs = [each for each in runs_of(column, calls) if each.session not in besides]
    return Related(
        tuple(runs[:MOST_NAMES]), len(runs) > MOST_NAMES or max(walks.values(), default=0) > most
    )


def _share(values: int, scope: AuditScope) -> int:
    """How many entries of each value are looked at, for each agent and user who is seen."""
    seen = 1 if scope.everything else len(scope.agents) + len(scope.users)
    return max(MOST_ENTRIES // max(min(values, MOST_NAMES) * seen, 1), LEAST_ENTRIES)


def _calls(
    column: str, values: Sequence[str], span: Span, scope: AuditScope, *, each: int
) -> list[Call]:
    filters = TrailFilters(kind=Kind.DECISION, since=span.since, until=span.until)
    bounds = Bounds.of(filters, after=None, before=None)
    found = search.walks(filters, scope, bounds, each=each, many={column: values})
    if not values or found is None:
        return []
    with limited_time(STEADY), connection.cursor() as cursor:
        # Of our own words alone.
        cursor.execute(
            f'SELECT session, agent, "user", "{column}", at, effect <> \'allow\''  # noqa: S608
            f" FROM ({found.sql}) AS found",
            found.params,
        )
        return [Call(*row) for row in cursor.fetchall()]


def _walked_by(call: Call, scope: AuditScope) -> str:
    """By whom else it was looked up (see `audit.search`): who sees everything sees it by no one."""
    if scope.everything:
        return ""
    return call.agent if call.agent in scope.agents else call.user


def runs_of(column: str, calls: Sequence[Call]) -> list[Kin]:
    """The runs that these calls belong to, newest first."""
    grouped: dict[tuple[str, str, str], list[Call]] = {}
    for call in calls:
        if call.session:
            grouped.setdefault((call.session, call.agent, call.value), []).append(call)
    found = [_kin(column, each) for each in grouped.values()]
    return sorted(found, key=lambda kin: (-kin.last.timestamp(), kin.session, kin.agent, kin.value))


def _kin(column: str, calls: Sequence[Call]) -> Kin:
    one, times = calls[0], [call.at for call in calls]
    stopped = sum(call.stopped for call in calls)
    return Kin(
        one.session, one.agent, column, one.value, min(times), max(times), len(calls), stopped
    )  # fmt: skip
