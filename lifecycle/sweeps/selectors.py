"""What the page of the sweeps and the dead-man's switch read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max

from governance.kernel.database_clock import database_now
from lifecycle.models import SweepRun
from lifecycle.sweeps.registry import Sweep, registered

# A sweep is late when none of its runs ended within so many intervals.
INTERVALS = 2
# Beat, queue and worker take a moment of their own.
GRACE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Late:
    """A sweep that did not come through; `seconds` since it did, None if it never has."""

    sweep: Sweep
    seconds: int | None

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


def late_sweeps() -> list[Late]:
    """The sweeps that have not finished in two intervals, by the database's time. One query."""
    ended = dict(
        SweepRun.objects.order_by()
        .values_list("sweep")
        .annotate(newest=Max("ended_at"))
        .values_list("sweep", "newest")
    )
    now = database_now()
    found = (Late(each, _since(ended.get(each.name), now)) for each in registered())
    return [late for late in found if _is_late(late)]


def _since(ended: datetime | None, now: datetime) -> int | None:
    return None if ended is None else int((now - ended).total_seconds())


def _is_late(late: Late) -> bool:
    limit = INTERVALS * late.sweep.every.total_seconds() + GRACE_SECONDS
    return late.seconds is None or late.seconds > limit


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
