"""When a request is due, and which states may follow which. Pure."""

from __future__ import annotations

from datetime import date, datetime

from compliance.enums import RequestState as State
from governance.kernel.business_days import add_business_days, instant_of
from registry.rules import months_after

# Art. 12(3): one month, and where that is necessary two more.
MONTHS, MORE = 1, 2
# People are told that an answer is due so long before, and each time again after so many days.
NOTICE_DAYS = 7
NEXT: dict[State, frozenset[State]] = {
    State.OPEN: frozenset({State.APPROVED, State.DONE, State.REFUSED}),
    State.APPROVED: frozenset({State.ASIDE, State.HELD, State.DONE}),
    State.ASIDE: frozenset({State.HELD, State.DONE}),
    State.HELD: frozenset({State.HELD, State.DONE}),
    State.DONE: frozenset(),
    State.REFUSED: frozenset(),
}


def due_day(received: date, *, extended: int = 0, calendar: str = "") -> date:
    """The last day for an answer: a day that is no working day gives way to the next one."""
    return add_business_days(months_after(received, MONTHS + extended), 0, calendar)


def due_at(received: date, *, extended: int = 0, calendar: str = "", zone: str = "UTC") -> datetime:
    """When that day's work ends where the installation is."""
    return instant_of(due_day(received, extended=extended, calendar=calendar), zone)


def notice_day(due: date, today: date) -> int | None:
    """The newest of the days on which it is told, counted from the last one for an answer.

    A week before, on the day, and then each week; None while that is ahead.
    """
    days = (today - due).days
    return None if days < -NOTICE_DAYS else days // NOTICE_DAYS * NOTICE_DAYS


def may_follow(before: str, after: str) -> bool:
    """Whether a request may come from one state to another."""
    return State(after) in NEXT[State(before)]
