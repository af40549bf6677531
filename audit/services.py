"""The one way into the record.

Who changes something calls `record` in the transaction of the change; what cannot be recorded is
undone with it. Decisions are prepared by `prepare_row` and appended by `authz`'s batch.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any, NamedTuple, NoReturn, Required, TypedDict, Unpack
from uuid import UUID

from django.db import Error, connection, transaction

from audit import payloads
from audit.enums import Kind, Mark
from audit.errors import AuditUnavailable, NotRecordable, SecretFound
from audit.leaf import VERSION
from audit.payloads import Sealed
from audit.redactor import SEALED, find_secret, is_suspect
from governance.kernel import clock, emergency, keys

# A column stands in B-tree indexes, whose entries end at 2,704 bytes.
MAX_COLUMN_BYTES = 1000
MAX_CACHED_HOLDERS = 20_000
# A key that is laid aside is known everywhere after so long; then it may be erased.
HOLDER_SECONDS = 300
_TEXT_COLUMNS = (
    "kind", "agent", "user", "gateway", "actor", "tool", "resource", "tier", "session", "mode",
)  # fmt: skip


class Entry(TypedDict, total=False):
    """What is recorded. People stand as pseudonymous ids; personal content goes into `payload`."""

    kind: Required[str]
    actor: Required[str]
    agent: str
    user: str
    gateway: str
    tool: str
    resource: str
    tier: str
    session: str
    parent: UUID | None
    mode: str
    effect: str
    check: str
    code: str
    asked: Mapping[str, Any]
    judged: Mapping[str, Any]
    settled: Mapping[str, Any]
    payload: Mapping[str, Any]
    # The salt of a payload field, where something in it was sealed under that salt already.
    salts: Mapping[str, bytes]
    id: UUID


class Settled(TypedDict):
    """What the database writes into line 2, and may change before it does (see `authz`)."""

    effect: str
    check: str
    code: str
    settled: Mapping[str, Any]


class Row(Settled):
    """One element of the argument of `audit.append`, ready for JSON. `id` is for the caller."""

    id: str
    line1: str
    wrap: dict[str, str] | None
    payload: list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Appended:
    """What the database says of an appended row."""

    id: UUID
    at: datetime


def record(**entry: Unpack[Entry]) -> UUID:
    """Append one entry in the caller's transaction and return its id.

    Raises `AuditUnavailable` when it cannot be written, `SecretFound` when it holds a
    credential, `NotRecordable` when it has no place in the format. The caller's change must not
    outlive any of them.
    """
    row = prepare_row(**entry)
    append_rows([row])
    return UUID(row["id"])


def prepare_row(**entry: Unpack[Entry]) -> Row:
    """One row for `audit.append`: line 1 canonical, every payload field sealed.

    Pure but for the holder's key, which is read from the database when this process has not read
    it lately (see `current_holder`), and only when there is a payload.
    """
    record_id, parts = entry.get("id") or clock.uuid7(), _Parts()
    wrap, sealed = _seal(record_id, entry, parts)
    line1 = _line1(record_id, entry, {each.field: each.digest for each in sealed}, parts)
    line2 = _line2(entry, parts)
    parts.refuse_secrets()
    return {
        "id": str(record_id),
        "line1": line1,
        **line2,
        "wrap": wrap,
        "payload": [
            {"field": each.field, "nonce": each.nonce.hex(), "sealed": each.sealed.hex()}
            for each in sealed
        ],
    }


def append_rows(rows: Sequence[Row]) -> list[Appended]:
    """Append prepared rows, all or none, in order, in the caller's transaction."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT audit.append(%s::jsonb)", [json.dumps(rows)])
            (answer,) = cursor.fetchone()
    except Error as error:
        raise AuditUnavailable() from error
    written = json.loads(answer) if isinstance(answer, str) else answer
    return [Appended(UUID(each["id"]), datetime.fromisoformat(each["at"])) for each in written]


def holder_of(*, user: str = "", agent: str = "") -> str:
    """Whose key seals the payload: the acting user's, else the agent's, else the system's."""
    if user:
        return f"user:{user}"
    return f"agent:{agent}" if agent else "system"


def index_resource(value: str) -> str:
    """What is stored in the place of a resource id that is personal (an e-mail, an IBAN)."""
    return SEALED + hmac.new(keys.index_key(), value.encode(), hashlib.sha256).hexdigest()


def keep_slice(content: bytes) -> bytes:
    """Keep the content of a snapshot slice once, and return its SHA-256."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT audit.keep_slice(%s::bytea)", [content])
            return bytes(cursor.fetchone()[0])
    except Error as error:
        raise AuditUnavailable() from error


def set_mark(name: Mark) -> bool:
    """Set a mark for good; False when it was there already."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT audit.set_mark(%s)", [name])
        return bool(cursor.fetchone()[0])


def make_next_partition(*, months: int = 3) -> int:
    """Make what is missing of this month's partitions and the next ones', and record it."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT audit.make_next_partition(%s)", [months])
            made = int(cursor.fetchone()[0])
        if made:
            record(
                kind=Kind.SYSTEM,
                actor="system:partitions",
                asked={"did": "partitions_made", "months": made},
            )
    return made


class Holder(NamedTuple):
    """Under what record keys are wrapped: the holder's newest key, and the name that it has."""

    name: str
    key: bytes


def current_holder(base: str) -> Holder:
    """The key under which `base`'s record keys are wrapped; made at its first use.

    Its name is `base`, or after an erasure `base/2` and so on. Cached per process for five
    minutes, but not before the transaction that made it has committed: a key that was rolled back
    would seal payloads that no one could ever open.
    """
    known = _holders.get(base)
    if known is not None:
        return known
    holder = _keep_holder(base)
    transaction.on_commit(lambda: _holders.put(base, holder))
    return holder


def forget_holder_keys() -> None:
    """Empty this process's cache of holder keys."""
    _holders.clear()


class _Holders:
    """Holder keys of this process, the longest unused dropped first."""

    def __init__(self) -> None:
        self._keys: OrderedDict[str, tuple[float, Holder]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, base: str) -> Holder | None:
        with self._lock:
            put, holder = self._keys.get(base, (0.0, None))
            if holder is None or time.monotonic() - put > HOLDER_SECONDS:
                return None
            self._keys.move_to_end(base)
            return holder

    def put(self, base: str, holder: Holder) -> None:
        with self._lock:
            self._keys[base] = (time.monotonic(), holder)
            while len(self._keys) > MAX_CACHED_HOLDERS:
                self._keys.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._keys.clear()


_holders = _Holders()


def _keep_holder(base: str) -> Holder:
    for number in count(1):
        name = base if number == 1 else f"{base}/{number}"
        if key := _kept(name):
            return Holder(name, key)
    raise AssertionError  # counting has no end


def _kept(holder: str) -> bytes | None:
    """The key of this name, made where there was none; None where it is laid aside."""
    ours = payloads.wrap_holder_key(kek=keys.kek(), holder=holder, key=payloads.new_key())
    try:
        with connection.cursor() as cursor:
            # The second is the one that is kept, whoever came first.
            cursor.execute("SELECT audit.keep_holder(%s, %s::bytea)", [holder, ours])
            (kept,) = cursor.fetchone()
    except Error as error:
        raise AuditUnavailable() from error
    if kept is None:
        return None
    return payloads.unwrap_holder_key(kek=keys.kek(), holder=holder, wrapped=bytes(kept))


class _Parts:
    """Everything that one row is to hold, in canonical form, looked through at once."""

    def __init__(self) -> None:
        self._parts: list[tuple[str, Any, bytes]] = []

    def take(self, part: str, value: Any) -> bytes:
        """`value` in canonical form; it is looked through by `refuse_secrets`."""
        raw = payloads.canonical(value)
        self._parts.append((part, value, raw))
        return raw

    def refuse_secrets(self) -> None:
        """Raises `SecretFound` with the place of the first credential in any part."""
        if not is_suspect(b"\n".join(raw for _, _, raw in self._parts)):
            return
        for part, value, _ in self._parts:
            if place := find_secret(value):
                _refuse_secret((part + place[1:]).lstrip("."))


def _refuse_secret(where: str) -> NoReturn:
    raise SecretFound(
        f"{where} holds what looks like a credential. Credentials are never recorded: remove it, "
        "or declare the field secret.",
        fields={where: ["This looks like a credential."]},
    )


def _seal(
    record_id: UUID, entry: Entry, parts: _Parts
) -> tuple[dict[str, str] | None, list[Sealed]]:
    payload = entry.get("payload")
    if not payload:
        return None, []
    base = holder_of(user=entry.get("user", ""), agent=entry.get("agent", ""))
    holder, key, salts = current_holder(base), payloads.new_key(), entry.get("salts", {})
    wrapped = payloads.wrap_record_key(
        holder_key=holder.key, holder=holder.name, record=record_id, key=key
    )
    sealed = [
        payloads.seal_field(
            key=key,
            record=record_id,
            field=field,
            raw=parts.take(f"payload.{field}", value),
            salt=salts.get(field) or payloads.new_salt(),
        )
        for field, value in payload.items()
    ]
    return {"holder": holder.name, "key": wrapped.hex()}, sealed


def _line1(record_id: UUID, entry: Entry, digests: dict[str, str], parts: _Parts) -> str:
    parent, asked = entry.get("parent"), dict(entry.get("asked", {}))
    if under := emergency.current():
        asked["break_glass"] = under.id
    if digests:
        asked["digests"] = digests
    line = {column: _column(entry, column) for column in _TEXT_COLUMNS} | {
        "id": str(record_id),
        "version": VERSION,
        "parent": str(parent) if parent else None,
        "asked": asked,
        "judged": dict(entry.get("judged", {})),
    }
    return _without_nul(parts.take("", line)).decode()


def _line2(entry: Entry, parts: _Parts) -> Settled:
    settled: Settled = {
        "effect": _column(entry, "effect"),
        "check": _column(entry, "check"),
        "code": _column(entry, "code"),
        "settled": entry.get("settled", {}),
    }
    _without_nul(parts.take("", settled))
    return settled


def _without_nul(raw: bytes) -> bytes:
    """`raw`, unless a text in it holds NUL: PostgreSQL's JSON has no such character."""
    if b"\\u0000" in raw and b"\\u0000" in raw.replace(b"\\\\", b""):
        raise NotRecordable("Outside of payloads, no text may hold the character NUL.")
    return raw


def _column(entry: Entry, column: str) -> str:
    value = str(entry.get(column, ""))
    # No character takes more than four bytes.
    long = len(value) * 4 > MAX_COLUMN_BYTES
    if "\0" in value or (long and len(value.encode("utf-8", "surrogatepass")) > MAX_COLUMN_BYTES):
        raise NotRecordable(
            f"{column} must be at most {MAX_COLUMN_BYTES} bytes and hold no NUL character.",
            fields={column: [f"At most {MAX_COLUMN_BYTES} bytes, and no NUL character."]},
        )
    return value
