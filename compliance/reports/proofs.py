"""What shows outside of Muster that the entries of a report's samples are on the sealed record.

Each has a file of its own, which names its content, its place and the checkpoint that covers the
period; the verifier checks it without server or database. An entry that has none is named, and why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from audit.proof_export import Proven
from compliance import sealed
from compliance.reports.document import Document
from compliance.sealed import Coverage

NOTHING_SEALED = "The record is not sealed."
NOT_SEALED = "It is not sealed yet."
LATER = "It was sealed after the checkpoint that covers the period."
HOLE = "The stored tree has a hole there: somebody removed a part of it."


def tell(document: Document, covered: Coverage) -> dict[str, bytes]:
    """Say in the document of each sampled entry where it stands and which file proves it.

    Returns the files by their names in the bundle.
    """
    ids = sorted({UUID(each["record"]) for each in _samples(document)})
    found = sealed.proofs(ids, covered)
    for each in _samples(document):
        each.update(_told(each["record"], found))
    document["proofs"] = {
        "entries": len(ids),
        "proven": sum(bool(each.text) for each in found.values()),
        "keys": sealed.signers(covered.note) if covered.note else [],
        "without": [
            {"record": str(each), "why": why} for each in ids if (why := _why(each, found, covered))
        ],
    }
    return {name_of(each): one.text.encode() for each, one in found.items() if one.text}


def name_of(record: UUID | str) -> str:
    """Where the proof of an entry lies in the bundle."""
    return f"proofs/{record}.tlog-proof"


def _samples(document: Document) -> Iterator[dict[str, Any]]:
    for control in document["controls"]:
        for query in control["queries"]:
            yield from query["sample"]


def _told(record: str, found: Mapping[UUID, Proven]) -> dict[str, Any]:
    proven = found.get(UUID(record))
    return {
        "place": proven.index if proven else None,
        "proof": name_of(record) if proven and proven.text else "",
    }


def _why(record: UUID, found: Mapping[UUID, Proven], covered: Coverage) -> str:
    """Why an entry has no proof; "" where it has one."""
    proven = found.get(record)
    if proven is None:
        return NOT_SEALED if covered.size else NOTHING_SEALED
    if proven.text:
        return ""
    return HOLE if proven.index < covered.size else LATER
