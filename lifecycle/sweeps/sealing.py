"""Tells security, and those who operate Muster, that the record is not sealed in time."""

from __future__ import annotations

from datetime import datetime

from audit.sealing import standing
from lifecycle.notices import page
from lifecycle.sweeps.registry import Key
from registry.permissions import OPERATORS

NAME = "sealing"


def due(now: datetime) -> list[str]:
    """One event for as long as it is the same trouble, whoever was told of it already."""
    found = standing.trouble()
    return [found.event] if found else []


def tell(key: Key, now: datetime) -> bool:
    """Page them, once for each such event."""
    found = standing.trouble()
    if found is None or found.event != key:
        return False
    return page(
        OPERATORS,
        code="record.not_sealed",
        context={"why": found.sentence},
        event=f"sealing:{found.event}",
    )
