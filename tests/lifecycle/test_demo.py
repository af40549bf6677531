"""The demo's story: whenever it is loaded, each thing happened when it could have."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.conf import settings

from governance.kernel import business_days
from lifecycle.apply.document import read_inventory
from lifecycle.demo import acting
from lifecycle.demo.days import Days
from lifecycle.demo.endings import Story
from lifecycle.demo.loading import INVENTORY

# A Friday, a Sunday, a leap year's end of February, the first day of a year, the clocks' change.
NOWS = [
    datetime(2026, 11, 27, 9, tzinfo=UTC),
    datetime(2026, 11, 29, 3, tzinfo=UTC),
    datetime(2028, 2, 29, 12, tzinfo=UTC),
    datetime(2027, 1, 1, 0, 30, tzinfo=UTC),
    datetime(2027, 3, 28, 1, 30, tzinfo=UTC),
]


@pytest.mark.parametrize("now", NOWS, ids=str)
def test_the_renewal_is_four_business_days_late(now: datetime) -> None:
    days = Days(now)

    late = business_days.business_days_between(days.late, days.today)

    assert late == 4
    assert business_days.is_business_day(days.late)
    assert days.first == min(days.since.values()) == days.since["deal-archive"]


@pytest.mark.parametrize("now", NOWS, ids=str)
def test_nobody_asks_before_the_register_knows_them(now: datetime) -> None:
    days = Days(now)

    moments = [moment for moment, _ in Story(None, days, None).steps()]  # type: ignore[arg-type]

    assert min(moments).date() > days.first
    assert moments == sorted(moments)
    assert max(moments) <= now


@pytest.mark.parametrize("now", NOWS, ids=str)
def test_what_acts_for_somebody_is_registered_before_and_not_long_enough_to_be_idle(
    now: datetime,
) -> None:
    days = Days(now)

    for slug in (acting.COPILOT, acting.WRITER):
        assert days.since[slug] < days.back(acting.LET)
        assert (days.today - days.since[slug]).days < settings.MUSTER_NEVER_FIRED_DAYS


def test_every_agent_of_the_story_is_in_the_inventory() -> None:
    known = {item.label for item in read_inventory(INVENTORY).of("agents").values()}

    assert set(Days(NOWS[0]).since) - known == set()
