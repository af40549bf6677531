"""When an owner is asked, told, and how long they have. No queries, no writes."""

from __future__ import annotations

from datetime import date, timedelta

from lifecycle.cases.rules import Due, due_after

# Days before the renewal on which people are told; from the first of them on it is asked.
NOTICES = (30, 14, 7, 1)
OPENS_BEFORE = timedelta(days=NOTICES[0])
# Business days after the renewal's day in which it can still be answered.
WINDOW = 10
# On which day of its case people are told: before it counts, and on each business day after.
NOTICE_DAYS = (*(-each for each in NOTICES), *range(WINDOW + 1))
# Before that day it is told of by the check, from it on the check fails.
TOLD_BEFORE = timedelta(days=14)
MOST_EXTENDED = timedelta(days=30)


def opens_on(due_on: date) -> date:
    """The day from which on an agent that is due on `due_on` is asked about."""
    return due_on - OPENS_BEFORE


def is_asked(due_on: date | None, today: date) -> bool:
    """Whether its owner is asked by now."""
    return due_on is not None and opens_on(due_on) <= today


def window_of(due_on: date, opened: date, *, zone: str, calendar: str) -> Due:
    """The time to answer. Where nobody could be told before the day, it counts from the telling."""
    return due_after(WINDOW, opened=max(due_on, opened), zone=zone, calendar=calendar)


def may_extend_to(due_on: date, until: date) -> bool:
    """Whether a renewal may be put off from its day to this one."""
    return due_on < until <= due_on + MOST_EXTENDED


def said_use(used: int, held: int) -> str:
    """How much of what it holds it has used, as a question."""
    if not held:
        return "It may call no tool."
    if used == held:
        return "It used every tool that it may call."
    return f"Used {used} of {held}. Drop {held - used}?"
