"""When a key is due, and what a scope that is held was used for. No queries, no writes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from governance.kernel import tiers

CLIENT = "client"
CREDENTIAL = "credential"
# How long after each attempt that failed the next one is due; the last one for ever.
PAUSES = (timedelta(hours=1), timedelta(hours=6), timedelta(hours=24))
# How long before the earlier secret ends its owner is told a second time.
REMINDER = timedelta(days=1)


def due_on(last: date, tier: str, days: Mapping[str, int]) -> date:
    """The day on which a key of this tier is due that was last changed on `last`."""
    return last + timedelta(days=days[tier or tiers.RESTRICTED])


def credential_key(pk: int) -> str:
    """What a rotation calls the credential of this primary key."""
    return f"reference-{pk}"


def pause_after(attempts: int) -> timedelta:
    """How long to wait after this many attempts."""
    return PAUSES[min(max(attempts, 1), len(PAUSES)) - 1]


def is_unused(held_since: datetime, last_used: datetime | None, since: datetime) -> bool:
    """Whether a scope was held for the whole time and not used in it."""
    return held_since <= since and (last_used is None or last_used < since)
