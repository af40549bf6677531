"""Where the rows behind a figure are."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

from django.urls import reverse
from django.utils import timezone

from compliance.evidence.look import Look


def trail(look: Look, **filters: str) -> str:
    """The trail in the period, where its filters find exactly what was counted.

    It knows one agent or all of them: of several, the annex of the query has the rows.
    """
    only = look.only
    if only is not None and "agent" not in filters:
        if len(only) != 1:
            return ""
        filters["agent"] = next(iter(only))
    return between(look.since, look.until, **filters)


def between(since: datetime, until: datetime, **filters: str) -> str:
    """The trail from one instant to before another."""
    # What is not over is counted until now, within a second.
    until = until + timedelta(seconds=1) if until.microsecond else until
    span = {"since": _written(since), "until": _written(until)}
    return f"{reverse('trail')}?{urlencode({**filters, **span})}"


def _written(at: datetime) -> str:
    """As the trail reads it: in the zone of who looks."""
    return timezone.localtime(at).strftime("%Y-%m-%dT%H:%M:%S")


def agent(slug: str) -> str:
    """The page of an agent."""
    return reverse("agent", args=[slug])


def record(record_id: UUID | str) -> str:
    """The page of one entry."""
    return reverse("record", args=[record_id])


def page(name: str, *args: object) -> str:
    """A page that is one of ours."""
    return reverse(name, args=args)
