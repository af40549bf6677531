"""Everything that an incident shows: read from the record once, answered four times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from uuid import UUID

from audit import incident as reading
from audit.enums import Kind
from audit.incident import Kin, Related, Span, Subject, Window
from audit.models import Record
from audit.selectors import AuditScope, get_record
from authz.models import FlowSession
from authz.story import body_of
from compliance.incident import answers, handles, runs, touched
from compliance.incident.entries import Body, Entry
from compliance.incident.facts import Facts, facts_of
from compliance.incident.handles import Handle, HandleKind
from governance.kernel import clock

# What is looked at where nobody says of when: up to the last entry, or around the one.
USUAL = timedelta(hours=24)
NEAR = timedelta(minutes=30)
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked about; `after` and `before` are entries that its pages go on from."""

    handle: Handle
    span: Span = reading.ALWAYS
    after: UUID | None = None
    before: UUID | None = None


@dataclass(frozen=True)
class Incident:
    """One page of an incident, with the four answers about what is on it."""

    handle: Handle
    title: str
    span: Span
    entries: tuple[Entry, ...]
    outcomes: tuple[Entry, ...]
    facts: Facts
    related: Related
    tainted_runs: frozenset[str]
    older: bool = False
    newer: bool = False
    # Whether more was reported of these entries than was read.
    more_outcomes: bool = False
    focus: UUID | None = None

    @cached_property
    def what(self) -> answers.What:
        return answers.what(self.entries)

    @cached_property
    def who(self) -> answers.Who:
        return answers.who(self.entries, self.facts)

    @cached_property
    def authorized(self) -> answers.Authorized:
        return answers.authorized(self.entries)

    @cached_property
    def data(self) -> touched.Data:
        return touched.data(self.entries, self.outcomes, self.facts)

    @cached_property
    def runs(self) -> list[runs.RunHere]:
        return runs.runs(self.entries, self.facts)

    @property
    def calls(self) -> list[Entry]:
        """The decisions, newest first."""
        return [entry for entry in self.entries if entry.is_decision]

    @property
    def unsealed(self) -> int:
        return sum(not entry.sealed for entry in self.entries)

    @property
    def is_part(self) -> bool:
        """Whether the span holds more than is shown."""
        return self.older or self.newer


def gather(asked: Asked, scope: AuditScope) -> Incident:
    """One page. Raises `UnknownRecord` for an entry that is not there for this reader."""
    span, found, focus = _window(asked, scope)
    told = [(record, body_of(record)) for record in found.records]
    children = reading.children_of(
        [record for record in found.records if _is_call(record)], scope=scope
    )
    beside = [(record, body_of(record)) for record in children.records]
    facts = facts_of([*told, *_further(told, beside)])
    places = reading.places_of(found.records)
    entries = tuple(
        Entry(record, body, facts, places.index.get(record.id), places.is_sealed(record.id))
        for record, body in told
    )
    outcomes = tuple(
        Entry(record, body, facts) for record, body in beside if record.kind == Kind.OUTCOME
    )
    related = _related(asked.handle, entries, span, scope)
    return Incident(
        handle=asked.handle,
        title=_title(asked.handle, focus, facts),
        span=span,
        entries=entries,
        outcomes=outcomes,
        facts=facts,
        related=related,
        tainted_runs=_tainted(related.runs),
        older=found.older,
        newer=found.newer,
        more_outcomes=children.cut,
        focus=focus.id if focus else None,
    )


def _is_call(record: Record) -> bool:
    return record.kind == Kind.DECISION


def _further(
    told: Sequence[tuple[Record, Body]], beside: Sequence[tuple[Record, Body]]
) -> list[tuple[Record, Body]]:
    known = {record.id for record, _ in told}
    return [(record, body) for record, body in beside if record.id not in known]


# Which entries


def _window(asked: Asked, scope: AuditScope) -> tuple[Span, Window, Record | None]:
    if asked.handle.kind in handles.OF_RECORD:
        return _around(asked, scope)
    subject = handles.subject_of(asked.handle)
    span = _span(asked, subject, scope)
    after, before = (
        get_record(each, scope=scope) if each else None for each in (asked.after, asked.before)
    )
    found = reading.window(subject, span, scope=scope, after=after, before=before)
    return span, found, None


def _span(asked: Asked, subject: Subject, scope: AuditScope) -> Span:
    """What was asked for; else a run as a whole, or the day up to the last call and what came
    of it within half an hour."""
    since, until = asked.span.since, asked.span.until
    if since or until:
        until = until or clock.now()
        return Span(since or until - USUAL, until)
    if asked.handle.kind is HandleKind.SESSION:
        return reading.edges(subject, scope=scope) or _until(clock.now())
    last = reading.last_at(subject, scope=scope, kind=Kind.DECISION)
    if last is not None:
        return Span(last - USUAL, last + NEAR)
    return _until(reading.last_at(subject, scope=scope) or clock.now())


def _until(last: datetime) -> Span:
    return Span(last + _TICK - USUAL, last + _TICK)


def _around(asked: Asked, scope: AuditScope) -> tuple[Span, Window, Record]:
    """An entry with the run that it belongs to; else with what its agent, its user or its
    resource did around it."""
    record = get_record(handles.record_id(asked.handle), scope=scope)
    subject = _neighbours(record)
    if subject is None:
        return Span(record.at, record.at + _TICK), Window((record,)), record
    span = _span_around(asked, record, subject, scope)
    if asked.after or asked.before:
        beside = Handle(HandleKind(subject.column), subject.values[0])
        _, found, _ = _window(replace(asked, handle=beside, span=span), scope)
        return span, found, record
    return span, reading.around(record, subject, span, scope=scope), record


def _span_around(asked: Asked, record: Record, subject: Subject, scope: AuditScope) -> Span:
    """What was asked for, widened so that the entry is part of it."""
    if asked.span.since or asked.span.until:
        said = _span(asked, subject, scope)
        ends = (said.since or record.at, said.until or record.at)
        return Span(min(ends[0], record.at), max(ends[1], record.at + _TICK))
    if subject.column == "session" and (whole := reading.edges(subject, scope=scope)):
        return whole
    return Span(record.at - NEAR, record.at + NEAR)


def _neighbours(record: Record) -> Subject | None:
    for column in ("session", "agent", "user", "resource"):
        if value := str(getattr(record, column)):
            return Subject(column, (value,))
    return None


def _title(handle: Handle, focus: Record | None, facts: Facts) -> str:
    if handle.kind is HandleKind.USER:
        return facts.name(handle.value)
    if handle.kind is HandleKind.EVERYTHING:
        return "Everything"
    if focus is not None:
        return focus.tool or focus.agent or f"Record {str(focus.id)[-8:]}"
    return handle.value


# What belongs together


def _related(handle: Handle, entries: Sequence[Entry], span: Span, scope: AuditScope) -> Related:
    """Other runs in the span with the same resource or user, then with the same agent; each once.

    They are looked for from a day before on: what came along was read earlier.
    """
    here = sorted({entry.record.session for entry in entries if entry.record.session})
    if not entries or handle.kind is HandleKind.EVERYTHING:
        return Related()
    wide = Span((span.since or entries[-1].record.at) - USUAL, span.until)
    found = [
        reading.related_runs(column, _commonest(column, entries), wide, besides=here, scope=scope)
        for column in ("resource", "user", "agent")
    ]
    return joined(found)


def joined(found: Sequence[Related]) -> Related:
    """Each run once, by the first that found it; those of the same agent alone come last."""
    runs: dict[tuple[str, str], Kin] = {}
    for kin in (kin for each in found for kin in each.runs):
        runs.setdefault((kin.session, kin.agent), kin)
    newest = sorted(runs.values(), key=lambda kin: kin.last, reverse=True)
    ranked = sorted(newest, key=lambda kin: kin.by == "agent")
    cut = len(ranked) > reading.MOST_NAMES or any(each.cut for each in found)
    return Related(tuple(ranked[: reading.MOST_NAMES]), cut)


def _commonest(column: str, entries: Sequence[Entry]) -> list[str]:
    values = Counter(str(getattr(entry.record, column)) for entry in entries if entry.is_decision)
    values.pop("", None)
    return [value for value, _ in values.most_common(reading.MOST_NAMES)]


def _tainted(related: Sequence[Kin]) -> frozenset[str]:
    """Those of the related runs that had read untrusted input, where they were opened here."""
    rows = FlowSession.objects.filter(pk__in=[kin.session for kin in related], untrusted=True)
    return frozenset(rows.values_list("pk", flat=True))
