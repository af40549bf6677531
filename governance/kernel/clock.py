"""Time and the identifiers that carry it."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from governance.kernel.randomness import take


def now() -> datetime:
    """This instant, aware, in UTC."""
    return datetime.now(UTC)


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
