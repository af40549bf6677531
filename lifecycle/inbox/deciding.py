"""How people decide, for security: how fast, how often yes, and what piles up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from django.db.models import Count, Min, Sum

from authz import timekeeper
from authz.enums import HoldState
from authz.models import Hold
from registry.models import Person

DAYS = 30
# Newer ones are looked at first; a page must not read a year of them.
MOST = 10_000
# Whoever says yes so soon has hardly read what it is about.
HASTY = timedelta(seconds=10)
DECIDED = (HoldState.APPROVED, HoldState.REJECTED)


@dataclass(frozen=True, slots=True)
class Habit:
    """How one person, or everyone, has decided."""

    who: Person | None
    decided: int
    approved: int
    median: timedelta
    hasty: int

    @property
    def share(self) -> float:
        """The share that was approved."""
        return self.approved / self.decided


def page() -> dict[str, Any]:
    """Everything on the page."""
    now = timekeeper.now()
    rows = _decided(now)
    people = Person.objects.in_bulk({row[0] for row in rows})
    by_person = defaultdict(list)
    for row in rows:
        by_person[row[0]].append(row)
    habits = [_habit(people[who], theirs) for who, theirs in by_person.items()]
    return {
        "days": DAYS,
        "all": _habit(None, rows) if rows else None,
        "habits": sorted(habits, key=lambda each: -each.decided),
        "piles": _piles(),
        "capped": len(rows) >= MOST,
        "now": now,
    }


Decided = tuple[int, str, datetime, datetime]


def _decided(now: datetime) -> list[Decided]:
    found = Hold.objects.filter(
        state__in=DECIDED, decided_by__isnull=False, decided_at__gte=now - timedelta(days=DAYS)
    ).order_by("-decided_at")
    columns = found.values_list("decided_by", "state", "made_at", "decided_at")[:MOST]
    return [(who, state, made, at) for who, state, made, at in columns if who and at]


def habit_of(person: Person) -> Habit | None:
    """How one person has decided lately; None where they have not."""
    rows = [row for row in _decided(timekeeper.now()) if row[0] == person.pk]
    return _habit(person, rows) if rows else None


def _habit(who: Person | None, rows: Sequence[Decided]) -> Habit:
    took = [decided - made for _, _, made, decided in rows]
    yes = [state == HoldState.APPROVED for _, state, _, _ in rows]
    hasty = sum(said and passed < HASTY for said, passed in zip(yes, took, strict=True))
    return Habit(who, len(rows), sum(yes), _median(took), hasty)


def _median(took: Iterable[timedelta]) -> timedelta:
    return timedelta(seconds=median(each.total_seconds() for each in took))


def _piles() -> list[dict[str, Any]]:
    """Agents with what waits of them, the most first."""
    waiting = Hold.objects.filter(state=HoldState.OPEN, overdue=False).order_by()
    rows = waiting.values("agent").annotate(
        many=Count("pk"),
        shapes=Count("shape", distinct=True),
        asked=Sum("times_asked"),
        since=Min("made_at"),
        until=Min("expires_at"),
    )
    return [dict(row) for row in rows.order_by("-many", "agent")[:50]]
