"""The days of a leaver's agents side by side: what happened to which of them on which day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from governance.kernel import business_days
from lifecycle.leavers.story import is_end
from lifecycle.models import Case, CaseEvent

MOST = 31
# What a day is called by what happened on it; the last one that is here wins.
_WORDS = {
    "day": "told",
    "offered": "asked",
    "opened": "flagged",
    "left": "denied",
    "gone": "cannot",
    "refused": "refused",
    "dropped": "dropped",
    "answered": "accepted",
    "ended": "ended",
}
_RANK = list(_WORDS)


@dataclass(frozen=True, slots=True)
class Column:
    """One day. `free` says why nobody works that day."""

    date: date
    number: int
    free: str
    is_today: bool
    is_due: bool


@dataclass(frozen=True, slots=True)
class Cell:
    """What happened to one agent on one day, and who did it; `over` once nothing is asked."""

    word: str = ""
    by: str = ""
    mark: str = ""
    over: bool = False


@dataclass(frozen=True, slots=True)
class Days:
    """One row for each agent, with one cell for each day."""

    columns: list[Column]
    rows: list[tuple[Case, list[Cell]]]


def days_of(cases: Sequence[Case], now: datetime) -> Days:
    """From the day on which the first clock began to the last day, or what came after it."""
    first = min(case.counts_from for case in cases)
    last = max(max(case.due_on, *_dates(case), case.counts_from) for case in cases)
    many = min((last - first).days + 1, MOST)
    days = [first + timedelta(days=each) for each in range(many)]
    columns = [_column(day, cases[0], now) for day in days]
    rows = [(case, [_cell(case, day) for day in days]) for case in cases]
    return Days(columns, sorted(rows, key=lambda row: row[0].agent.slug))


def _dates(case: Case) -> list[date]:
    return [_date_of(event, case) for event in case.events.all()]


def _date_of(event: CaseEvent, case: Case) -> date:
    return business_days.date_in(case.zone, event.at)


def _column(day: date, case: Case, now: datetime) -> Column:
    return Column(
        date=day,
        number=business_days.business_days_between(case.counts_from, day, case.calendar),
        free=business_days.free_because(day, case.calendar),
        is_today=day == business_days.date_in(case.zone, now),
        is_due=day == case.due_on,
    )


def _cell(case: Case, day: date) -> Cell:
    events = [each for each in case.events.all() if _date_of(each, case) == day]
    over = bool(case.closed_at and business_days.date_in(case.zone, case.closed_at) < day)
    if not events:
        return Cell(over=over)
    event = max(events, key=lambda each: _RANK.index(_what(each)) if _what(each) in _WORDS else -1)
    return Cell(_word(event, case), str(event.by or ""), _mark(event, case), over)


def _what(event: CaseEvent) -> str:
    return event.what.partition(":")[0]


def _word(event: CaseEvent, case: Case) -> str:
    what = _what(event)
    return "ended" if what == "answered" and is_end(case) else _WORDS.get(what, what)


def _mark(event: CaseEvent, case: Case) -> str:
    """Red where it gets nothing from that day on, green where it is somebody's again."""
    what = _what(event)
    if what == "answered":
        return "stop" if is_end(case) else "done"
    return "stop" if what in {"left", "ended"} else ""
