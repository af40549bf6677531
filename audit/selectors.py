"""Reads of the record: the trail, one entry, a payload. A person sees their `AuditScope`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, cast
from uuid import UUID

from django.db import OperationalError, connection, models, transaction
from django.db.models import Q, QuerySet
from psycopg.errors import QueryCanceled

from audit import leaf, payloads, services
from audit.enums import Kind
from audit.enums import Mark as MarkName
from audit.errors import BadCursor, PayloadErased, PayloadMissing, SearchTooSlow, UnknownRecord
from audit.models import Mark, Record
from governance.kernel import clock, keys

SEARCH_SECONDS = 5
# The time in an id and the time of its entry differ by less than this (see audit.append).
ID_SLACK = timedelta(hours=25)
_EXACT = {
    "agent": "agent",
    "user": "user",
    "tool": "tool",
    "resource": "resource",
    "effect": "effect",
    "check": "deciding_check",
    "code": "code",
    "kind": "kind",
    "session": "session",
}


@dataclass(frozen=True, slots=True)
class AuditScope:
    """Which entries a person may see: all, or those of some agents and users (pseudonymous ids)."""

    everything: bool = False
    agents: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()

    def covers(self, record: Record) -> bool:
        return self.everything or record.agent in self.agents or record.user in self.users

    def narrow(self, records: QuerySet[Record]) -> QuerySet[Record]:
        if self.everything:
            return records
        return records.filter(Q(agent__in=self.agents) | Q(user__in=self.users))


class Reader(Protocol):
    """A person who reads payloads."""

    @property
    def pid(self) -> str: ...

    def audit_scope(self) -> AuditScope: ...


@dataclass(frozen=True, slots=True)
class TrailFilters:
    """What to look for. Empty means any; `since` is part of the span, `until` is not."""

    agent: str = ""
    user: str = ""
    tool: str = ""
    resource: str = ""
    since: datetime | None = None
    until: datetime | None = None
    effect: str = ""
    check: str = ""
    code: str = ""
    kind: str = ""
    session: str = ""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Where to go on: `after` takes the cursor `older` of a `Page`, `before` its `newer`."""

    after: str = ""
    before: str = ""
    size: int = 50


@dataclass(frozen=True, slots=True)
class Page:
    """Entries, newest first, and the cursors of the pages beside them (empty where none is)."""

    records: list[Record]
    older: str = ""
    newer: str = ""


@dataclass(frozen=True, slots=True)
class Count:
    """How many entries fit; `capped` means at least so many."""

    number: int
    capped: bool


def search(filters: TrailFilters, page: PageRequest, *, scope: AuditScope) -> Page:
    """One page of the trail. Raises `SearchTooSlow` after five seconds."""
    with limited_time():
        if page.before:
            return _newer_page(_found(filters, scope), page)
        return _older_page(_found(filters, scope), page)


def count(filters: TrailFilters, *, scope: AuditScope, cap: int = 10_000) -> Count:
    """How many entries fit, counted no further than `cap`."""
    with limited_time():
        number = _found(filters, scope).order_by()[: cap + 1].count()
    return Count(min(number, cap), number > cap)


def walk(filters: TrailFilters, *, scope: AuditScope, size: int = 500) -> Iterator[list[Record]]:
    """All that fits, newest first, in pages: constant memory, and no transaction held open."""
    after = ""
    while True:
        page = search(filters, PageRequest(after=after, size=size), scope=scope)
        if page.records:
            yield page.records
        if not page.older:
            return
        after = page.older


def get_record(record_id: UUID | str, *, scope: AuditScope) -> Record:
    """One entry. Raises `UnknownRecord`, also where `scope` does not cover it."""
    try:
        known = record_id if isinstance(record_id, UUID) else UUID(record_id)
        near = datetime.fromtimestamp(clock.uuid7_milliseconds(known) / 1000, UTC)
        found = Record.objects.filter(
            id=known, at__gte=near - ID_SLACK, at__lte=near + ID_SLACK
        ).first()
    except (ValueError, OverflowError) as error:
        raise UnknownRecord() from error
    if found is None or not scope.covers(found):
        raise UnknownRecord()
    return found


def of_session(session: str, *, scope: AuditScope, most: int) -> list[Record]:
    """What is recorded of one run, oldest first, no more than `most`."""
    with limited_time():
        return list(_found(TrailFilters(session=session), scope).order_by("at", "id")[:most])


def effects_by_session(
    sessions: Sequence[str], *, since: datetime, scope: AuditScope
) -> dict[str, Counter[str]]:
    """How often each of these runs was allowed, denied and held since `since`."""
    with limited_time():
        rows = (
            scope.narrow(Record.objects.filter(session__in=sessions, kind=Kind.DECISION))
            .filter(at__gte=since)
            .order_by()
            .values_list("session", "effect")
            .annotate(many=models.Count("id"))
        )
        found: dict[str, Counter[str]] = {session: Counter() for session in sessions}
        for session, effect, many in rows:
            found[session][effect] += many
    return found


@dataclass(frozen=True, slots=True)
class Tally:
    """How many decisions of a span are alike. `went_on` where the caller was not told no."""

    agent: str
    tool: str
    resource: str
    effect: str
    went_on: bool
    calls: int


def tally(since: datetime, until: datetime) -> list[Tally]:
    """The decisions about agents from `since` to before `until`, counted by what they are about."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT agent, tool, resource, effect, effect = 'allow' OR mode = 'observe', count(*)
            FROM audit.record
            WHERE at >= %s AND at < %s AND kind = 'decision' AND agent <> ''
                AND mode IN ('enforce', 'observe')
            GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
            """,
            [since, until],
        )
        return [Tally(*row) for row in cursor.fetchall()]


def first_decision_at(since: datetime) -> datetime | None:
    """When the first decision at or after `since` was made."""
    found = Record.objects.filter(at__gte=since, kind=Kind.DECISION).order_by("at", "id")
    return found.values_list("at", flat=True).first()


def children_of(record: Record) -> list[Record]:
    """What was recorded of this entry later, oldest first: outcomes, releases, payload reads."""
    # An outcome is reported after the decision; the bound leaves out older partitions.
    later = Record.objects.filter(parent=record.id, at__gte=record.at - ID_SLACK)
    return list(later.order_by("at", "id"))


def parse_body(record: Record) -> dict[str, Any]:
    """What the entry says, both lines as one mapping."""
    return leaf.parse_body(bytes(record.body))


def faults(record: Record) -> list[str]:
    """What is wrong with an entry as it is stored: none unless someone went around Muster."""
    row = {name: getattr(record, name) for name in leaf.COLUMNS if name != "check"}
    return leaf.faults(
        {**row, "check": record.deciding_check, "body": record.body, "leaf": record.leaf}
    )


def payload_fields(record: Record) -> list[str]:
    """The names of the payload fields that are kept for this entry."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT field FROM audit.payload WHERE record = %s AND at = %s ORDER BY field",
            [record.id, record.at],
        )
        return [field for (field,) in cursor.fetchall()]


def read_payload(record: Record, field: str, *, by: Reader) -> Any:
    """The value of one payload field.

    That it is read is recorded first, and committed before the value is returned: this may not
    run inside another transaction. Raises `UnknownRecord` for one whose scope does not cover
    the entry, `PayloadMissing`, `PayloadErased`, `PayloadDamaged`.
    """
    if not by.audit_scope().covers(record):
        raise UnknownRecord()
    with transaction.atomic(durable=True):
        services.record(
            kind=Kind.PAYLOAD_READ,
            actor=by.pid,
            agent=record.agent,
            user=record.user,
            tool=record.tool,
            parent=record.id,
            asked={"field": field},
        )
        return _open(record, field)


def holds_mark(name: MarkName) -> bool:
    return Mark.objects.filter(name=name).exists()


def holds_demo_mark() -> bool:
    """Whether this database was marked as a demo, which it stays for good."""
    return holds_mark(MarkName.DEMO)


def _found(filters: TrailFilters, scope: AuditScope) -> QuerySet[Record]:
    wanted = {column: value for name, column in _EXACT.items() if (value := getattr(filters, name))}
    if any("\0" in value for value in wanted.values()):
        # No column holds it, and PostgreSQL does not take it as a value.
        return Record.objects.none()
    records = scope.narrow(Record.objects.filter(**wanted))
    if filters.since:
        records = records.filter(at__gte=filters.since)
    if filters.until:
        records = records.filter(at__lt=filters.until)
    return records


def _older_page(records: QuerySet[Record], page: PageRequest) -> Page:
    if page.after:
        at, record_id = _read_cursor(page.after)
        # The first bound says nothing new, but it is one that an index and partitions serve.
        records = records.filter(Q(at__lt=at) | Q(at=at, id__lt=record_id), at__lte=at)
    found = list(records.order_by("-at", "-id")[: page.size + 1])
    shown = found[: page.size]
    return Page(
        shown,
        older=_cursor(shown[-1]) if len(found) > page.size else "",
        newer=_cursor(shown[0]) if shown and page.after else "",
    )


def _newer_page(records: QuerySet[Record], page: PageRequest) -> Page:
    at, record_id = _read_cursor(page.before)
    records = records.filter(Q(at__gt=at) | Q(at=at, id__gt=record_id), at__gte=at)
    found = list(records.order_by("at", "id")[: page.size + 1])
    shown = found[: page.size][::-1]
    return Page(
        shown,
        older=_cursor(shown[-1]) if shown else "",
        newer=_cursor(shown[0]) if len(found) > page.size else "",
    )


def _cursor(record: Record) -> str:
    return f"{leaf.instant(record.at)}_{record.id}"


def _read_cursor(text: str) -> tuple[datetime, UUID]:
    try:
        at, _, record_id = text.partition("_")
        when = datetime.strptime(at, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
        return when, UUID(record_id)
    except ValueError as error:
        raise BadCursor() from error


@contextmanager
def limited_time() -> Iterator[None]:
    """Stop a statement after five seconds. Raises `SearchTooSlow`."""
    with transaction.atomic():
        before = _statement_timeout(f"{SEARCH_SECONDS}s")
        try:
            yield
        except OperationalError as error:
            if isinstance(error.__cause__, QueryCanceled):
                raise SearchTooSlow() from error
            raise
        _statement_timeout(before)


def _statement_timeout(value: str) -> str:
    """Set it for this transaction and return what it was."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('statement_timeout'),"
            " set_config('statement_timeout', %s, true)",
            [value],
        )
        return cast(str, cursor.fetchone()[0])


def _open(record: Record, field: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT p.nonce, p.sealed, w.holder, w.key, h.key
            FROM audit.payload AS p
            LEFT JOIN audit.wrap AS w ON w.record = p.record AND w.at = p.at
            LEFT JOIN audit.holder AS h ON h.holder = w.holder
            WHERE p.record = %s AND p.at = %s AND p.field = %s
            """,
            [record.id, record.at, field],
        )
        row = cursor.fetchone()
    if row is None:
        raise PayloadMissing()
    nonce, sealed, holder, wrapped, holder_wrapped = row
    if wrapped is None or holder_wrapped is None:
        raise PayloadErased()
    key = payloads.unwrap_record_key(
        holder_key=payloads.unwrap_holder_key(
            kek=keys.kek(), holder=holder, wrapped=bytes(holder_wrapped)
        ),
        holder=holder,
        record=record.id,
        wrapped=bytes(wrapped),
    )
    _, value = payloads.open_field(
        key=key, record=record.id, field=field, nonce=bytes(nonce), sealed=bytes(sealed)
    )
    return value
