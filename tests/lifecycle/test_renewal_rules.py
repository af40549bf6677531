"""Renewal's dates: the table, and what holds for every day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.kernel import business_days
from lifecycle.renewals import rules
from lifecycle.renewals.badge import BAD, GOOD, NEAR, of_dates
from registry.enums import Tier
from registry.rules import months_after, months_to_renewal, months_to_review

COPENHAGEN, BERLIN, NEW_YORK = "Europe/Copenhagen", "Europe/Berlin", "America/New_York"
DAYS = st.dates(date(2024, 1, 1), date(2034, 12, 31))
PLACES = (
    (COPENHAGEN, "DK"),
    (BERLIN, "DE-BY"),
    (NEW_YORK, "US"),
    ("Asia/Riyadh", "SA"),
    ("Pacific/Auckland", "NZ"),
    ("America/St_Johns", "CA"),
)

# Tier, data about people, day of the answer, next renewal, next review.
NEXT = [
    ("restricted", False, "2026-11-27", "2027-05-27", "2027-02-27"),
    ("restricted", True, "2026-08-31", "2027-02-28", "2026-11-30"),
    ("restricted", False, "2027-08-31", "2028-02-29", "2027-11-30"),
    ("confidential", False, "2026-08-31", "2027-08-31", "2027-02-28"),
    ("confidential", True, "2026-08-31", "2027-08-31", "2026-11-30"),
    ("confidential", False, "2028-02-29", "2029-02-28", "2028-08-29"),
    ("confidential", False, "2027-08-31", "2028-08-31", "2028-02-29"),
    ("internal", False, "2026-11-27", "2028-05-27", "2027-11-27"),
    ("internal", True, "2026-11-30", "2028-05-30", "2027-02-28"),
    ("internal", False, "2026-08-31", "2028-02-29", "2027-08-31"),
    ("internal", False, "2028-02-29", "2029-08-29", "2029-02-28"),
    ("internal", False, "2026-12-31", "2028-06-30", "2027-12-31"),
    ("public", False, "2026-12-31", "2028-06-30", "2027-12-31"),
    ("public", True, "2026-12-31", "2028-06-30", "2027-03-31"),
]


@pytest.mark.parametrize(("tier", "people", "today", "renewal", "review"), NEXT)
def test_the_next_days(tier: str, people: bool, today: str, renewal: str, review: str) -> None:
    day = date.fromisoformat(today)

    found = (
        months_after(day, months_to_renewal(tier)),
        months_after(day, months_to_review(tier, about_people=people)),
    )

    assert found == (date.fromisoformat(renewal), date.fromisoformat(review))


# Due on, zone, calendar, when the tenth business day ends.
ENDS = [
    ("2026-12-18", COPENHAGEN, "DK", "2027-01-05T16:00"),
    ("2026-12-18", BERLIN, "DE", "2027-01-05T16:00"),
    ("2026-12-18", "Europe/London", "GB-SCT", "2027-01-07T17:00"),
    ("2026-12-18", NEW_YORK, "US", "2027-01-05T22:00"),
    ("2026-12-18", "Asia/Tokyo", "JP", "2027-01-04T08:00"),
    ("2026-12-18", "Asia/Riyadh", "SA", "2026-12-31T14:00"),
    ("2026-12-18", "Asia/Jerusalem", "IL", "2026-12-31T15:00"),
    ("2026-12-18", "UTC", "", "2027-01-01T17:00"),
    # A day that nobody works counts as the last one that they did.
    ("2026-11-28", "UTC", "", "2026-12-11T17:00"),
    ("2026-12-25", COPENHAGEN, "DK", "2027-01-11T16:00"),
    # A leap day, and the end of a month.
    ("2028-02-29", "UTC", "", "2028-03-14T17:00"),
    ("2028-02-16", "UTC", "", "2028-03-01T17:00"),
    ("2028-02-15", "UTC", "", "2028-02-29T17:00"),
    ("2027-02-28", "UTC", "", "2027-03-12T17:00"),
    ("2026-01-31", "UTC", "", "2026-02-13T17:00"),
    # Over the change of the clocks, forwards and back, in both halves of the world.
    ("2026-03-20", COPENHAGEN, "", "2026-04-03T15:00"),
    ("2026-10-16", COPENHAGEN, "", "2026-10-30T16:00"),
    ("2026-03-02", NEW_YORK, "", "2026-03-16T21:00"),
    ("2026-10-23", NEW_YORK, "", "2026-11-06T22:00"),
    ("2026-09-18", "Pacific/Auckland", "", "2026-10-02T04:00"),
    ("2026-03-27", "Pacific/Auckland", "", "2026-04-10T05:00"),
    ("2026-04-01", BERLIN, "DE", "2026-04-17T15:00"),
    ("2026-05-04", COPENHAGEN, "DK", "2026-05-19T15:00"),
    ("2026-11-20", NEW_YORK, "US", "2026-12-07T22:00"),
    ("2026-04-24", "Asia/Tokyo", "JP", "2026-05-14T08:00"),
    ("2026-12-23", "America/St_Johns", "CA", "2027-01-08T20:30"),
]


@pytest.mark.parametrize(("due", "zone", "calendar", "ends"), ENDS)
def test_when_the_time_to_answer_ends(due: str, zone: str, calendar: str, ends: str) -> None:
    day = date.fromisoformat(due)

    found = rules.window_of(day, rules.opens_on(day), zone=zone, calendar=calendar)

    assert (found.counts_from, found.at) == (day, datetime.fromisoformat(ends).replace(tzinfo=UTC))


@given(due=DAYS, place=st.sampled_from(PLACES), later=st.integers(0, 30))
def test_ten_business_days_lie_in_every_window_and_none_ends_before_an_earlier_one(
    due: date, place: tuple[str, str], later: int
) -> None:
    zone, calendar = place
    found = rules.window_of(due, rules.opens_on(due), zone=zone, calendar=calendar)
    after = due + timedelta(days=later)
    next_one = rules.window_of(after, rules.opens_on(after), zone=zone, calendar=calendar)

    assert business_days.business_days_between(due, found.on, calendar) == rules.WINDOW
    assert business_days.is_business_day(found.on, calendar)
    assert found.at.astimezone(UTC).tzinfo is UTC
    assert business_days.date_in(zone, found.at) == found.on
    assert found.at <= next_one.at


@given(day=DAYS, tier=st.sampled_from(list(Tier)), people=st.booleans())
def test_a_day_lies_ahead_and_the_stricter_tier_is_never_later(
    day: date, tier: Tier, people: bool
) -> None:
    renewal = months_after(day, months_to_renewal(tier))
    review = months_after(day, months_to_review(tier, about_people=people))

    assert day < review <= renewal
    assert not rules.is_asked(renewal, day)
    for lower in Tier:
        if lower.rank <= tier.rank:
            assert renewal <= months_after(day, months_to_renewal(lower))


@given(due=DAYS, ahead=st.integers(-40, 60))
def test_a_renewal_is_put_off_by_thirty_days_at_most(due: date, ahead: int) -> None:
    assert rules.may_extend_to(due, due + timedelta(days=ahead)) == (0 < ahead <= 30)


@pytest.mark.parametrize(
    ("renewal", "review", "says", "colour"),
    [
        (60, 60, "active, renewed until 2027-01-26", GOOD),
        (14, 60, "active, renewal due 2026-12-11", NEAR),
        (15, 60, "active, renewed until 2026-12-12", GOOD),
        (0, 60, "active, renewal due 2026-11-27", NEAR),
        (-1, 60, "renewal overdue since 2026-11-26", BAD),
        (60, -1, "review overdue since 2026-11-26", BAD),
        (-1, -1, "renewal overdue since 2026-11-26", BAD),
    ],
)
def test_what_a_badge_says(renewal: int, review: int, says: str, colour: str) -> None:
    today = date(2026, 11, 27)

    found = of_dates(today + timedelta(days=renewal), today + timedelta(days=review), today)

    assert (found.message, found.colour) == (says, colour)
