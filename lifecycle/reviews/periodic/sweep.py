"""The clock of periodic reviews: opened ahead of their day, and suspending after it.

Who looks is told, reminded and escalated over by the clock of all reviews.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from lifecycle.decommissioning import reading as ending
from lifecycle.models import Review
from lifecycle.models.reviews import ReviewKind, ReviewState
from lifecycle.reviews import looking
from lifecycle.reviews.periodic import services
from lifecycle.sweeps.registry import Key
from registry import rules
from registry.enums import AgentState
from registry.models import Agent
from registry.services.agents import today_of

OPENS, SUSPENDS = "agent", "review"
# No zone is further ahead of UTC.
AHEAD = timedelta(hours=14)


def due(now: datetime) -> list[str]:
    """Live agents whose day is near, and active ones whose day has passed unanswered."""
    return [*_to_open(now), *_to_suspend(now)]


def _to_open(now: datetime) -> Iterator[str]:
    near = (now + AHEAD).date() + looking.OPENS_BEFORE
    asked = Review.objects.filter(kind=ReviewKind.PERIODIC, state=ReviewState.OPEN)
    rows = Agent.objects.filter(state__in=rules.LIVE, review_due__lte=near)
    rows = rows.exclude(pk__in=asked.values("agent")).exclude(pk__in=ending.ordered())
    rows = rows.order_by("review_due", "pk")
    yield from (f"{OPENS}:{pk}" for pk in rows.values_list("pk", flat=True))


def _to_suspend(now: datetime) -> Iterator[str]:
    rows = Review.objects.filter(
        kind=ReviewKind.PERIODIC,
        state=ReviewState.OPEN,
        due_at__lte=now,
        agent__state=AgentState.ACTIVE,
    )
    for review in rows.select_related("agent__owner").order_by("due_at", "pk"):
        if services.suspends_at(review) <= now:
            yield f"{SUSPENDS}:{review.pk}"


def handle(key: Key, now: datetime) -> bool:
    """One of them, in the transaction of the sweep."""
    kind, _, pk = str(key).partition(":")
    if kind == OPENS:
        return _open(int(pk), now)
    return services.suspend_overdue(review_id=int(pk), now=now)


def _open(agent_id: int, now: datetime) -> bool:
    agent = Agent.objects.select_related("owner").get(pk=agent_id)
    day = agent.review_due
    if day is None or looking.opens_on(day) > today_of(agent.owner, now):
        return False
    if services.is_open(agent):
        return False
    return services.open_periodic(agent_id=agent_id, by=services.ACTOR, now=now) is not None
