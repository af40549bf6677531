"""Periodic work that is no sweep: what it is, and when it was last done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.apps import apps
from django.conf import settings

from governance.kernel.database_clock import database_now
from lifecycle.sweeps.selectors import INTERVALS

TITLES = {
    "heartbeat": "Shows that beat, the queue and the worker all work.",
    "missed-sweeps": "Sets off the sweeps whose run was lost with a worker or the database.",
    "next-partition": "Keeps partitions of the record three months ahead.",
}


@dataclass(frozen=True, slots=True)
class Job:
    """One of them. `late` where it was not done within two intervals."""

    name: str
    title: str
    every: timedelta
    at: datetime | None
    late: bool


def states() -> list[Job]:
    """Every periodic job that is no sweep, by name."""
    # The model is governance's, which may not be imported from here.
    noted = apps.get_model("governance", "Heartbeat")
    done = dict(noted.objects.values_list("name", "at"))
    now = database_now()
    return [
        _state(name, float(str(entry["schedule"])), done.get(name), now)
        for name, entry in sorted(settings.CELERY_BEAT_SCHEDULE.items())
        if entry["task"] != "lifecycle.sweep"
    ]


def _state(name: str, seconds: float, at: datetime | None, now: datetime) -> Job:
    every = timedelta(seconds=seconds)
    late = at is not None and now - at > INTERVALS * every
    return Job(name, TITLES.get(name, ""), every, at, late)
