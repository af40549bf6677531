"""Reads of the record: the trail, one entry, a payload. A person sees their `AuditScope`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from django.db import OperationalError, connection, models, transaction
from django.db.models import Q, QuerySet
from psycopg.errors import QueryCanceled

from audit import asked, leaf, payloads, services
from audit import search as searching
from audit.asked import AuditScope, Page, PageRequest, Place, TrailFilters
from audit.enums import Kind
from audit.enums import Mark as MarkName
from audit.errors import PayloadErased, PayloadMissing, SearchTooSlow, UnknownRecord
from audit.models import Mark, Record
from audit.search import Bounds
from governance.kernel import clock, keys

# What is asked comes with the selectors that answer it.
__all__ = ["AuditScope", "Page", "PageRequest", "TrailFilters"]

SEARCH_SECONDS = 5
_ANY = TrailFilters()
# What was asked stands in the first line of a body.
_RUNS_UNDER = """
SELECT DISTINCT r.session FROM audit.record AS r
WHERE r.agent = %s AND r.at >= %s AND r.kind = %s
  AND split_part(convert_from(r.body, 'UTF8'), E'\\n', 1)::jsonb #>> '{asked,delegation}' = %s
ORDER BY 1
"""
# The time in an id and the time of its entry differ by less than this (see audit.append).
ID_SLACK = timedelta(hours=25)


class Reader(Protocol):
    """A person who reads payloads."""

    @property
    def pid(self) -> str: ...

    def audit_scope(self) -> AuditScope: ...


@dataclass(frozen=True, slots=True)
class Count:
    """How many entries fit; `capped` means at least so many."""

    number: int
    capped: bool


def search(filters: TrailFilters, page: PageRequest, *, scope: AuditScope) -> Page:
    """One page of the trail. Raises `BadCursor`, `SearchTooSlow` after five seconds."""
    after = asked.read_cursor(page.after) if page.after and not page.before else None
    before = asked.read_cursor(page.before) if page.before else None
    bounds = Bounds.of(filters, after=after, before=before)
    found = _searched(filters, scope, bounds, page.size + 1)
    shown, is_more = found[: page.size], len(found) > page.size
    if before:
        shown.reverse()
        return Page(shown, older=_cursor(shown, -1), newer=_cursor(shown, 0) if is_more else "")
    return Page(
        shown,
        older=_cursor(shown, -1) if is_more else "",
        newer=_cursor(shown, 0) if after else "",
    )


@dataclass(frozen=True, slots=True)
class Wider:
    """The newest entry that fits without some of the filters."""

    without: tuple[str, ...]
    newest: Record


def wider(filters: TrailFilters, *, scope: AuditScope) -> list[Wider]:
    """Where nothing fits: for each filter whose leaving out finds something, the newest of it.

    The two ends of the span are left out together. Ends where a search takes too long.
    """
    given = [name for name in searching.EXACT if getattr(filters, name)]
    parts: list[tuple[str, ...]] = [(name,) for name in given]
    if filters.since or filters.until:
        parts.append(("since", "until"))
    found = []
    with suppress(SearchTooSlow):
        for part in parts:
            left = replace(filters, **{name: getattr(_ANY, name) for name in part})
            newest = search(left, PageRequest(size=1), scope=scope).records
            found += [Wider(part, record) for record in newest]
    return found


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
    return _searched(TrailFilters(session=session), scope, Bounds(rising=True), most)


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


def last_decisions(agents: Iterable[str]) -> dict[str, datetime]:
    """When each of these agents was last decided about, in earnest. One look into an index each."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT asked.agent, last.at
            FROM unnest(%s::text[]) AS asked (agent)
            CROSS JOIN LATERAL (
                SELECT at FROM audit.record
                WHERE agent = asked.agent AND agent <> '' AND kind = 'decision'
                    AND mode IN ('enforce', 'observe')
                ORDER BY at DESC LIMIT 1
            ) AS last
            """,
            [sorted(set(agents))],
        )
        return dict(cursor.fetchall())


def calls_since(ended: Mapping[str, datetime]) -> dict[str, datetime]:
    """Which of these agents called after its own instant here, and when last.

    A call is a decision in earnest, or a token that was refused. One look into an index each.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT ended.agent, last.at
            FROM unnest(%s::text[], %s::timestamptz[]) AS ended (agent, since)
            CROSS JOIN LATERAL (
                SELECT at FROM audit.record
                WHERE agent = ended.agent AND agent <> '' AND at > ended.since
                    AND (kind = 'decision' AND mode IN ('enforce', 'observe')
                         OR kind = 'access' AND code = 'client.not_active')
                ORDER BY at DESC LIMIT 1
            ) AS last
            """,
            [list(ended), list(ended.values())],
        )
        return dict(cursor.fetchall())


def last_uses(agent: str, since: datetime, until: datetime | None = None) -> dict[str, datetime]:
    """The tools whose calls by this agent went on in this span, and when each last did."""
    calls = Record.objects.filter(
        Q(effect="allow", mode="enforce") | Q(mode="observe"),
        kind=Kind.DECISION,
        agent=agent,
        at__gte=since,
    )
    if until is not None:
        calls = calls.filter(at__lt=until)
    return dict(calls.order_by().values_list("tool").annotate(models.Max("at")))


def went_on(agent: str, tools: Iterable[str], since: datetime, until: datetime) -> list[Record]:
    """The decisions in this span that let this agent call one of these tools, oldest first."""
    calls = Record.objects.filter(
        Q(effect="allow", mode="enforce") | Q(mode="observe"),
        kind=Kind.DECISION,
        agent=agent,
        tool__in=list(tools),
        at__gte=since,
        at__lte=until,
    )
    return list(calls.order_by("at", "id").only("id", "at", "resource", "tool"))


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
    names = {"check": "deciding_check"}
    wanted = {
        names.get(column, column): value
        for column in searching.EXACT
        if (value := getattr(filters, column))
    }
    if any("\0" in value for value in wanted.values()):
        # No column holds it, and PostgreSQL does not take it as a value.
        return Record.objects.none()
    records = scope.narrow(Record.objects.filter(**wanted))
    if filters.since:
        records = records.filter(at__gte=filters.since)
    if filters.until:
        records = records.filter(at__lt=filters.until)
    return records


def _searched(filters: TrailFilters, scope: AuditScope, bounds: Bounds, most: int) -> list[Record]:
    """What the search finds, in the order of its page."""
    statement = searching.statement(filters, scope, bounds, most=most)
    if statement is None:
        return []
    with limited_time(searching.STEADY):
        return list(Record.objects.raw(statement.sql, statement.params))


def _cursor(shown: Sequence[Record], number: int) -> str:
    return str(Place(shown[number].at, shown[number].id)) if shown else ""


@contextmanager
def limited_time(settings: Mapping[str, str] | None = None) -> Iterator[None]:
    """Stop a statement after five seconds. Raises `SearchTooSlow`.

    `settings` of the database hold for as long, and are put back.
    """
    with transaction.atomic():
        wanted = {"statement_timeout": f"{SEARCH_SECONDS}s", **(settings or {})}
        before = _put(wanted)
        try:
            yield
        except OperationalError as error:
            if isinstance(error.__cause__, QueryCanceled):
                raise SearchTooSlow() from error
            raise
        _put(before)


def _put(wanted: Mapping[str, str]) -> dict[str, str]:
    """Make these settings hold in this transaction, and return what held."""
    # Inside out: what holds is read before it is changed.
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT held.name, held.value, set_config(held.name, held.wanted, true) FROM ("
            " SELECT name, wanted, current_setting(name) AS value"
            " FROM unnest(%s::text[], %s::text[]) AS asked (name, wanted) OFFSET 0) AS held",
            [list(wanted), list(wanted.values())],
        )
        return {name: value for name, value, _ in cursor.fetchall()}


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


def runs_under(*, agent: str, delegation: UUID, since: datetime) -> list[str]:
    """The runs that an agent named where it was decided on a delegation since then, each once.

    "" stands for those where it named none.
    """
    with connection.cursor() as cursor:
        cursor.execute(_RUNS_UNDER, [agent, since, Kind.DECISION, str(delegation)])
        return [session for (session,) in cursor.fetchall()]
