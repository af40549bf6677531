"""How the points stand: the one place where rows become a tick. Pure but for the looking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from compliance.enums import Tick
from compliance.evidence import Exceptional, Look, look_at
from compliance.period import Period
from compliance.selfaudit.points import POINTS
from compliance.selfaudit.types import Answer, Point
from governance.kernel.database_clock import database_now
from governance.kernel.errors import NotFound

# What happened is looked at for so long; the register as it stands.
DAYS = 30


@dataclass(frozen=True, slots=True)
class Found:
    """How one point stands, and why, in a sentence."""

    point: Point
    status: Tick
    reason: str
    rows: Sequence[Exceptional]

    @property
    def count(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class Standing:
    """How all of them stand at one instant."""

    at: datetime
    since: datetime
    points: Sequence[Found]

    def many(self, status: Tick) -> int:
        return sum(each.status == status for each in self.points)

    @property
    def met(self) -> int:
        """How many are ticked."""
        return self.many(Tick.MET)

    @property
    def not_met(self) -> int:
        return self.many(Tick.NOT_MET)

    @property
    def cannot_tell(self) -> int:
        return self.many(Tick.CANNOT_TELL)

    @property
    def total(self) -> int:
        return len(self.points)

    @property
    def open_numbers(self) -> list[int]:
        """The points that are not ticked."""
        return [each.point.number for each in self.points if each.status != Tick.MET]

    def point(self, number: int) -> Found:
        """One of them. Raises `NotFound`."""
        for each in self.points:
            if each.point.number == number:
                return each
        raise NotFound("The self-audit has sixteen points, 1 to 16.")


def live_look(now: datetime | None = None) -> Look:
    """The register as it stands, and what happened lately."""
    now = now or database_now()
    today = now.astimezone(UTC).date()
    return look_at(Period(today - timedelta(days=DAYS - 1), today), now=now, live=True)


def stand(look: Look | None = None) -> Standing:
    """Look at every point, by the database's time."""
    look = look or live_look()
    found = tuple(found_of(each, each.asks(look)) for each in POINTS)
    return Standing(look.now, look.since, found)


def found_of(point: Point, answer: Answer) -> Found:
    """A row breaks the tick; without one it is set, unless there was nothing to look at."""
    if answer.rows:
        return Found(point, Tick.NOT_MET, _first_of(answer.rows), answer.rows)
    if answer.unknown:
        return Found(point, Tick.CANNOT_TELL, answer.unknown, ())
    return Found(point, Tick.MET, answer.met, ())


def _first_of(rows: Sequence[Exceptional]) -> str:
    first, more = rows[0].what, len(rows) - 1
    return f"{first.rstrip('.')}; and {more:,} more." if more else first
