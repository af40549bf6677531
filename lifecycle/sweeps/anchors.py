"""Tells anchors outside each checkpoint, and people where none of them takes it in time.

It runs in the worker, and not in the sealer: who speaks to the outside does not hold the key.
"""

from __future__ import annotations

from datetime import datetime

from audit.anchors import selectors, services
from audit.anchors.selectors import Standing
from lifecycle.notices import page
from lifecycle.sweeps.registry import Key
from registry.permissions import OPERATORS

NAME = "anchors"
LATE = "late:"


def due(now: datetime) -> list[str]:
    """Each anchor whose time has come, and one event for as long as nothing outside was told."""
    found = selectors.standing()
    return [*services.due(now), *([_event(found)] if found.late else [])]


def _event(found: Standing) -> str:
    return f"{LATE}{found.anchored_size}"


def handle(key: Key, now: datetime) -> bool:
    """Tell one anchor, or page people once for each such event."""
    name = str(key)
    return _page(name) if name.startswith(LATE) else services.tell(name, now)


def _page(event: str) -> bool:
    found = selectors.standing()
    if not found.late or _event(found) != event:
        return False
    return page(
        OPERATORS,
        code="record.not_anchored",
        context={"why": found.sentence},
        event=f"anchors:{event}",
    )
