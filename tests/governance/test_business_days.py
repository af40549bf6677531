"""Dates are right: leap days, month and year ends, holidays, zones, and the clocks that change."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.kernel import business_days as days
from governance.kernel.business_days import UnknownCalendar, add_business_days, is_business_day

CALENDARS = ("", "DK", "DE-BY", "GB-SCT", "US", "JP", "SA", "IL")
STARTS = st.dates(date(2024, 1, 1), date(2034, 12, 31))

# Start, business days, calendar, due.
CASES = [
    ("2026-12-18", 10, "", "2027-01-01"),
    ("2026-12-18", 10, "DK", "2027-01-05"),
    ("2026-12-18", 10, "DE", "2027-01-05"),
    ("2026-12-18", 10, "DE-BY", "2027-01-05"),
    ("2026-12-18", 10, "GB", "2027-01-06"),
    ("2026-12-18", 10, "GB-SCT", "2027-01-07"),
    ("2026-12-18", 10, "US", "2027-01-05"),
    ("2026-12-18", 10, "JP", "2027-01-04"),
    ("2026-12-18", 10, "FR", "2027-01-05"),
    ("2026-12-18", 10, "ES", "2027-01-05"),
    ("2026-12-18", 10, "SE", "2027-01-05"),
    ("2026-12-18", 10, "CH", "2027-01-05"),
    ("2026-12-18", 10, "SA", "2026-12-31"),
    ("2026-12-18", 10, "IL", "2026-12-31"),
    ("2026-12-18", 10, "AE", "2027-01-04"),
    ("2026-12-18", 10, "IN", "2027-01-04"),
    ("2026-11-27", 0, "", "2026-11-27"),
    ("2026-11-27", 1, "", "2026-11-30"),
    ("2026-11-27", 2, "", "2026-12-01"),
    ("2026-11-27", 5, "", "2026-12-04"),
    ("2026-11-27", 10, "", "2026-12-11"),
    ("2026-11-28", 0, "", "2026-11-30"),
    ("2026-11-28", 1, "", "2026-11-30"),
    ("2026-11-29", 0, "", "2026-11-30"),
    ("2026-11-29", 1, "", "2026-11-30"),
    ("2026-11-29", 5, "", "2026-12-04"),
    ("2028-02-28", 1, "", "2028-02-29"),
    ("2028-02-28", 2, "", "2028-03-01"),
    ("2028-02-29", 0, "", "2028-02-29"),
    ("2028-02-29", 1, "", "2028-03-01"),
    ("2027-02-26", 1, "", "2027-03-01"),
    ("2027-02-28", 1, "", "2027-03-01"),
    ("2032-02-27", 1, "", "2032-03-01"),
    ("2026-01-30", 1, "", "2026-02-02"),
    ("2026-04-30", 1, "DE", "2026-05-04"),
    ("2026-04-30", 1, "", "2026-05-01"),
    ("2026-07-31", 1, "", "2026-08-03"),
    ("2026-10-30", 1, "DE-BY", "2026-11-02"),
    ("2026-10-30", 1, "", "2026-11-02"),
    ("2026-12-31", 1, "", "2027-01-01"),
    ("2026-12-31", 1, "DK", "2027-01-04"),
    ("2026-12-31", 0, "JP", "2026-12-31"),
    ("2027-01-01", 0, "DK", "2027-01-04"),
    ("2027-01-01", 1, "DK", "2027-01-04"),
    ("2026-12-24", 0, "DK", "2026-12-24"),
    ("2026-12-24", 2, "DK", "2026-12-29"),
    ("2026-12-23", 2, "DK", "2026-12-28"),
    ("2026-04-01", 1, "DK", "2026-04-07"),
    ("2026-04-02", 0, "DK", "2026-04-07"),
    ("2026-04-03", 0, "DK", "2026-04-07"),
    ("2026-04-06", 0, "DK", "2026-04-07"),
    ("2026-04-02", 5, "GB-ENG", "2026-04-13"),
    ("2026-05-13", 1, "DK", "2026-05-15"),
    ("2026-06-04", 0, "DE", "2026-06-04"),
    ("2026-06-04", 0, "DE-BY", "2026-06-05"),
    ("2026-11-26", 0, "US", "2026-11-27"),
    ("2026-11-26", 0, "GB", "2026-11-26"),
    ("2026-07-03", 0, "US", "2026-07-06"),
    ("2026-05-01", 5, "JP", "2026-05-13"),
    ("2026-04-29", 5, "JP", "2026-05-11"),
]


def test_there_are_sixty_cases() -> None:
    assert len(CASES) == 60


@pytest.mark.parametrize(("start", "count", "calendar", "due"), CASES)
def test_case(start: str, count: int, calendar: str, due: str) -> None:
    assert add_business_days(date.fromisoformat(start), count, calendar) == date.fromisoformat(due)


@given(start=STARTS, later=st.integers(0, 40), count=st.integers(0, 30))
@pytest.mark.parametrize("calendar", CALENDARS)
def test_due_is_monotone_in_its_start_and_a_business_day(
    calendar: str, start: date, later: int, count: int
) -> None:
    due = add_business_days(start, count, calendar)
    due_later = add_business_days(start + timedelta(days=later), count, calendar)

    assert due <= due_later
    assert is_business_day(due, calendar)
    passed = (start + timedelta(days=each) for each in range(1, (due - start).days + 1))
    worked = sum(is_business_day(each, calendar) for each in passed)
    assert worked == (count or (0 if is_business_day(start, calendar) else 1))


# Instant of the start, days, calendar, zone, instant that it is due.
INSTANTS = [
    # Over the change to winter time and to summer time, the day still ends at 17:00.
    ("2026-10-23T10:00", 1, "DK", "Europe/Copenhagen", "2026-10-26T16:00"),
    ("2026-03-27T10:00", 1, "DK", "Europe/Copenhagen", "2026-03-30T15:00"),
    ("2026-10-30T16:00", 1, "US", "America/New_York", "2026-11-02T22:00"),
    # The same instant is another date elsewhere.
    ("2026-11-27T23:30", 1, "", "Pacific/Auckland", "2026-11-30T04:00"),
    ("2026-11-27T23:30", 1, "", "Pacific/Honolulu", "2026-12-01T03:00"),
    ("2026-12-31T23:30", 1, "DK", "Europe/Copenhagen", "2027-01-04T16:00"),
    # The same day, while it lasts; afterwards the next.
    ("2026-11-26T10:00", 0, "", "Europe/Copenhagen", "2026-11-26T16:00"),
    ("2026-11-27T16:30", 0, "", "Europe/Copenhagen", "2026-11-30T16:00"),
    ("2026-11-28T10:00", 0, "", "Europe/Copenhagen", "2026-11-30T16:00"),
    ("2026-12-18T09:00", 10, "SA", "Asia/Riyadh", "2026-12-31T14:00"),
]


@pytest.mark.parametrize(("start", "count", "calendar", "zone", "due"), INSTANTS)
def test_due_at(start: str, count: int, calendar: str, zone: str, due: str) -> None:
    began, ends = (datetime.fromisoformat(each).replace(tzinfo=UTC) for each in (start, due))

    assert days.due(began, count, calendar=calendar, zone=zone) == ends


@pytest.mark.parametrize(
    ("day", "clock", "instant"),
    [
        # 02:30 does not exist, and then exists twice.
        ("2026-03-29", time(2, 30), "2026-03-29T01:30"),
        ("2026-10-25", time(2, 30), "2026-10-25T01:30"),
    ],
)
def test_gap_and_overlap(day: str, clock: time, instant: str) -> None:
    found = days.instant_of(date.fromisoformat(day), "Europe/Copenhagen", clock)

    assert found == datetime.fromisoformat(instant).replace(tzinfo=UTC)


@pytest.mark.parametrize("code", ["XX", "DE-QQ", "dk", "__init__", "DK-", "HolidayBase"])
def test_what_is_no_calendar(code: str) -> None:
    with pytest.raises(UnknownCalendar):
        days.check_calendar(code)


def test_nothing_asks_this_machine_for_the_time() -> None:
    source = Path(days.__file__).read_text()

    assert [word for word in ("now(", "today(", "time.time") if word in source] == []
