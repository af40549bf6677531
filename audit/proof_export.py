"""The record as a file that can be checked without Muster: docs/reference/proof-export.md.

A span comes whole, entry after entry, with the hashes that complete its tree; a choice comes with
one proof for each entry. Both stream, and nothing is left out in silence: an entry whose content
is gone keeps its line.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from audit.export import columns_of
from audit.models import Checkpoint, Leaf, Record
from audit.sealing import notes
from audit.sealing import selectors as sealing
from audit.sealing.errors import NotSealed
from audit.sealing.stored import Incomplete, Stored
from audit.selectors import AuditScope, TrailFilters, walk
from governance.kernel.errors import GovernanceError, Invalid, NotAllowed

PAGE = 500


class WholeRecordOnly(NotAllowed):
    """Only who may see every entry may export them all. Export what you search for instead."""

    code = "not_the_whole_record"


class NoSuchSpan(Invalid):
    """These entries are not in the record. Leave the numbers out to export all of it."""

    code = "no_such_span"


class TreeDamaged(GovernanceError):
    """The stored tree has holes: somebody removed parts of it. Export the whole record."""

    code = "tree_damaged"
    status = 500


@dataclass(frozen=True, slots=True)
class Span:
    """Which entries: from `start` to before `until`, by their place; None for the end of it.

    `since` is the size of a checkpoint that somebody kept: growth from there is proven as well.
    """

    start: int = 0
    until: int | None = None
    since: int | None = None


@dataclass(frozen=True, slots=True)
class Proven:
    """An entry's place in the tree; `text` is its proof (C2SP tlog-proof), "" where the stored
    tree has a hole there, or the checkpoint does not reach so far."""

    index: int
    text: str


def proofs_of(ids: Collection[UUID], *, size: int, note: str) -> dict[UUID, Proven]:
    """The proofs of these entries under one checkpoint, each a file that stands alone.

    One read of leaves, one of entries, and each part of the tree once. An entry that is not
    sealed, or is not there any more, has none.
    """
    leaves = list(Leaf.objects.filter(record__in=ids).order_by("index"))
    records, tree = records_of(leaves), sealing.stored()
    return {
        leaf.record: Proven(leaf.index, _stands_alone(tree, leaf, records[leaf.record], size, note))
        for leaf in leaves
        if leaf.record in records
    }


def _stands_alone(tree: Stored, leaf: Leaf, record: Record, size: int, note: str) -> str:
    if leaf.index >= size:
        return ""
    try:
        proof = tree.inclusion_proof(leaf.index, size)
    except Incomplete:
        return ""
    return notes.tlog_proof(index=leaf.index, proof=proof, note=note, extra=bytes(record.body))


def span_lines(span: Span, *, scope: AuditScope) -> Iterator[str]:
    """A span under the newest checkpoint. Raises before the first line, or not at all."""
    if not scope.everything:
        raise WholeRecordOnly()
    latest = _latest()
    until = latest.size if span.until is None else span.until
    if not 0 <= span.start <= until <= latest.size:
        raise NoSuchSpan()
    left, right = _around(span.start, until, latest.size)
    head = _head(latest, span.since) | {
        "from": span.start,
        "until": until,
        "left": [each.hex() for each in left],
        "right": [each.hex() for each in right],
    }
    return _lines(head, _entries(span.start, until))


def _around(start: int, until: int, size: int) -> tuple[list[bytes], list[bytes]]:
    try:
        return sealing.compact_range(start, until, size)
    except Incomplete as error:
        raise TreeDamaged() from error


def chosen_lines(filters: TrailFilters, *, scope: AuditScope) -> Iterator[str]:
    """What the filters find and is sealed, newest first, each entry with its proof."""
    latest = _latest()
    return _lines(_head(latest, None) | {"selected": True}, _chosen(filters, scope, latest))


def _latest() -> Checkpoint:
    latest = sealing.latest_checkpoint()
    if latest is None:
        raise NotSealed()
    return latest


def _head(latest: Checkpoint, since: int | None) -> dict[str, Any]:
    return {
        "muster_export": 1,
        "origin": latest.note.partition("\n")[0],
        "size": latest.size,
        "consistency": _growth(since, latest.size),
        "checkpoint": latest.note,
    }


def _growth(since: int | None, size: int) -> dict[str, Any] | None:
    """The proof of growth; None where none was asked for, or the stored tree has holes.

    Whoever checks a whole record computes both roots, and does not need it.
    """
    if since is None or not 0 < since < size:
        return None
    try:
        proof = sealing.consistency_proof(since, size)
    except Incomplete:
        return None
    return {"from": since, "proof": [each.hex() for each in proof]}


def _lines(head: dict[str, Any], entries: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield json.dumps(head) + "\n"
    for entry in entries:
        yield json.dumps(entry) + "\n"


def _entries(start: int, until: int) -> Iterator[dict[str, Any]]:
    for first in range(start, until, PAGE):
        leaves = list(
            Leaf.objects.filter(index__gte=first, index__lt=min(first + PAGE, until)).order_by(
                "index"
            )
        )
        records = records_of(leaves)
        yield from (_entry(leaf, records.get(leaf.record)) for leaf in leaves)


def records_of(leaves: list[Leaf]) -> dict[Any, Record]:
    """The entries of these leaves. Their times let the database leave out other partitions."""
    if not leaves:
        return {}
    times = [leaf.at for leaf in leaves]
    found = Record.objects.filter(
        id__in=[leaf.record for leaf in leaves], at__gte=min(times), at__lte=max(times)
    )
    return {record.id: record for record in found}


def _chosen(
    filters: TrailFilters, scope: AuditScope, latest: Checkpoint
) -> Iterator[dict[str, Any]]:
    tree = sealing.stored()
    for records in walk(filters, scope=scope):
        ids = [record.id for record in records]
        leaves = {
            leaf.record: leaf for leaf in Leaf.objects.filter(record__in=ids, index__lt=latest.size)
        }
        for record in records:
            if leaf := leaves.get(record.id):
                yield _entry(leaf, record) | {"proof": _proof(tree, leaf, latest)}


def _proof(tree: Stored, leaf: Leaf, latest: Checkpoint) -> list[str]:
    return [each.hex() for each in tree.inclusion_proof(leaf.index, latest.size)]


def _entry(leaf: Leaf, record: Record | None) -> dict[str, Any]:
    return {
        "index": leaf.index,
        "record": columns_of(record) if record else None,
        "body": base64.b64encode(bytes(record.body)).decode() if record else None,
        "leaf": bytes(leaf.leaf).hex(),
    }
