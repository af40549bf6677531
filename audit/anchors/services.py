"""Telling anchors: at least once, by each of them, in its own time.

Before an anchor is told something new, what it keeps is read back and held against the record. An
anchor that contradicts is told nothing: the sealer gets to see what it keeps, and signs no more.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from audit.anchors import configured, kinds, selectors
from audit.anchors.configured import Configured
from audit.anchors.errors import AnchorFailed, Contradicted
from audit.anchors.kinds import Anchor
from audit.models import Anchored, Checkpoint
from audit.sealing import notes
from audit.sealing import selectors as sealing
from audit.sealing.certificates import CHECKPOINT
from audit.sealing.notes import BadNote
from audit.sealing.stored import Incomplete

FOLDER = "anchored"


def due(now: datetime) -> list[str]:
    """The anchors that have not got the newest checkpoint, and whose time has come."""
    latest, taken = sealing.latest_checkpoint(), selectors.last()
    if latest is None:
        return []
    waiting = [each for each in configured.every() if _is_due(each, latest, taken, now)]
    return [each.name for each in waiting]


def _is_due(
    anchor: Configured, latest: Checkpoint, taken: dict[str, Anchored], now: datetime
) -> bool:
    last = taken.get(anchor.name)
    return last is None or (last.size != latest.size and now - last.at >= anchor.every)


def tell(name: str, now: datetime) -> bool:
    """Give an anchor the newest checkpoint, if it is due, and note what it says.

    Killed between the two, it is told again. Raises `AnchorFailed`, `AddressRefused`,
    `Contradicted`.
    """
    anchor, latest, taken = configured.find(name), sealing.latest_checkpoint(), selectors.last()
    if latest is None or not _is_due(anchor, latest, taken, now):
        return False
    last = taken.get(name)
    receipt = hand_over(anchor, latest, after=last.size if last else 0)
    _note(anchor, latest, receipt)
    return True


def hand_over(anchor: Configured, latest: Checkpoint, *, after: int = 0) -> dict[str, Any]:
    """Hold what the anchor keeps against the record, then tell it; what it answered."""
    place = kinds.of(anchor)
    _hold_against(place, anchor, after)
    return place.send(latest)


def _hold_against(place: Anchor, anchor: Configured, after: int) -> None:
    """Raises `Contradicted` unless the record goes on from what the anchor keeps."""
    kept = place.read_back(after)
    if kept is None:
        return
    try:
        said = notes.open_checkpoint(kept, sealing.verifiers(CHECKPOINT))
    except BadNote as error:
        raise Contradicted(
            f"What lies at {anchor.name} is not signed by this log. Give the anchor a place of "
            "its own."
        ) from error
    _leave_to_sealer(anchor.name, kept)
    if _root(said.size) != said.root:
        raise Contradicted(
            f"{anchor.name} keeps a checkpoint of {said.size} entries that this record does not "
            "go on from: it was rewritten, or set back."
        )


def _root(size: int) -> bytes | None:
    try:
        return sealing.stored().root(size)
    except Incomplete:
        return None


def _leave_to_sealer(name: str, note: str) -> None:
    """The sealer holds its tree against this before it signs again."""
    folder = Path(settings.MUSTER_DATA) / FOLDER
    try:
        folder.mkdir(exist_ok=True)
        draft = folder / f".{name}.new"
        draft.write_text(note)
        draft.chmod(0o644)
        draft.replace(folder / f"{name}.note")
    except OSError as error:
        raise AnchorFailed(f"{folder} cannot be written: {error.strerror}.") from error


def _note(anchor: Configured, latest: Checkpoint, receipt: dict[str, Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT audit.note_anchored(%s, %s, %s, %s, %s::jsonb)",
            [latest.size, anchor.kind, anchor.name, anchor.outside, json.dumps(receipt)],
        )
