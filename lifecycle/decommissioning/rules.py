"""When an end may begin, and how long it is tried. No queries, no writes."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from governance.kernel import business_days
from lifecycle.models.decommissioning import EndState, EndStepState
from registry.models import Person

R, S = EndState, EndStepState

RUN_TRANSITIONS: dict[EndState, frozenset[EndState]] = {
    R.RUNNING: frozenset({R.DONE}),
    R.DONE: frozenset(),
}
STEP_TRANSITIONS: dict[EndStepState, frozenset[EndStepState]] = {
    S.WAITING: frozenset({S.DONE, S.LEFT}),
    S.LEFT: frozenset({S.DONE}),
    S.DONE: frozenset(),
}
# What an outside system has refused for so long is told to people.
ESCALATE_AFTER = timedelta(days=1)
# How often an agent that has ended is looked at until nothing of it is left.
LOOK_AGAIN = timedelta(hours=1)
_FIRST_PAUSE = timedelta(seconds=10)
_LONGEST_PAUSE = timedelta(hours=1)


def may_move(state: str, target: EndState) -> bool:
    """Whether a run in `state` may become `target`."""
    return target in RUN_TRANSITIONS[EndState(state)]


def may_step(state: str, target: EndStepState) -> bool:
    """Whether a step in `state` may become `target`."""
    return target in STEP_TRANSITIONS[EndStepState(state)]


def next_try(attempts: int, now: datetime) -> datetime:
    """When a step that was tried so often is tried again."""
    pause: timedelta = _FIRST_PAUSE * 2.0 ** min(attempts - 1, 10)
    return now + min(pause, _LONGEST_PAUSE)


def begins_at(tier: str, owner: Person, now: datetime) -> datetime:
    """Until when those who rely on an agent may say that they know: business days by its tier."""
    return _due(settings.MUSTER_END_NOTICE_DAYS[tier], owner, now)


def patience_until(owner: Person, now: datetime) -> datetime:
    """Until when a system that refuses is waited for before the row is closed without it."""
    return _due(settings.MUSTER_END_PATIENCE_DAYS, owner, now)


def _due(days: int, owner: Person, now: datetime) -> datetime:
    return business_days.due(now, days, calendar=owner.holidays, zone=owner.zone)


def destroy_at(tier: str, now: datetime) -> datetime:
    """When what was revoked is destroyed for good."""
    return now + timedelta(days=settings.MUSTER_DESTROY_DAYS[tier])


def counted(number: int, what: str, many: str = "") -> str:
    """So many of something, in words: `1 hold`, `3 people`."""
    return f"{number:,} {what if number == 1 else many or what + 's'}"


def next_slug(slug: str, taken: set[str], longest: int = 60) -> str:
    """A free name for an agent that is registered again: its old one is never given twice."""
    stem, dash, number = slug.rpartition("-")
    counted = bool(dash) and number.isdecimal() and not number.startswith("0")
    base, count = (stem, int(number)) if counted else (slug, 1)
    while True:
        count += 1
        ending = f"-{count}"
        found = f"{base[: longest - len(ending)].rstrip('-_.')}{ending}"
        if found.lower() not in taken:
            return found
