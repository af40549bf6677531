"""A clock that a test moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from governance.kernel import clock


class Moved:
    """The clock by which Muster reckons. The record's ids stay in the database's time."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def move_to(self, at: datetime) -> None:
        self.at = at

    def shift(self, by: timedelta) -> None:
        self.at += by


def moved_clock(monkeypatch: pytest.MonkeyPatch, at: datetime) -> Moved:
    """Have Muster reckon by a clock that shows `at`."""
    moved, uuid7 = Moved(at), clock.uuid7
    monkeypatch.setattr(clock, "now", lambda: moved.at)
    monkeypatch.setattr(clock, "uuid7", lambda given=None: uuid7(given or datetime.now(UTC)))
    return moved
