"""How far each stream is, what it waits for, and whether that takes too long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from audit.models import Leaf, Stream
from audit.siem import configured
from audit.siem.configured import Configured
from audit.siem.services import log_size
from governance.kernel.database_clock import database_now

# Nothing was taken for so long, although something waits.
LATEST = timedelta(minutes=15)
# Something was taken, but it was never level for so long.
NEVER_LEVEL = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class State:
    """One stream; `row` is None before its first run. `behind` is how old the oldest is that
    waits."""

    stream: Configured
    row: Stream | None
    size: int
    behind: timedelta | None
    now: datetime

    @property
    def position(self) -> int:
        return self.row.position if self.row else 0

    @property
    def waiting(self) -> int:
        """How many sealed entries were not taken yet."""
        return max(0, self.size - self.position)

    @property
    def oldest_at(self) -> datetime | None:
        """When the oldest that waits was recorded."""
        return None if self.behind is None else self.now - self.behind

    @property
    def is_beyond(self) -> bool:
        """Whether it sent more than the record holds: the database was set back."""
        return self.position > self.size

    @property
    def late(self) -> bool:
        """Whether somebody has to hear of it."""
        if self.is_beyond:
            return True
        if self.row is None or self.behind is None or self.behind <= LATEST:
            return False
        taken, level = self.row.sent_at, self.row.level_at
        began = self.row.began_at
        return self.now - (taken or began) > LATEST or self.now - (level or began) > NEVER_LEVEL

    @property
    def event(self) -> str:
        """The same for as long as it is the same trouble."""
        since = self.row and (self.row.level_at or self.row.began_at)
        return f"{self.stream.name}:{since.isoformat() if since else ''}"

    @property
    def sentence(self) -> str:
        if self.is_beyond:
            return (
                f"{self.stream.name} has sent {self.position} entries, and the record holds "
                f"{self.size}: the database was set back. Tell the stream where to go on."
            )
        if not self.waiting or self.row is None:
            return "" if self.row else f"{self.stream.name} has not begun yet."
        many = "1 entry waits" if self.waiting == 1 else f"{self.waiting} entries wait"
        minutes = int((self.behind or timedelta()).total_seconds()) // 60
        why = f" {self.row.error}" if self.row.error else ""
        return f"{many} for {self.stream.name}, the oldest for {minutes} minutes.{why}"


def standing() -> list[State]:
    """Every stream, in the order of the setting, by the database's clock. Three queries."""
    streams = configured.every()
    if not streams:
        return []
    rows = Stream.objects.in_bulk([each.name for each in streams])
    size, now = log_size(), database_now()
    places = {rows[each.name].position if each.name in rows else 0 for each in streams}
    oldest = dict(Leaf.objects.filter(index__in=places, index__lt=size).values_list("index", "at"))
    return [_state(each, rows.get(each.name), size, oldest, now) for each in streams]


def due(now: datetime) -> list[str]:
    """The streams for which something waits, and whose time has come."""
    return [
        each.stream.name
        for each in standing()
        if each.row is None or (each.waiting and each.row.next_at <= now)
    ]


def _state(
    stream: Configured, row: Stream | None, size: int, oldest: dict[int, datetime], now: datetime
) -> State:
    at = oldest.get(row.position if row else 0)
    return State(stream, row, size, now - at if at else None, now)
