"""The sweep of requests: carries erasures out, and tells of answers that are due."""

from __future__ import annotations

from datetime import datetime

from compliance.subjects import erasing, waiting
from lifecycle.sweeps.registry import Key, Sweep

_TELL = "tell:"


def due(now: datetime) -> list[Key]:
    """Erasures to go on with, and answers that are due and of which nobody was told."""
    return [*erasing.due(now), *(f"{_TELL}{key}" for key in waiting.to_tell(now))]


def handle(key: Key, now: datetime) -> bool:
    """One of them; done twice, it is done once."""
    name = str(key)
    if name.startswith(_TELL):
        return waiting.tell(name.removeprefix(_TELL), now)
    return erasing.handle(name, now)


SWEEP = Sweep(
    "erasure",
    "Erases what two people agreed to erase, once nothing is sealed under its keys any more, and "
    "tells of requests of data subjects whose answer is due.",
    due,
    handle,
)
