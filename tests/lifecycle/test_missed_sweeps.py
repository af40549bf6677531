"""Sweeps whose run was lost: with a worker that was killed, or a database that went away."""

from __future__ import annotations

from datetime import timedelta

import pytest

from governance.kernel.database_clock import database_now
from lifecycle import sweeps, tasks
from lifecycle.models import SweepEnding, SweepRun
from lifecycle.sweeps.registry import registered

pytestmark = pytest.mark.django_db

HOURLY = "leavers"


def ran(name: str, ago: timedelta, ending: str = SweepEnding.THROUGH) -> SweepRun:
    """A run that began so long ago; with no ending it is still under way, or was killed."""
    at = database_now() - ago
    ended = at if ending else None
    return SweepRun.objects.create(
        sweep=name, started_at=at, heard_at=at, ended_at=ended, ending=ending
    )


@pytest.fixture
def others() -> None:
    """Every other sweep came through a moment ago; the first began ten minutes before."""
    for each in registered():
        if each.name != HOURLY:
            ran(each.name, timedelta(seconds=5))
    ran("holds", timedelta(minutes=10))


def test_where_nothing_ever_ran_nothing_was_missed() -> None:
    assert sweeps.missed_sweeps() == []


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize(
    ("ago", "ending", "missed"),
    [
        (None, "", True),
        (timedelta(minutes=3), SweepEnding.STOPPED, True),
        (timedelta(minutes=3), "", True),
        (timedelta(minutes=1), SweepEnding.STOPPED, False),
        (timedelta(minutes=1), "", False),
        (timedelta(minutes=3), SweepEnding.THROUGH, False),
        (timedelta(hours=3), SweepEnding.THROUGH, True),
    ],
)
def test_what_has_not_come_through_is_set_off_again(
    monkeypatch: pytest.MonkeyPatch, ago: timedelta | None, ending: str, missed: bool
) -> None:
    set_off: list[str] = []
    monkeypatch.setattr(tasks, "set_off", lambda name, within: set_off.append(name))
    if ago is not None:
        ran(HOURLY, ago, ending)

    tasks.make_up()

    assert set_off == ([HOURLY] if missed else [])
