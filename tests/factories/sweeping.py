"""What sweeps do, run to its end at an instant of a test's own."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime

from django.db import transaction

from authz.selectors import due_reservations
from authz.services.spending import time_out_reservation
from lifecycle.anomalies import counting, services
from lifecycle.models import Anomaly
from lifecycle.sweeps import find


def settle_overdue(now: datetime) -> int:
    """End every reservation that is due; how many."""
    return sum(time_out_reservation(decision, now) for decision in due_reservations(now))


def find_anomalies(now: datetime) -> list[Anomaly]:
    """Count and judge every hour that has ended; what was found."""
    hours = counting.due_hours(now)
    return [found for hour in hours for found in services.watch_hour(hour, now) or []]


def sweep_at(now: datetime, *names: str) -> int:
    """Run these sweeps as they would run at that instant; a row that fails fails the test."""
    done = 0
    for sweep in map(find, names):
        for key in list(sweep.due(now)):
            with nullcontext() if sweep.outside else transaction.atomic():
                done += bool(sweep.handle(key, now))
    return done
