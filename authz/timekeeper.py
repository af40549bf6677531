"""The database's time, kept in the process: decisions never go by the clock of their machine.

The offset is held against the monotonic clock, so that setting the machine's clock moves
nothing, and renewed by every answer of the database that carries its time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from governance.kernel.database_clock import database_now

MAX_AGE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class _Seen:
    at: datetime
    monotonic: float


# Threads replace what stands here, and none changes it.
_last: dict[str, _Seen | None] = {"seen": None}


def observe(at: datetime) -> None:
    """Take over the database's time as it was this moment."""
    _last["seen"] = _Seen(at, time.monotonic())


def forget() -> None:
    """Ask the database next time."""
    _last["seen"] = None


def now() -> datetime:
    """The database's time. Asks it when nothing was heard for half a minute."""
    seen = _last["seen"]
    if seen is None or time.monotonic() - seen.monotonic > MAX_AGE_SECONDS:
        at = database_now()
        observe(at)
        return at
    return seen.at + timedelta(seconds=time.monotonic() - seen.monotonic)
