"""The clock of a demo that is being loaded: what is done now happened then.

It moves the clocks of this process alone, and only while it loads. What the services record
meanwhile is appended after their commit, at the time by which they reckoned.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import Any
from unittest.mock import patch
from uuid import UUID

import psycopg
from django.db import transaction
from django.utils import timezone

from audit import demo_append
from audit import services as audit
from authz import snapshot
from authz.recorder import Judged, Recorded
from authz.services import sessions
from governance.kernel import clock
from lifecycle.break_glass import services as break_glass
from lifecycle.people import sources
from lifecycle.reviews import selectors, services
from lifecycle.reviews.periodic import services as periodic

FLUSH = 200
# Who reckons by the database's time, which nobody moves.
_BY_DATABASE = (services, selectors, periodic, sources, break_glass)


class Past:
    """A way back. `loader` is a connection of the login that may append with a time."""

    def __init__(self, loader: psycopg.Connection[Any]) -> None:
        self.loader = loader

    @contextmanager
    def at(self, moment: datetime) -> Iterator[None]:
        """Whatever is done within happens from `moment` on, and is recorded as of then."""
        ticking = count()

        def now() -> datetime:
            """A little later each time, so that what comes after is later."""
            return moment + timedelta(milliseconds=next(ticking))

        with ExitStack() as moved:
            for place in (clock, timezone):
                moved.enter_context(patch.object(place, "now", now))
            for place in _BY_DATABASE:
                moved.enter_context(patch.object(place, "database_now", now))
            moved.enter_context(patch.object(audit, "append_rows", self._append))
            yield

    def _append(self, rows: Sequence[audit.Row]) -> list[audit.Appended]:
        times = [clock.now() for _ in rows]
        transaction.on_commit(partial(demo_append.append_at, self.loader, rows, times))
        return [audit.Appended(UUID(row["id"]), at) for row, at in zip(rows, times, strict=True)]


class Rows:
    """Rows on their way to the record, each with its own time."""

    def __init__(self, loader: psycopg.Connection[Any]) -> None:
        self.loader = loader
        self.rows: list[audit.Row] = []
        self.times: list[datetime] = []

    def add(self, row: audit.Row, at: datetime) -> None:
        """Take a row; written in batches."""
        self.rows.append(row)
        self.times.append(at)
        if len(self.rows) >= FLUSH:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        demo_append.append_at(self.loader, self.rows, self.times)
        self.rows.clear()
        self.times.clear()

    def record(self, batch: Sequence[Judged]) -> list[Recorded]:
        """What `decide` calls in the place of the real recorder."""
        return [self._recorded(judged) for judged in batch]

    def _recorded(self, judged: Judged) -> Recorded:
        at = judged.now or clock.now()
        self.add(judged.row, at)
        if judged.flow:
            sessions.raise_as_judged(judged.flow)
            snapshot.drop([f"agent:{judged.flow['agent']}", f"session:{judged.flow['session']}"])
        row = judged.row
        return Recorded(UUID(row["id"]), at, row["effect"], row["check"], row["code"])
