"""What the page of the sweeps and the dead-man's switch read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Max, Min, Q

from governance.kernel.database_clock import database_now
from lifecycle.models import SweepEnding, SweepRun
from lifecycle.sweeps.registry import Sweep, registered

# A sweep is late when none of its runs came to its end within so many intervals.
INTERVALS = 2
# Beat, queue and worker take a moment of their own.
GRACE = timedelta(seconds=30)
# A run that began later than this may still be under way, or has only just failed.
QUIET = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Late:
    """A sweep that did not come through; `seconds` since it did, None if it never has."""

    sweep: Sweep
    seconds: int | None
    ended: datetime | None = None

    @property
    def sentence(self) -> str:
        """What is wrong, for people."""
        if self.seconds is None:
            return f"The sweep {self.sweep.name} has not run yet."
        return f"The sweep {self.sweep.name} last ended {self.seconds} s ago."


@dataclass(frozen=True, slots=True)
class SweepState:
    """A sweep, its newest run, when it is next due, and whether it is late."""

    sweep: Sweep
    newest: SweepRun | None
    next_due: datetime | None
    late: bool

    @property
    def took(self) -> timedelta | None:
        """How long its newest run took; None while it runs, or before the first."""
        run = self.newest
        return run.ended_at - run.started_at if run and run.ended_at else None


def late_sweeps() -> list[Late]:
    """The sweeps that have not finished in two intervals, by the database's time.

    One that has never run is late where no sweep has, and where others have since it had to begin.
    """
    found, age = _looked_at()
    return [late for late in found if _is_late(late, age)]


def overdue_sweeps() -> list[Late]:
    """Those of them that had the time: one that has never run is none before the first is due.

    Nobody is alarmed because an installation has only just begun.
    """
    found, age = _looked_at()
    if age is None:
        return []
    late = (each for each in found if _is_late(each, age))
    return [each for each in late if each.seconds is not None or age > _limit(each.sweep)]


def missed_sweeps() -> list[str]:
    """The names of the late ones of which no run has begun for a while.

    Their run was lost with its worker or its database, and the next may be a day away. Before any
    sweep has run there are none: an installation that begins has them begin one after another.
    """
    found, age = _looked_at()
    if age is None:
        return []
    lately = SweepRun.objects.filter(started_at__gt=database_now() - QUIET)
    begun = set(lately.order_by().values_list("sweep", flat=True))
    late = (each.sweep.name for each in found if _is_late(each, age))
    return [name for name in late if name not in begun]


def _looked_at() -> tuple[list[Late], timedelta | None]:
    """Each sweep with when it last came through; how long ago any began first. One query."""
    runs = SweepRun.objects.order_by().values("sweep")
    newest = Max("ended_at", filter=Q(ending=SweepEnding.THROUGH))
    found = list(runs.annotate(newest=newest, first=Min("started_at")))
    ended = {each["sweep"]: each["newest"] for each in found}
    now, began = database_now(), min((each["first"] for each in found), default=None)
    age = None if began is None else now - began
    return [_late(each, ended.get(each.name), now) for each in registered()], age


def _late(sweep: Sweep, ended: datetime | None, now: datetime) -> Late:
    return Late(sweep, None if ended is None else int((now - ended).total_seconds()), ended)


def _is_late(late: Late, age: timedelta | None) -> bool:
    if late.seconds is None:
        return age is None or age > late.sweep.begins_after + GRACE
    return timedelta(seconds=late.seconds) > _limit(late.sweep)


def _limit(sweep: Sweep) -> timedelta:
    return INTERVALS * sweep.every + GRACE


def sweep_states() -> list[SweepState]:
    """Every sweep as its page shows it."""
    late = {each.sweep.name for each in late_sweeps()}
    newest = {
        run.sweep: run
        for run in SweepRun.objects.order_by("sweep", "-started_at", "-pk").distinct("sweep")
    }
    return [_state(each, newest.get(each.name), each.name in late) for each in registered()]


def _state(sweep: Sweep, newest: SweepRun | None, late: bool) -> SweepState:
    due = newest.started_at + sweep.every if newest else None
    return SweepState(sweep, newest, due, late)
