"""The days of a case: which they are, which is today, when the last one ends."""

from datetime import UTC, date, datetime

import pytest

from lifecycle.cases import rules
from lifecycle.models import Case

COPENHAGEN, NEW_YORK = "Europe/Copenhagen", "America/New_York"


@pytest.mark.parametrize(
    ("opened", "days", "where", "ends"),
    [
        # A plain week; a weekend does not count, and none begins on one.
        ("2026-11-02", 5, "UTC ", "2026-11-09T17:00Z"),
        ("2026-11-07", 5, "UTC ", "2026-11-13T17:00Z"),
        # Christmas and New Year, by three calendars.
        ("2026-12-18", 5, f"{COPENHAGEN} DK", "2026-12-28T16:00Z"),
        ("2026-12-18", 10, f"{COPENHAGEN} DK", "2027-01-05T16:00Z"),
        ("2026-12-18", 10, f"{NEW_YORK} US", "2027-01-05T22:00Z"),
        ("2026-12-18", 5, "UTC ", "2026-12-25T17:00Z"),
        ("2026-12-30", 4, "Europe/Berlin DE", "2027-01-06T16:00Z"),
        ("2026-12-30", 4, "Europe/Berlin DE-BY", "2027-01-07T16:00Z"),
        # Thanksgiving; and Easter, which moves.
        ("2026-11-20", 5, f"{NEW_YORK} US", "2026-11-30T22:00Z"),
        ("2027-03-24", 5, f"{COPENHAGEN} DK", "2027-04-05T15:00Z"),
        # Over the change of the clocks: the day ends at 17:00 there, an hour off in UTC.
        ("2026-03-26", 2, f"{COPENHAGEN} ", "2026-03-30T15:00Z"),
        ("2026-10-22", 2, f"{COPENHAGEN} ", "2026-10-26T16:00Z"),
        # A leap day counts.
        ("2028-02-25", 5, "UTC ", "2028-03-03T17:00Z"),
    ],
)
def test_due_after_business_days(opened: str, days: int, where: str, ends: str) -> None:
    zone, calendar = where.split(" ")
    day = date.fromisoformat(opened)

    found = rules.due_after(days, opened=day, zone=zone, calendar=calendar)

    assert f"{found.at:%Y-%m-%dT%H:%MZ}" == ends
    assert found.on == date.fromisoformat(ends[:10])


def _case(opened: date = date(2026, 12, 18)) -> Case:
    due = rules.due_after(5, opened=opened, zone=COPENHAGEN, calendar="DK")
    return Case(
        counts_from=opened, due_on=due.on, due_at=due.at, zone=due.zone, calendar=due.calendar
    )


def test_the_days_of_a_case_with_what_is_free() -> None:
    now = datetime(2026, 12, 22, 9, tzinfo=UTC)

    days = rules.days_of(_case(), now)

    assert [(each.date.day, each.number, each.free) for each in days] == [
        (18, 0, ""),
        (19, 0, "weekend"),
        (20, 0, "weekend"),
        (21, 1, ""),
        (22, 2, ""),
        (23, 3, ""),
        (24, 4, ""),
        (25, 4, "Christmas Day"),
        (26, 4, "Second Day of Christmas"),
        (27, 4, "weekend"),
        (28, 5, ""),
    ]
    assert [each.date.day for each in days if each.is_today] == [22]
    assert [each.date.day for each in days if each.is_due] == [28]
    assert [each.date.day for each in days if each.is_past] == [18, 19, 20, 21]


def test_each_day_is_read_aloud_for_what_it_is() -> None:
    days = rules.days_of(_case(), datetime(2026, 12, 16, 9, tzinfo=UTC))

    assert [each.said for each in days[:6]] == [
        "2 days before it counts",
        "1 day before it counts",
        "the day it counts from",
        "weekend",
        "weekend",
        "business day 1",
    ]


def test_today_is_the_day_where_the_deciders_are() -> None:
    case = _case()

    assert rules.notice_day(case, (1, 2, 3), datetime(2026, 12, 21, 22, 59, tzinfo=UTC)) == 1
    assert rules.notice_day(case, (1, 2, 3), datetime(2026, 12, 21, 23, 1, tzinfo=UTC)) == 2


def test_a_missed_day_is_not_told_late() -> None:
    case = _case()

    assert rules.notice_day(case, (1, 3), datetime(2026, 12, 18, 9, tzinfo=UTC)) is None
    assert rules.notice_day(case, (1, 3), datetime(2026, 12, 28, 9, tzinfo=UTC)) == 3
    assert rules.notice_day(case, (-30, -7), datetime(2026, 12, 12, 9, tzinfo=UTC)) == -7


def test_the_sentence_says_what_is_left() -> None:
    case = _case()
    said = [
        rules.sentence_of(case, datetime(2026, 12, day, 9, tzinfo=UTC)) for day in (22, 24, 28, 29)
    ]

    assert said == [
        "3 business days left after today: it ends Mon 28 Dec 2026, 17:00 CET.",
        "1 business day left after today: it ends Mon 28 Dec 2026, 17:00 CET.",
        "Today is the last day: it ends Mon 28 Dec 2026, 17:00 CET.",
        "Its time ended Mon 28 Dec 2026, 17:00 CET.",
    ]
