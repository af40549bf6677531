"""The search of the trail: for every question the one index that answers it, and no other plan.

Two filters that are frequent each may fit few entries together, or none; statistics do not tell,
and a plan that walks one of them then reads millions. So nothing is left to statistics. The columns
that are asked for name an index (`lead_of`), and the entries are asked for in its own order: it is
the only one that gives them so, since sorting, scanning and bitmaps are switched off (`STEADY`).
Bounds are compared as rows, which an index takes as its begin and its end. What no index begins
with is looked at entry by entry, in the index where its last columns hold it.

Someone who sees some agents alone gets the newest of each agent, and the newest of those. Where any
of several values of a column will do (`many`), the newest of each are taken just so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from audit.asked import AuditScope, Place, TrailFilters
from audit.models import Record

STEADY = {f"enable_{way}": "off" for way in ("seqscan", "bitmapscan", "sort", "incremental_sort")}
# Every two of them, in this order, begin an index; the first ones are the rarest.
PAIRED = ("resource", "user", "agent", "tool")
REFUSED = ("deny", "hold")
_ONE = ("actor", "code", "check", "effect", "kind")
EXACT = (*PAIRED, "session", *_ONE)
_PERSON = ("p_", "p`")
Many = Mapping[str, Sequence[str]]
_COLUMNS = ", ".join(f'r."{field.column}"' for field in Record._meta.concrete_fields)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which stretch of time: each end is an instant, or the entry from which a page goes on.

    `rising` takes its oldest entries first, instead of its newest.
    """

    since: datetime | None = None
    until: datetime | None = None
    above: Place | None = None
    below: Place | None = None
    rising: bool = False

    @classmethod
    def of(cls, filters: TrailFilters, *, after: Place | None, before: Place | None) -> Bounds:
        """Those of the filters, or of the page where it lies further in."""
        since, until = filters.since, filters.until
        below = after if after and not (until and until <= after.at) else None
        above = before if before and not (since and since > before.at) else None
        ends = (None if above else since, None if below else until)
        return cls(*ends, above, below, rising=before is not None)


@dataclass(frozen=True, slots=True)
class Statement:
    """A query and its parameters."""

    sql: str
    params: list[Any]


def statement(
    filters: TrailFilters, scope: AuditScope, bounds: Bounds, *, most: int, many: Many | None = None
) -> Statement | None:
    """The entries that fit from one end of the bounds on, no more than `most`.

    None where nothing can fit: nothing holds the character NUL, or nobody may see it.
    """
    found = walks(filters, scope, bounds, each=most, many=many)
    if found is None:
        return None
    order = _order(["at", "id"], bounds)
    return Statement(
        f"SELECT * FROM ({found.sql}) AS found ORDER BY {order} LIMIT %s",  # noqa: S608 - of our words
        [*found.params, most],
    )


def walks(
    filters: TrailFilters,
    scope: AuditScope,
    bounds: Bounds,
    *,
    each: int,
    many: Many | None = None,
    columns: str = _COLUMNS,
) -> Statement | None:
    """Every walk of an index that it takes, in no order, and no more than `each` entries of one.

    One more comes where several have the last one's instant. `many` are columns of which any of
    some values will do; one of them is none of the filters.
    """
    if any("\0" in getattr(filters, column) for column in EXACT):
        return None
    arms = [_arm_sql(arm, bounds, each, columns) for arm in _arms(filters, scope, many or {})]
    if not arms:
        return None
    return Statement(
        " UNION ALL ".join(f"({arm.sql})" for arm in arms),
        [value for arm in arms for value in arm.params],
    )


def end_statement(
    filters: TrailFilters, scope: AuditScope, bounds: Bounds, *, most: int, many: Many | None = None
) -> Statement | None:
    """The instant of the last of `most` entries, told in the indexes alone; no row for fewer.

    Where many walks are put together it is found first: what lies beyond it need not be read.
    """
    found = walks(filters, scope, bounds, each=most, many=many, columns="r.at")
    if found is None:
        return None
    order = _order(["at"], bounds)
    return Statement(
        f"SELECT at FROM ({found.sql}) AS found ORDER BY {order} OFFSET %s LIMIT 1",  # noqa: S608 - of our words
        [*found.params, most - 1],
    )


def lead_of(filters: TrailFilters) -> tuple[str, ...]:
    """The columns that the index begins with in which these filters are looked up."""
    if filters.session:
        return ("session",)
    paired = tuple(column for column in PAIRED if getattr(filters, column))[:2]
    refused = filters.effect in REFUSED
    if paired:
        return (*paired, "effect") if len(paired) == 1 and refused else paired
    return next(((column,) for column in _ONE if _begins(filters, column)), ())


def _begins(filters: TrailFilters, column: str) -> bool:
    """Whether there is an index for this value of `column` alone."""
    value: str = getattr(filters, column)
    if column == "effect":
        return value in REFUSED
    if column == "actor":
        return _PERSON[0] <= value < _PERSON[1]
    return bool(value) and value != "decision"


@dataclass(frozen=True, slots=True)
class _Arm:
    """One part of what is seen: all of it, or that of each of `many` values of some columns."""

    filters: TrailFilters
    many: Many = field(default_factory=dict)
    # Agents whose entries another arm gives.
    without: Sequence[str] = ()


def _arms(filters: TrailFilters, scope: AuditScope, many: Many) -> Iterator[_Arm]:
    if scope.everything or (filters.agent and filters.agent in scope.agents):
        yield _Arm(filters, many)
        return
    if filters.user and filters.user in scope.users:
        yield _Arm(filters, many)
        return
    if scope.agents and not filters.agent:
        yield _Arm(filters, _narrowed(many, "agent", scope.agents))
    if scope.users and not filters.user:
        yield _Arm(filters, _narrowed(many, "user", scope.users), sorted(scope.agents))


def _narrowed(many: Many, column: str, seen: frozenset[str]) -> Many:
    """The same of what is seen alone."""
    return {**many, column: sorted(seen & set(many.get(column, seen)))}


def _arm_sql(arm: _Arm, bounds: Bounds, most: int, columns: str) -> Statement:
    if not arm.many:
        return _walk(arm, lead_of(arm.filters), bounds, most, columns)
    # The value is none of the filters: any text does, to choose the index.
    mine: dict[str, Any] = dict.fromkeys(arm.many, "mine")
    each = replace(arm.filters, **mine)
    inner = _walk(replace(arm, filters=each), lead_of(each), bounds, most, columns)
    lists = " CROSS JOIN ".join(f"unnest(%s::text[]) AS {_mine(name)} (value)" for name in arm.many)
    return Statement(
        f"SELECT each.* FROM {lists} CROSS JOIN LATERAL ({inner.sql}) AS each",  # noqa: S608 - of our words
        [*(list(values) for values in arm.many.values()), *inner.params],
    )


def _mine(column: str) -> str:
    return f"mine_{column}"


def _walk(arm: _Arm, lead: tuple[str, ...], bounds: Bounds, most: int, columns: str) -> Statement:
    """The entries in the order of the index that begins with `lead`."""
    conditions = [
        *_ends(arm, lead, bounds),
        *_partial(lead, arm.filters),
        *_pruning(bounds),
        *(_equal(arm, column) for column in EXACT if column not in lead),
        *([_Part("r.agent <> ALL (%s::text[])", [list(arm.without)])] if arm.without else []),
    ]
    parts = [part for part in conditions if part.sql]
    # Where no column leads, the id is in the index; else entries of one instant come together.
    order = _order([*map(_name, lead), "r.at", *([] if lead else ["r.id"])], bounds)
    end = "FETCH FIRST (%s) ROWS WITH TIES" if lead else "LIMIT %s"
    where = " AND ".join(part.sql for part in parts) or "true"
    return Statement(
        f"SELECT {columns} FROM audit.record AS r WHERE {where} ORDER BY {order} {end}",  # noqa: S608 - of our words
        [*(value for part in parts for value in part.params), most],
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """A condition, or nothing."""

    sql: str = ""
    params: Sequence[Any] = ()


def _ends(arm: _Arm, lead: tuple[str, ...], bounds: Bounds) -> Iterator[_Part]:
    yield _end(arm, lead, bounds.since, bounds.above, (">=", ">"))
    yield _end(arm, lead, bounds.until, bounds.below, ("<" if bounds.until else "<=", "<"))


def _end(
    arm: _Arm,
    lead: tuple[str, ...],
    instant: datetime | None,
    place: Place | None,
    signs: tuple[str, str],
) -> _Part:
    """One end of what is walked: the values of `lead`, and the time or entry where it lies."""
    beyond = [place.at, place.id] if place else [instant] if instant else []
    names = [*map(_name, lead), *["r.at", "r.id"][: len(beyond)]]
    if not names:
        return _Part()
    values = [_value(arm, column) for column in lead]
    marks = [*(value.sql for value in values), *("%s" for _ in beyond)]
    sign = signs[1] if place else signs[0]
    return _Part(
        f"({', '.join(names)}) {sign} ({', '.join(marks)})",
        [*(param for value in values for param in value.params), *beyond],
    )


def _partial(lead: tuple[str, ...], filters: TrailFilters) -> Iterator[_Part]:
    """What the index leaves out, said as it says it."""
    for column in lead:
        if column == "effect":
            yield _Part("r.effect IN ('deny', 'hold')")
        elif column == "kind":
            yield _Part("r.kind <> 'decision'")
        elif column == "actor":
            yield _Part("r.actor >= 'p_' AND r.actor < 'p`'")
        else:
            yield _Part(f"{_name(column)} <> ''")


def _pruning(bounds: Bounds) -> Iterator[_Part]:
    """What the ends say already, in a form that leaves out partitions."""
    lowest = bounds.above.at if bounds.above else bounds.since
    highest = bounds.below.at if bounds.below else bounds.until
    if lowest:
        yield _Part("r.at >= %s", [lowest])
    if highest:
        yield _Part("r.at <= %s", [highest])


def _equal(arm: _Arm, column: str) -> _Part:
    if not getattr(arm.filters, column):
        return _Part()
    value = _value(arm, column)
    return _Part(f"{_name(column)} = {value.sql}", value.params)


def _value(arm: _Arm, column: str) -> _Part:
    if column in arm.many:
        return _Part(f"{_mine(column)}.value")
    return _Part("%s", [getattr(arm.filters, column)])


def _name(column: str) -> str:
    return f'r."{column}"'


def _order(names: Sequence[str], bounds: Bounds) -> str:
    way = "ASC" if bounds.rising else "DESC"
    return ", ".join(f"{name} {way}" for name in names)
