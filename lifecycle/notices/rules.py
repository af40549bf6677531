"""When a notice goes out, and when it is tried again. No queries, no writes."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from lifecycle.models.notices import Digest, Severity, Wishes

# After each failure, so long until the next try; after the last, it has failed.
BACK_OFF = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 240, 720))
_BUNDLES = UUID("6f1f6a3c-90f5-4d0c-9a1f-5c8f3b6f6c11")


def goes_out_at(severity: str, wishes: Wishes, zone: str, now: datetime) -> datetime:
    """A page at once; an info with its digest, and never within the person's quiet hours."""
    if severity == Severity.PAGE:
        return now
    return _after_quiet(_digest_time(wishes, ZoneInfo(zone), now), wishes, ZoneInfo(zone))


def _digest_time(wishes: Wishes, zone: ZoneInfo, now: datetime) -> datetime:
    if wishes.digest == Digest.HOURLY:
        return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    if wishes.digest == Digest.DAILY:
        return _next(wishes.digest_at, zone, now)
    return now


def _after_quiet(at: datetime, wishes: Wishes, zone: ZoneInfo) -> datetime:
    start, end = wishes.quiet_from, wishes.quiet_until
    if start is None or end is None or not _within(at.astimezone(zone).time(), start, end):
        return at
    return _next(end, zone, at)


def _within(clock: time, start: time, end: time) -> bool:
    """Quiet hours may pass midnight; where both ends are the same there are none."""
    if start <= end:
        return start <= clock < end
    return clock >= start or clock < end


def _next(clock: time, zone: ZoneInfo, now: datetime) -> datetime:
    """The next instant after `now` at which the clocks of `zone` show `clock`.

    A time that a change of the clocks leaves out comes as much later as the clocks went forward.
    """
    today = now.astimezone(zone).date()
    days = (today + timedelta(days=each) for each in range(3))
    instants = (datetime.combine(day, clock, zone).astimezone(UTC) for day in days)
    return next(each for each in instants if each > now)


def bundle_of(way: str, at: datetime) -> UUID:
    """What goes out on one way at one instant is one message."""
    return uuid5(_BUNDLES, f"{way} {at.astimezone(UTC).isoformat()}")


def next_try(attempts: int, now: datetime) -> datetime | None:
    """When to try again after so many failures; None when that was the last."""
    return now + BACK_OFF[attempts - 1] if attempts <= len(BACK_OFF) else None
