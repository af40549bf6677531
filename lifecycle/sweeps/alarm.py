"""The dead-man's switch: a sweep that looks after the others, sets off again what was lost, as
where the database was away at its moment, and tells people.

Where no worker runs at all, no sweep tells of it: then /readyz and the home page of those who
operate Muster do, and this one as soon as a worker is back.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from governance.words import number_word
from lifecycle import tasks
from lifecycle.notices import page
from lifecycle.sweeps.registry import Key, find
from lifecycle.sweeps.selectors import Late, late_sweeps, overdue_sweeps
from registry.enums import GroupName

NAME = "watch"
MOST_NAMED = 8
AGAIN = "again:"


def due(now: datetime) -> list[str]:
    """Each sweep that is late, and one event for all of which people are told."""
    lost = [f"{AGAIN}{each.sweep.name}" for each in _others(late_sweeps())]
    late = _others(overdue_sweeps())
    return [*lost, _event(late)] if late else lost


def handle(key: Key, now: datetime) -> bool:
    """Set off what is late, or tell of it."""
    if str(key).startswith(AGAIN):
        name = str(key).removeprefix(AGAIN)
        tasks.set_off(name, within=find(NAME).every)
        return True
    return tell(key, now)


def _others(late: list[Late]) -> list[Late]:
    return [each for each in late if each.sweep.name != NAME]


def _event(late: list[Late]) -> str:
    """The same for as long as the same ones stand still since the same time."""
    since = [f"{each.sweep.name}@{each.ended}" for each in late]
    return f"sweeps:{hashlib.sha256(' '.join(since).encode()).hexdigest()[:32]}"


def tell(key: Key, now: datetime) -> bool:
    """Page the platform admins, once for each such event."""
    late = _others(overdue_sweeps())
    if not late:
        return False
    names = [each.sweep.name for each in late]
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    many = "sweep does" if len(names) == 1 else "sweeps do"
    context = {
        "many": f"{number_word(len(names)).capitalize()} {many}",
        "names": ", ".join(names[:MOST_NAMED]) + more,
    }
    return page((GroupName.PLATFORM_ADMIN,), code="sweep.late", context=context, event=str(key))
