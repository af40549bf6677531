"""What the sealing of the record says of a period. The only place that asks it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from audit import figures, proof_export
from audit.anchors.selectors import standing
from audit.models import Checkpoint
from audit.proof_export import Proven
from audit.sealing import notes, selectors

NOT_SEALED = "The record is not sealed: no checkpoint covers this period."


@dataclass(frozen=True, slots=True)
class Coverage:
    """`sentence` stands on every page of a report. `size` 0: nothing is sealed.

    `covers` says that every entry of the period is under this checkpoint, `anchored` that an
    anchor outside holds one that is as large.
    """

    sentence: str
    size: int = 0
    root: str = ""
    signed_at: datetime | None = None
    note: str = ""
    covers: bool = False
    anchored: bool = False
    anchored_size: int = 0
    anchors: str = ""


def coverage(until: datetime) -> Coverage:
    """The first checkpoint over the last entry before an instant; the same one ever after."""
    # Asked first: what is sealed between the two is then not said to be under the earlier one.
    waiting = selectors.freshness().oldest_unsealed_at
    index = figures.last_leaf_before(until)
    found = None if index is None else selectors.checkpoint_covering(index)
    if found is None:
        return Coverage(NOT_SEALED)
    covers = waiting is None or waiting >= until
    outside = standing()
    anchored = outside.outside and outside.anchored_size >= found.size
    return Coverage(
        _sentence(found, covers=covers, anchored=anchored),
        size=found.size,
        root=bytes(found.root).hex(),
        signed_at=found.at,
        note=found.note,
        covers=covers,
        anchored=anchored,
        anchored_size=found.size if anchored else 0,
        anchors="" if anchored else outside.sentence,
    )


def proofs(ids: Collection[UUID], covered: Coverage) -> dict[UUID, Proven]:
    """Where these entries stand, and their proofs under the checkpoint over the period."""
    return proof_export.proofs_of(ids, size=covered.size, note=covered.note)


def signers(note: str) -> list[str]:
    """The public keys that signed a checkpoint, as its verifier reads them."""
    return [key.vkey for key in selectors.verifiers("checkpoint") if _signed(note, key)]


def _signed(note: str, key: notes.Verifier) -> bool:
    try:
        notes.open_note(note, [key])
    except notes.BadNote:
        return False
    return True


def _sentence(found: Checkpoint, *, covers: bool, anchored: bool) -> str:
    """Names the checkpoint alone, so that it is the same whenever it is printed."""
    signed = found.at.astimezone(UTC)
    root = bytes(found.root).hex()
    sealed = f"Checkpoint {found.size:,}, signed {signed:%Y-%m-%d %H:%M:%S} UTC, root {root[:20]}"
    outside = "anchored outside" if anchored else "not anchored outside"
    return f"{sealed}; {outside}." if covers else f"{sealed}; later entries are not sealed yet."
