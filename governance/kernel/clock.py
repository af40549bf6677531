"""Time and the identifiers that carry it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

from governance.kernel.randomness import take

# Years within which zones, calendars and sums of days work; what lies outside is a slip or a trick.
EARLIEST, LATEST = 1970, 2169
USABLE = f"{EARLIEST} to {LATEST}"


def now() -> datetime:
    """This instant, aware, in UTC."""
    return datetime.now(UTC)


def is_usable(day: date) -> bool:
    """Whether this day, or instant, lies in those years."""
    return EARLIEST <= day.year <= LATEST


def uuid7(at: datetime | None = None) -> UUID:
    """A version 7 UUID (RFC 9562 section 5.7): 48 bits of milliseconds, 74 random bits."""
    milliseconds = int((at or now()).timestamp() * 1000) & (1 << 48) - 1
    random = int.from_bytes(take(10)) & (1 << 74) - 1
    value = (
        milliseconds << 80 | 7 << 76 | (random >> 62) << 64 | 0b10 << 62 | random & (1 << 62) - 1
    )
    return UUID(int=value)


def uuid7_milliseconds(value: UUID) -> int:
    """The Unix time in milliseconds that a version 7 UUID carries."""
    return value.int >> 80
