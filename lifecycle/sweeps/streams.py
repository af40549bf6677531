"""Sends the record to receivers outside, and tells people of one that is behind for long."""

from __future__ import annotations

from datetime import datetime

from audit.siem import selectors, services
from lifecycle.notices import page
from lifecycle.sweeps.registry import Key
from registry.permissions import OPERATORS

NAME = "streams"
LATE = "late:"


def due(now: datetime) -> list[str]:
    """Each stream for which something waits, and one event for each that is behind for long."""
    late = [f"{LATE}{each.event}" for each in selectors.standing() if each.late]
    return [*late, *selectors.due(now)]


def handle(key: Key, now: datetime) -> bool:
    """Send on one stream, or warn people once for each such event."""
    name = str(key)
    return _warn(name.removeprefix(LATE)) if name.startswith(LATE) else services.send(name, now)


def _warn(event: str) -> bool:
    found = [each for each in selectors.standing() if each.late and each.event == event]
    told = [
        page(
            OPERATORS,
            code="record.stream_behind",
            context={"stream": each.stream.name, "why": each.sentence},
            event=f"streams:{event}",
        )
        for each in found
    ]
    return any(told)
