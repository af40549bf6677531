"""The time that evidence is about: whole days, counted in UTC as the record is. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from compliance.errors import BadPeriod

LONGEST = timedelta(days=732)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Period:
    """From the first day to the end of the last."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if not timedelta() <= self.last - self.first <= LONGEST or self.last == date.max:
            raise BadPeriod()

    @property
    def since(self) -> datetime:
        """The first instant of it."""
        return datetime.combine(self.first, time(), UTC)

    @property
    def until(self) -> datetime:
        """The first instant after it."""
        return datetime.combine(self.last + DAY, time(), UTC)

    @property
    def key(self) -> str:
        """As it stands in an address."""
        return f"{self.first.isoformat()}..{self.last.isoformat()}"

    @property
    def before(self) -> Period:
        """The one that it is compared with: the quarter or month before, else as many days."""
        for whole in (quarter_of, month_of):
            if whole(self.first) == self:
                return whole(self.first - DAY)
        length = self.last - self.first
        return Period(self.first - DAY - length, self.first - DAY)

    @property
    def name(self) -> str:
        """As it stands in a sentence."""
        first = f"{self.first.day} {self.first:%b}"
        if self.first.year != self.last.year:
            first += f" {self.first.year}"
        return f"{first} to {self.last.day} {self.last:%b} {self.last.year}"


def quarter_of(day: date) -> Period:
    """The calendar quarter that this day is in."""
    first = date(day.year, (day.month - 1) // 3 * 3 + 1, 1)
    return Period(first, _month_after(first, 3) - DAY)


def month_of(day: date) -> Period:
    """The calendar month that this day is in."""
    first = day.replace(day=1)
    return Period(first, _month_after(first, 1) - DAY)


def read(text: str) -> Period:
    """A period from an address. Raises `BadPeriod`."""
    first, _, last = text.partition("..")
    try:
        return Period(date.fromisoformat(first), date.fromisoformat(last))
    except (ValueError, OverflowError) as error:
        raise BadPeriod() from error


def offered(today: date) -> list[Period]:
    """What a form offers: this quarter, the four before it, this month and the one before."""
    quarters = [quarter_of(today)]
    for _ in range(4):
        quarters.append(quarters[-1].before)
    month = month_of(today)
    return [*quarters, month, month.before]


def _month_after(first: date, months: int) -> date:
    number = first.year * 12 + first.month - 1 + months
    return date(number // 12, number % 12 + 1, 1)
