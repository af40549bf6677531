"""Business days: a calendar says which days are worked, a zone when a day begins and ends.

A calendar is a country of ISO 3166 with or without a subdivision: `DK`, `DE-BY`. An empty one
knows weekends alone. Nothing here asks for the time: the caller gives it, from the database.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import holidays

# When a working day ends: an answer that is due on a day is due until then.
DAY_ENDS = time(17)
_WEEKEND = frozenset({5, 6})


class UnknownCalendar(ValueError):
    """Name a country of ISO 3166, with a subdivision of it if you like: DK, DE-BY."""

    def __init__(self, code: str) -> None:
        super().__init__(f"{code[:20]} is no calendar. {type(self).__doc__}")


@cache
def _calendar(code: str) -> holidays.HolidayBase:
    country, dash, subdivision = code.partition("-")
    # The library finds its own modules by this name as well.
    if not (country.isascii() and country.isupper() and len(country) == 2) or (
        dash and not subdivision
    ):
        raise UnknownCalendar(code)
    try:
        return holidays.country_holidays(country, subdiv=subdivision or None, language="en_US")
    except (NotImplementedError, KeyError) as error:
        raise UnknownCalendar(code) from error


def check_calendar(code: str) -> None:
    """Raise `UnknownCalendar` for what names none. Empty is one: weekends alone."""
    if code:
        _calendar(code)


def is_business_day(day: date, calendar: str = "") -> bool:
    """Whether people work on `day` by this calendar."""
    if not calendar:
        return day.weekday() not in _WEEKEND
    return bool(_calendar(calendar).is_working_day(day))


def free_because(day: date, calendar: str = "") -> str:
    """Why nobody works on `day`: the name of the holiday, or `weekend`; empty on a business day."""
    if is_business_day(day, calendar):
        return ""
    named = _calendar(calendar).get(day) if calendar else None
    return str(named or "weekend")


def business_days_between(start: date, end: date, calendar: str = "") -> int:
    """How many business days come after `start`, up to `end` and with it."""
    days = range(1, (end - start).days + 1)
    return sum(is_business_day(start + timedelta(days=each), calendar) for each in days)


def add_business_days(start: date, days: int, calendar: str = "") -> date:
    """The business day `days` after `start`; with 0 it is `start`, or the next one after it."""
    day = start
    while days > 0 or not is_business_day(day, calendar):
        day += timedelta(days=1)
        days -= is_business_day(day, calendar)
    return day


def date_in(zone: str, at: datetime) -> date:
    """Which date it is in `zone` at this instant."""
    return at.astimezone(ZoneInfo(zone)).date()


def instant_of(day: date, zone: str, clock: time = DAY_ENDS) -> datetime:
    """When the clocks of `zone` show `clock` on `day`, in UTC.

    A time that the clocks show twice is the second one, so that nobody is late too early; one
    that they leave out is as long after midnight as it would have been.
    """
    local = datetime.combine(day, clock, ZoneInfo(zone))
    return max(local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))


def due(start: datetime, days: int, *, calendar: str = "", zone: str = "UTC") -> datetime:
    """When something that begins at `start` is due: at the end of the last of its days."""
    day = date_in(zone, start)
    if days == 0 and start >= instant_of(day, zone):
        day += timedelta(days=1)
    return instant_of(add_business_days(day, days, calendar), zone)
