"""When an agent is idle, by dates alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lifecycle.idle.rules import Limits, silence

LIVE = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = Limits(days=90, never_fired_days=30)


def day(number: int) -> datetime:
    return LIVE + timedelta(days=number)


@pytest.mark.parametrize(
    ("last", "answered", "idle_on"),
    [
        (None, None, 30),
        (0, None, 90),
        (50, None, 140),
        (50, 145, 235),
        (150, 145, 240),
        (None, 35, 65),
    ],
)
def test_when_it_is_idle(last: int | None, answered: int | None, idle_on: int) -> None:
    found = silence(
        live_since=LIVE,
        last=None if last is None else day(last),
        answered=None if answered is None else day(answered),
        limits=LIMITS,
    )

    assert found.idle_at == day(idle_on)
    assert not found.is_idle(day(idle_on) - timedelta(seconds=1))
    assert found.is_idle(day(idle_on))
    assert found.never_fired == (last is None)


def test_what_was_resumed_counts_from_then() -> None:
    found = silence(live_since=day(200), last=day(5), answered=None, limits=LIMITS)

    assert (found.since, found.idle_at) == (day(200), day(290))
