"""One run of a sweep: claimed, row by row, and written down.

Two runs at once would do no harm, since each row is locked and looked at again; the claim only
keeps them from doing the same work. A run that was killed is found by its silence.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta

from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models.functions import Now

from governance.kernel.database_clock import database_now
from lifecycle.models import SweepEnding, SweepRun
from lifecycle.sweeps.registry import Key, Sweep, find

log = logging.getLogger(__name__)

# A run that was not heard of for so long is taken for dead.
SILENCE = timedelta(minutes=2)
# Ends well before the queue would hand the task to another worker.
MOST_SECONDS = 300.0
HEARD_EVERY_SECONDS = 5.0
KILLED = "It ended without a word: its worker was stopped."
ASK_AGAIN_SECONDS = 1.0
# What a database takes to come back. No longer: a worker that is told to stop waits for its runs.
BACK_WITHIN_SECONDS = 25.0


class Overtaken(Exception):
    """This run was taken for dead, and another one has begun."""


def run_sweep(name: str) -> SweepRun | None:
    """Run a sweep to its end; None where another run of it is under way.

    A row that fails is counted and left for the next run. It keeps no other row waiting.
    """
    sweep, now = find(name), database_now()
    run = _claim(sweep, now)
    if run is None:
        return None
    try:
        with _telling_what_stopped(run):
            _handle_all(sweep, run, now)
    except Overtaken:
        log.warning("run %s of sweep %s was overtaken", run.pk, name)
        return None
    _end_when_possible(run)
    return run


def _claim(sweep: Sweep, now: datetime) -> SweepRun | None:
    try:
        with transaction.atomic():
            _end_silent(sweep.name, now)
            return SweepRun.objects.create(sweep=sweep.name, started_at=now, heard_at=now)
    except IntegrityError:
        return None


def _end_silent(name: str, now: datetime) -> None:
    SweepRun.objects.filter(sweep=name, ended_at__isnull=True, heard_at__lt=now - SILENCE).update(
        ended_at=Now(), ending=SweepEnding.SILENT, failure=KILLED
    )


def _handle_all(sweep: Sweep, run: SweepRun, now: datetime) -> None:
    began = heard = time.monotonic()
    keys = list(sweep.due(now))
    for place, key in enumerate(keys):
        _handle_one(sweep, run, key, now)
        passed = time.monotonic()
        if passed - began > MOST_SECONDS:
            run.left = len(keys) - place - 1
            return
        if passed - heard > HEARD_EVERY_SECONDS:
            heard = passed
            _write(run)


def _handle_one(sweep: Sweep, run: SweepRun, key: Key, now: datetime) -> None:
    try:
        with nullcontext() if sweep.outside else transaction.atomic():
            run.done += bool(sweep.handle(key, now))
    except Exception as error:
        if isinstance(error, DatabaseError) and not connection.is_usable():
            raise  # no other row would fare better
        # Its text may hold what must not stand in a log; the class and the row are enough.
        log.exception("sweep %s could not handle %s", sweep.name, key)
        run.failed += 1
        run.failure = f"{key}: {type(error).__name__}"[:500]


@contextmanager
def _telling_what_stopped(run: SweepRun) -> Iterator[None]:
    """Keep with the run what ended it before its end; whoever called hears of it too."""
    try:
        yield
    except Overtaken:
        raise
    except Exception as error:
        run.ending, run.failed = SweepEnding.STOPPED, run.failed + 1
        run.failure = f"stopped by {type(error).__name__}"
        _end_when_possible(run)
        raise


def _end_when_possible(run: SweepRun) -> None:
    """Close the run as soon as the database answers, if it comes back soon; else it bars the next
    until its silence is noticed."""
    given_up = time.monotonic() + BACK_WITHIN_SECONDS
    while True:
        try:
            return _end(run)
        except DatabaseError:
            if time.monotonic() > given_up:
                raise
            connection.close()
            time.sleep(ASK_AGAIN_SECONDS)


def _write(run: SweepRun, *, ended: bool = False) -> None:
    """Write down how far the run is, as long as it was not taken for dead."""
    fields = {name: getattr(run, name) for name in ("done", "failed", "left", "failure")}
    ours = SweepRun.objects.filter(pk=run.pk, ended_at__isnull=True)
    at = {"ended_at": Now(), "ending": run.ending or SweepEnding.THROUGH} if ended else {}
    if not ours.update(heard_at=Now(), **fields, **at):
        raise Overtaken()


def _end(run: SweepRun) -> None:
    """Close the run. Of those that had nothing to do, the log keeps the newest alone."""
    with transaction.atomic():
        _write(run, ended=True)
        run.refresh_from_db()
        SweepRun.objects.filter(
            sweep=run.sweep, ended_at__isnull=False, done=0, failed=0, left=0, failure=""
        ).exclude(pk=run.pk).delete()
