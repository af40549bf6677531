"""Reading many payloads for one stated reason.

What is read one by one is recorded one by one (`audit.selectors.read_payload`). Thousands at
once are recorded as one reading that says who reads, why, which span, which fields and how many
entries; it is committed before the first payload is opened, and no entry beyond it is opened.
Only who may read every entry may do this.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from audit import leaf, payloads, selectors, services
from audit.enums import Kind
from audit.errors import PayloadDamaged
from audit.models import Record
from audit.selectors import Count, Reader, TrailFilters
from governance.kernel import clock, keys
from governance.kernel.errors import NotAllowed

PAGE = 500
# Entries beyond those that are read are counted no further than this.
COUNTED_BEYOND = 100_000
MAX_HOLDERS = 1000
ERASED = "erased"
DAMAGED = "damaged"
_OF_PAYLOAD = """
SELECT p.record, p.field, p.nonce, p.sealed, w.holder, w.key, h.key
FROM audit.payload AS p
LEFT JOIN audit.wrap AS w ON w.record = p.record AND w.at = p.at
LEFT JOIN audit.holder AS h ON h.holder = w.holder
WHERE p.record = ANY(%s) AND p.field = ANY(%s) AND p.at BETWEEN %s AND %s
"""


@dataclass(frozen=True, slots=True)
class Opened:
    """One entry, what it says, and its payload; `fault` says why a payload cannot be read."""

    record: Record
    payload: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """A reading that stands on the record: what may be opened under it, and no more."""

    id: UUID
    filters: TrailFilters
    fields: tuple[str, ...]
    count: int
    found: Count

    @property
    def left_out(self) -> int:
        """How many entries fit and are not read; at least so many where the count is capped."""
        return self.found.number - self.count

    def pages(self, *, size: int = PAGE) -> Iterator[list[Opened]]:
        """The entries, newest first, page by page: constant memory, no transaction held open."""
        left, holders = self.count, _Holders()
        scope = selectors.AuditScope(everything=True)
        for records in selectors.walk(self.filters, scope=scope, size=size):
            taken = records[:left]
            left -= len(taken)
            yield _opened(taken, self.fields, holders)
            if not left:
                return


def start_reading(
    filters: TrailFilters, *, fields: Sequence[str], by: Reader, reason: str, limit: int
) -> Reading:
    """Record that `by` reads these `fields` of the newest `limit` entries, and why.

    The record is committed before this returns, so it may not run inside another transaction.
    Raises `NotAllowed` for who may not read every entry, `SearchTooSlow`.
    """
    if not by.audit_scope().everything:
        raise NotAllowed(
            "Only security, the DPO and auditors may read every decision, so only they may do this."
        )
    bounded = replace(filters, until=filters.until or clock.now())
    scope = selectors.AuditScope(everything=True)
    found = selectors.count(bounded, scope=scope, cap=limit + COUNTED_BEYOND)
    count = min(found.number, limit)
    with transaction.atomic(durable=True):
        recorded = services.record(
            kind=Kind.PAYLOAD_READ,
            actor=by.pid,
            agent=filters.agent,
            asked={
                "did": "payloads_read",
                "reason": reason,
                "fields": list(fields),
                "entries": count,
                "span": _told(bounded),
            },
        )
    return Reading(recorded, bounded, tuple(fields), count, found)


def open_entries(
    records: Sequence[Record], *, fields: Sequence[str], by: str, reason: str
) -> list[Opened]:
    """The payloads of these entries, for `by` (a pid, or what the record calls a part of Muster).

    Recorded as one reading that names them all, and committed before the first is opened: it
    may not run inside another transaction. Who may read them, the caller has checked.
    """
    if not records:
        return []
    one = records[0] if len(records) == 1 else None
    with transaction.atomic(durable=True):
        services.record(
            kind=Kind.PAYLOAD_READ,
            actor=by,
            agent=records[0].agent,
            user=one.user if one else "",
            tool=records[0].tool,
            parent=one.id if one else None,
            asked={
                "did": "payloads_read",
                "reason": reason,
                "fields": list(fields),
                "entries": len(records),
                **({} if one else {"of": [str(record.id) for record in records]}),
            },
        )
    return _opened(records, fields, _Holders())


def _told(filters: TrailFilters) -> dict[str, str]:
    given = {name: value for name, value in asdict(filters).items() if value}
    return {
        name: leaf.instant(value) if isinstance(value, datetime) else value
        for name, value in given.items()
    }


class _Holders:
    """Holder keys of one reading, the longest unused dropped first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, bytes], bytes] = OrderedDict()

    def key(self, holder: str, wrapped: bytes) -> bytes:
        known = self._kept.get((holder, wrapped))
        if known is None:
            known = payloads.unwrap_holder_key(kek=keys.kek(), holder=holder, wrapped=wrapped)
            self._kept[holder, wrapped] = known
            while len(self._kept) > MAX_HOLDERS:
                self._kept.popitem(last=False)
        return known


def _opened(records: Sequence[Record], fields: Sequence[str], holders: _Holders) -> list[Opened]:
    rows: dict[UUID, list[Any]] = {}
    for row in _rows(records, fields):
        rows.setdefault(row[0], []).append(row[1:])
    return [_open(record, rows.get(record.id, []), holders) for record in records]


def _rows(records: Sequence[Record], fields: Sequence[str]) -> list[Any]:
    if not records:
        return []
    times = [record.at.astimezone(UTC) for record in records]
    with connection.cursor() as cursor:
        wanted: tuple[Any, ...] = (
            [one.id for one in records],
            list(fields),
            min(times),
            max(times),
        )
        cursor.execute(_OF_PAYLOAD, wanted)
        return list(cursor.fetchall())


def _open(record: Record, rows: Sequence[Any], holders: _Holders) -> Opened:
    try:
        if any(wrapped is None or holder_key is None for *_, wrapped, holder_key in rows):
            return Opened(record, fault=ERASED)
        payload = {row[0]: _value(record, row, holders) for row in rows}
    except (PayloadDamaged, json.JSONDecodeError, UnicodeDecodeError):
        return Opened(record, fault=DAMAGED)
    return Opened(record, payload)


def _value(record: Record, row: Sequence[Any], holders: _Holders) -> Any:
    name, nonce, sealed, holder, wrapped, holder_wrapped = row
    key = payloads.unwrap_record_key(
        holder_key=holders.key(holder, bytes(holder_wrapped)),
        holder=holder,
        record=record.id,
        wrapped=bytes(wrapped),
    )
    _, value = payloads.open_field(
        key=key, record=record.id, field=name, nonce=bytes(nonce), sealed=bytes(sealed)
    )
    return value
