"""The months of the record: what is in them, what keeps them, and which are gone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.db import connection

from audit.anchors import selectors as anchors
from audit.dropping.errors import MonthHeld, MonthNotAnchored, MonthNotSealed, NoSuchMonth
from audit.erasure import selectors as kept
from audit.models import DropOrder, Dropped, Record
from audit.selectors import limited_time

# An order holds for so long.
ORDERED = timedelta(days=30)
# Entries of a month are counted no further than this for a page.
MOST = 100_000

_PARTITIONS = """
SELECT to_date(right(c.relname, 7), 'YYYY_MM') FROM pg_inherits AS i
JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = 'audit.record'::regclass ORDER BY 1
"""
_COUNTED = """
SELECT count(*) FROM (
    SELECT FROM audit.record AS r WHERE r.at >= %s AND r.at < %s LIMIT %s) AS counted
"""
_PLACES = """
SELECT count(*), count(*) FILTER (WHERE l.index IS NULL), min(l.index), max(l.index)
FROM audit.record AS r LEFT JOIN audit.leaf_index AS l ON l.record = r.id AND l.leaf = r.leaf
WHERE r.at >= %s AND r.at < %s
"""
_HELD = "SELECT EXISTS (SELECT FROM audit.held_entry WHERE at >= %s AND at < %s)"


@dataclass(frozen=True, slots=True)
class Month:
    """A month of the record, as a page shows it; `entries` no further counted than `MOST`."""

    first: date
    entries: int
    sealed: bool
    held: int
    order: DropOrder | None


@dataclass(frozen=True, slots=True)
class Places:
    """Where the entries of a month stand in the tree; others may stand among them."""

    entries: int
    unsealed: int
    first: int
    last: int


def span_of(month: date) -> tuple[datetime, datetime]:
    """When a month begins, and when the next one does."""
    since = datetime(month.year, month.month, 1, tzinfo=UTC)
    until = datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC)
    return since, until


def months() -> list[Month]:
    """Every month that has entries, the oldest first."""
    sealed_until = _sealed_until()
    holds = kept.standing_holds().exists()
    found = []
    for first in _partitions():
        since, until = span_of(first)
        if entries := _counted(since, until):
            sealed = sealed_until is None or sealed_until >= until
            held = kept.held_in(since, until) if holds else 0
            found.append(Month(first, entries, sealed, held, order_of(first)))
    return found


def _sealed_until() -> datetime | None:
    """When the first entry was written that is not sealed; None where all are."""
    return anchors.freshness().oldest_unsealed_at


def _partitions() -> list[date]:
    with connection.cursor() as cursor:
        cursor.execute(_PARTITIONS)
        return [month for (month,) in cursor.fetchall()]


def _counted(since: datetime, until: datetime) -> int:
    with limited_time(), connection.cursor() as cursor:
        cursor.execute(_COUNTED, [since, until, MOST + 1])
        return int(cursor.fetchone()[0])


def order_of(month: date) -> DropOrder | None:
    """The newest order to drop this month."""
    return DropOrder.objects.filter(month=month).order_by("-number").first()


def dropped() -> list[Dropped]:
    """What was dropped, the newest month first."""
    return list(Dropped.objects.order_by("-month"))


def dropped_month(month: date) -> Dropped | None:
    return Dropped.objects.filter(month=month).first()


def places_of(month: date) -> Places:
    """Where the entries of a month stand. Raises where it may not go as it stands: where nothing
    is there, a legal hold covers an entry, or one is not sealed, or not anchored outside."""
    since, until = span_of(month)
    if not Record.objects.filter(at__gte=since, at__lt=until).exists():
        raise NoSuchMonth()
    with connection.cursor() as cursor:
        cursor.execute(_HELD, [since, until])
        if cursor.fetchone()[0]:
            raise MonthHeld()
        cursor.execute(_PLACES, [since, until])
        found = Places(*cursor.fetchone())
    if found.unsealed:
        raise MonthNotSealed()
    outside = anchors.standing()
    if outside.outside and outside.anchored_size <= found.last:
        raise MonthNotAnchored()
    return found
