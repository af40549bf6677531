"""When a case is due, and which of its days it is. No queries, no writes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from governance import words
from governance.kernel import business_days
from lifecycle.models.cases import Case
from registry.models import Person


@dataclass(frozen=True, slots=True)
class Due:
    """The last business day of a case, and the moment at which it ends."""

    on: date
    at: datetime
    counts_from: date
    zone: str
    calendar: str


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a case, as its picture shows it.

    `number` counts business days; before the count begins it counts the days until then, below
    zero. `free` says why nobody works that day.
    """

    date: date
    number: int
    is_today: bool
    is_past: bool
    is_due: bool
    free: str

    @property
    def said(self) -> str:
        """Which one it is, read aloud."""
        if self.free:
            return self.free
        if self.number > 0:
            return f"business day {self.number}"
        if self.number == 0:
            return "the day it counts from"
        days = "day" if self.number == -1 else "days"
        return f"{-self.number} {days} before it counts"


def due_after(days: int, *, opened: date, zone: str, calendar: str) -> Due:
    """The end of the business day `days` after the day `opened`, in `zone`."""
    on = business_days.add_business_days(opened, days, calendar)
    return Due(on, business_days.instant_of(on, zone), opened, zone, calendar)


def due_of(person: Person, days: int, now: datetime) -> Due:
    """The end of the last of so many business days, where a person is and by their calendar."""
    today = business_days.date_in(person.zone, now)
    return due_after(days, opened=today, zone=person.zone, calendar=person.holidays)


def due_again(case: Case, now: datetime) -> Due:
    """When a case that is asked anew is due: by the days that it had, the next one at least."""
    if now < case.due_at:
        return Due(case.due_on, case.due_at, case.counts_from, case.zone, case.calendar)
    today = today_of(case, now)
    return due_after(1, opened=today, zone=case.zone, calendar=case.calendar)


def number_of(case: Case, day: date) -> int:
    """Which business day of the case `day` is; days until it counts are below zero."""
    if day < case.counts_from:
        return -(case.counts_from - day).days
    return business_days.business_days_between(case.counts_from, day, case.calendar)


def today_of(case: Case, now: datetime) -> date:
    """The date where its deciders are."""
    return business_days.date_in(case.zone, now)


def days_of(case: Case, now: datetime) -> list[Day]:
    """Every day of the case, free ones too: from the first that counts to the last."""
    until = case.closed_at or now
    today = today_of(case, until)
    first = min(case.counts_from, today)
    many = (case.due_on - first).days + 1
    return [_day(case, first + timedelta(days=each), today) for each in range(many)]


def _day(case: Case, day: date, today: date) -> Day:
    return Day(
        date=day,
        number=number_of(case, day),
        is_today=day == today,
        is_past=day < today,
        is_due=day == case.due_on,
        free=business_days.free_because(day, case.calendar),
    )


def notice_day(case: Case, days: tuple[int, ...], now: datetime) -> int | None:
    """The newest of `days` that has come; earlier ones that were missed are not told late."""
    number = number_of(case, today_of(case, now))
    return max((day for day in days if day <= number), default=None)


def days_left(case: Case, now: datetime) -> int:
    """Business days that are left after today; 0 on the last one."""
    today = today_of(case, now)
    return business_days.business_days_between(today, case.due_on, case.calendar)


def said_due(case: Case) -> str:
    """The end of the case as a notice says it."""
    due = case.due_there
    return f"{words.day(due.date(), year=True)}, {due:%H:%M %Z}"


def sentence_of(case: Case, now: datetime) -> str:
    """Where the case stands, for people."""
    if not case.is_open:
        return f"Closed: {case.outcome.replace('_', ' ')}."
    if now >= case.due_at:
        return f"Its time ended {said_due(case)}."
    left = days_left(case, now)
    if left == 0:
        return f"Today is the last day: it ends {said_due(case)}."
    days = "business day" if left == 1 else "business days"
    return f"{left} {days} left after today: it ends {said_due(case)}."
