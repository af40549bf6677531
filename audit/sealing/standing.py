"""Is the record sealed in time? Where it is not: what is wrong, and what to do about it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from audit.models import Alarm
from audit.sealing import selectors
from audit.sealing.selectors import MOST_COUNTED, Freshness

LATEST = timedelta(seconds=5)
# A transaction may have been long before it committed: the sealer gets the time of one pass.
LOOK_AGAIN_SECONDS = 3.0

ALARMS = {
    "behind": "The database holds less of the record than was signed: entries were cut off, or an "
    "old copy was restored. Find the newest copy; if there is none, see docs/howto/seal.md.",
    "forked": "The record in the database is another one than was signed. Somebody rewrote it, or "
    "restored a copy that went on elsewhere. Keep this database as it is, and find out who.",
    "damaged": "The tree in the database does not fit the checkpoint that was signed over it. "
    "Somebody changed it. Keep this database as it is, and find out who.",
    "key": "The sealer's key is not one of those that sealed this record. Give it back its folder, "
    "or see docs/howto/seal.md.",
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why entries are not sealed. The same `event` for as long as it is the same trouble."""

    event: str
    sentence: str


def trouble(wait: Callable[[float], None] | None = time.sleep) -> Trouble | None:
    """What is wrong; None where every entry is sealed within five seconds.

    A page waits for nothing (`wait` is None): there, a sealer that is at work is believed.
    """
    if raised := selectors.alarm():
        return of_alarm(raised)
    first = selectors.freshness()
    if not is_late(first):
        return None
    if first.is_sealing:
        if wait is None:
            return None
        wait(LOOK_AGAIN_SECONDS)
        again = selectors.freshness()
        if again.head != first.head or not is_late(again):
            return None
    return Trouble(f"late:{first.size}", sentence_of(first))


def of_alarm(raised: Alarm) -> Trouble:
    said = ALARMS.get(raised.cause, "The sealer signs nothing.")
    return Trouble(f"{raised.cause}:{raised.number}", said)


def is_late(found: Freshness) -> bool:
    """Whether something waits longer than it may. Who catches up, oldest first, is not late."""
    if found.oldest_unsealed_at is None or found.now - found.oldest_unsealed_at <= LATEST:
        return False
    return found.sealed_until is None or found.now - found.sealed_until > LATEST


def sentence_of(found: Freshness) -> str:
    many = f"more than {MOST_COUNTED}" if found.unsealed > MOST_COUNTED else str(found.unsealed)
    said = "1 entry is" if found.unsealed == 1 else f"{many} entries are"
    why = "The sealer does not come through" if found.is_sealing else "No sealer runs"
    since = found.now - (found.oldest_unsealed_at or found.now)
    return f"{why}: {said} not sealed, the oldest since {int(since.total_seconds())} s."
