"""When a grant counts as live, and when its end is near. No queries, no writes."""

from __future__ import annotations

from datetime import datetime, timedelta

from authz.models import Grant

NEAR = timedelta(days=14)
# Nobody wonders yet why it was not used.
YOUNG = timedelta(days=14)


def is_live(grant: Grant, now: datetime) -> bool:
    """Whether the agent may act on it: what is over counts as ended before a sweep says so."""
    return grant.ended_at is None and grant.until > now


def is_near(grant: Grant, now: datetime) -> bool:
    """Whether its end is so near that the person is asked: 14 days, or half of its time if less."""
    return is_live(grant, now) and grant.until - now <= min(
        NEAR, (grant.until - grant.given_at) / 2
    )


def ends_at(grant: Grant) -> datetime:
    """The instant from which it counts for nothing."""
    return grant.ended_at or grant.until
