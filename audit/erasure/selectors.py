"""What is held of a subject, what a legal hold keeps, and what is over by its age."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from audit.models import HoldLifted, LegalHold, Record
from audit.selectors import limited_time
from audit.services import holder_of

# Counted no further than this.
MOST = 1_000_000
PERSON = "p_"

_KEPT = """
SELECT r.tier, r.agent, r.tool, min(r.at), max(r.at), count(*), count(w.record),
       count(w.record) FILTER (WHERE EXISTS (
           SELECT FROM audit.held_entry AS e WHERE e.id = r.id AND e.at = r.at))
FROM audit.record AS r LEFT JOIN audit.wrap AS w ON w.record = r.id AND w.at = r.at
WHERE {about} AND EXISTS (SELECT FROM audit.payload AS p WHERE p.record = r.id AND p.at = r.at)
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_NAMED = """
SELECT r.kind, min(r.at), max(r.at), count(*) FROM audit.record AS r
WHERE {about} GROUP BY 1 ORDER BY 1
"""
_FIELDS = """
SELECT DISTINCT p.field FROM audit.record AS r
JOIN audit.payload AS p ON p.record = r.id AND p.at = r.at WHERE {about} ORDER BY 1
"""
_HOLDS = """
SELECT DISTINCT e.hold FROM audit.held_entry AS e
JOIN audit.record AS r ON r.id = e.id AND r.at = e.at WHERE {about}
"""
# Runs in which nobody else was acted for: what the agent said of such a run tells of them.
_RUNS = """
SELECT r.id, r.session FROM audit.record AS r
WHERE r.kind = 'session' AND r."user" = '' AND r.session IN (
    SELECT o.session FROM audit.record AS o WHERE o."user" = %s AND o."user" <> ''
    AND o.session <> '')
AND NOT EXISTS (SELECT FROM audit.record AS x
    WHERE x.session = r.session AND x.session <> '' AND x."user" NOT IN ('', %s))
"""
_OLD = """
SELECT count(*), min(found.at) FROM (
    SELECT w.at FROM audit.wrap AS w JOIN audit.record AS r ON r.id = w.record AND r.at = w.at
    WHERE w.at < %s AND r.tier = %s AND {held} EXISTS (
        SELECT FROM audit.held_entry AS e WHERE e.id = w.record AND e.at = w.at)
    LIMIT %s) AS found
"""


@dataclass(frozen=True, slots=True)
class Sealed:
    """Payloads that lie sealed: of which tier, agent and tool, since when, how many can be read.

    `held` counts those that a legal hold keeps.
    """

    tier: str
    agent: str
    tool: str
    first: datetime
    last: datetime
    entries: int
    readable: int
    held: int


@dataclass(frozen=True, slots=True)
class Named:
    """Entries of one kind that name the subject."""

    kind: str
    first: datetime
    last: datetime
    entries: int


@dataclass(frozen=True, slots=True)
class Old:
    """How many entries, no more than `MOST` counted, and since when the oldest is there."""

    entries: int
    oldest: datetime | None


def runs_of(person: str) -> tuple[list[UUID], list[str]]:
    """What was said of runs that were a person's alone, without naming them, and those runs."""
    with limited_time(), connection.cursor() as cursor:
        cursor.execute(_RUNS, [person, person])
        rows = cursor.fetchall()
    return [record for record, _ in rows], sorted({session for _, session in rows})


def is_person(subject: str) -> bool:
    """Whether a subject is a pseudonymous id, and not a resource."""
    return subject.startswith(PERSON)


def base_of(subject: str) -> str:
    """Under whose key a person's payloads lie."""
    return holder_of(user=subject)


def sealed_of(subject: str) -> list[Sealed]:
    """Payloads of a subject: sealed under a person's key, or about a resource that is theirs."""
    return [Sealed(*row) for row in _about(_KEPT, _payloads_of(subject), subject)]


def named_in(subject: str) -> list[Named]:
    """Entries that name a subject, whether they have a payload or not."""
    about = '(r."user" = %s OR r.actor = %s)' if is_person(subject) else "r.resource = %s"
    return [Named(*row) for row in _about(_NAMED, about, subject)]


def fields_of(subject: str) -> list[str]:
    """The payload fields that are kept of a subject."""
    return [field for (field,) in _about(_FIELDS, _payloads_of(subject), subject)]


def entries_of(subject: str) -> QuerySet[Record]:
    """The entries whose payloads are a subject's, newest first."""
    about = Q(user=subject) if is_person(subject) else Q(resource=subject)
    return Record.objects.filter(about).order_by("-at", "-id")


def _payloads_of(subject: str) -> str:
    # An empty one is in no index, and stands for nobody.
    column = '"user"' if is_person(subject) else "resource"
    return f"r.{column} = %s AND r.{column} <> ''"


def _about(statement: str, about: str, subject: str) -> list[Any]:
    with limited_time(), connection.cursor() as cursor:
        cursor.execute(statement.format(about=about), [subject] * about.count("%s"))
        return list(cursor.fetchall())


def standing_holds() -> QuerySet[LegalHold]:
    """Legal holds that are not lifted, the newest first."""
    over = HoldLifted.objects.values("hold")
    return LegalHold.objects.exclude(id__in=over).order_by("-at", "-id")


def lifted() -> dict[UUID, HoldLifted]:
    """Which holds are over, and how that came."""
    return {each.hold: each for each in HoldLifted.objects.all()}


def holds_over(subject: str) -> list[LegalHold]:
    """The standing holds that keep something of a subject."""
    with limited_time(), connection.cursor() as cursor:
        cursor.execute(_HOLDS.format(about=_payloads_of(subject)), [subject])
        ids = [hold for (hold,) in cursor.fetchall()]
    own = Q(subject=subject) | Q(id__in=ids)
    return list(standing_holds().filter(own))


def held_in(first: datetime, until: datetime) -> int:
    """How many entries of a span a legal hold keeps."""
    with limited_time(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(DISTINCT id) FROM audit.held_entry WHERE at >= %s AND at < %s",
            [first, until],
        )
        return int(cursor.fetchone()[0])


def old(tier: str, *, days: int, now: datetime, held: bool = False) -> Old:
    """Entries of a tier whose keys are older than they are kept; or those that a hold keeps."""
    before = now - timedelta(days=days)
    statement = _OLD.format(held="" if held else "NOT")
    with limited_time(), connection.cursor() as cursor:
        cursor.execute(statement, [before, tier, MOST])
        return Old(*cursor.fetchone())


def keys_of(base: str) -> list[str]:
    """The names of the keys that a holder has."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT holder FROM audit.holder WHERE holder = %s OR starts_with(holder, %s)"
            " ORDER BY holder",
            [base, f"{base}/"],
        )
        return [name for (name,) in cursor.fetchall()]
