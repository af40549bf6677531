"""What of the record is sealed, and the proofs of it. Reads alone, for every app above."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from audit.models import Alarm, Checkpoint, Leaf, Record, SealingKey
from audit.sealing import notes
from audit.sealing.errors import NotSealed
from audit.sealing.passes import LOCK
from audit.sealing.stored import Stored

MOST_COUNTED = 10_000

_FRESHNESS = """
WITH last AS (
    SELECT c.size, c.at, c.system, c.seen FROM audit.checkpoint AS c ORDER BY c.size DESC LIMIT 1
)
SELECT last.size, last.at, u.many, u.oldest, u.head,
       EXISTS (SELECT FROM pg_locks AS l WHERE l.locktype = 'advisory' AND l.granted
               AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
               AND (l.classid::bigint << 32) | l.objid::bigint = %s),
       clock_timestamp()
FROM (SELECT) AS one LEFT JOIN last ON true
CROSS JOIN LATERAL (
    SELECT count(*) AS many, min(n.at) AS oldest, (array_agg(n.record))[1] AS head
    FROM audit.unsealed(
        CASE WHEN last.system = (SELECT s.system_identifier FROM pg_control_system() AS s)
             THEN last.seen END, '0'::xid8, %s) AS n
) AS u
"""


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far the record is sealed, as of `now` by the database's clock.

    `unsealed` is counted no further than `MOST_COUNTED`; `head` is the entry that is sealed
    next; `is_sealing` says that a sealer is connected. What is anchored outside is None here:
    `audit.anchors.selectors.freshness` tells it.
    """

    now: datetime
    size: int
    sealed_until: datetime | None
    unsealed: int
    oldest_unsealed_at: datetime | None
    head: UUID | None
    is_sealing: bool
    anchored_size: int | None = None
    anchored_at: datetime | None = None


def latest_checkpoint() -> Checkpoint | None:
    return Checkpoint.objects.order_by("-size").first()


def checkpoint_covering(what: int | UUID) -> Checkpoint | None:
    """The first checkpoint over a leaf, named by its index or its record; None while unsealed."""
    index = what if isinstance(what, int) else getattr(leaf_of_record(what), "index", None)
    if index is None:
        return None
    return Checkpoint.objects.filter(size__gt=index).order_by("size").first()


def leaf_of_record(record_id: UUID) -> Leaf | None:
    return Leaf.objects.filter(record=record_id).first()


def stored() -> Stored:
    """The stored tree, for several proofs in a row."""
    return Stored(_rows)


def inclusion_proof(index: int, size: int) -> list[bytes]:
    return stored().inclusion_proof(index, size)


def consistency_proof(old: int, new: int) -> list[bytes]:
    return stored().consistency_proof(old, new)


def compact_range(begin: int, end: int, size: int) -> tuple[list[bytes], list[bytes]]:
    """What completes the root of `size` around the leaves from `begin` to before `end`."""
    tree = stored()
    return tree.compact_range(0, begin), tree.compact_range(end, size)


def tlog_proof(record: Record) -> str:
    """A proof that stands alone: the entry's body, its place, and the checkpoint over it.

    Raises `NotSealed` where the entry is not in the tree yet.
    """
    leaf, latest = leaf_of_record(record.id), latest_checkpoint()
    if leaf is None or latest is None or leaf.index >= latest.size:
        raise NotSealed()
    return notes.tlog_proof(
        index=leaf.index,
        proof=inclusion_proof(leaf.index, latest.size),
        note=latest.note,
        extra=bytes(record.body),
    )


def freshness() -> Freshness:
    with connection.cursor() as cursor:
        cursor.execute(_FRESHNESS, [LOCK, MOST_COUNTED + 1])
        size, at, unsealed, oldest, head, is_sealing, now = cursor.fetchone()
    return Freshness(now, size or 0, at, unsealed, oldest, head, is_sealing)


def alarm() -> Alarm | None:
    """Why the sealer signs nothing; None where it would sign."""
    last = Alarm.objects.order_by("-number").first()
    return last if last and last.cause else None


def published_keys() -> list[SealingKey]:
    """Every public key that was ever used, in the order of their use."""
    return list(SealingKey.objects.order_by("at", "vkey"))


def verifiers(kind: str) -> list[notes.Verifier]:
    return [notes.read_vkey(each.vkey) for each in published_keys() if each.kind == kind]


def _rows(query: str, params: Sequence[Any]) -> Iterable[Sequence[Any]]:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        found: list[Sequence[Any]] = cursor.fetchall()
        return found
