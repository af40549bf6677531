"""Telling those who may decide that something waits for them.

Alike holds are told of once a day, not each. Reviews have a clock: `lifecycle.reviews.clock`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from django.db.models import Min

from authz.enums import HoldState
from authz.models import Hold
from lifecycle.models import Notice
from lifecycle.notices import Severity, notify
from registry.models import Person

HOLD = "hold"


def due(now: datetime) -> list[str]:
    """What waits and nobody was told of yet, by the event that a notice of it bears."""
    events = list(_holds(now))
    told = set(Notice.objects.filter(event__in=events).values_list("event", flat=True))
    return [event for event in events if event not in told]


def _holds(now: datetime) -> Iterator[str]:
    groups = Hold.objects.filter(state=HoldState.OPEN, expires_at__gt=now).order_by()
    for row in groups.values("agent", "shape").annotate(first=Min("made_at")).order_by("first"):
        yield f"{HOLD}:{row['agent']}:{row['shape']}:{row['first'].astimezone(UTC):%Y-%m-%d}"


def tell(key: str | int, now: datetime) -> bool:
    """Tell everyone who may decide. Whoever was told of it hears nothing more."""
    return _tell_of_hold(str(key), now)


def _tell_of_hold(event: str, now: datetime) -> bool:
    agent, shape = event.split(":")[1:3]
    waiting = Hold.objects.filter(agent=agent, shape=shape, state=HoldState.OPEN)
    hold = waiting.filter(expires_at__gt=now).order_by("made_at", "pk").first()
    if hold is None:
        return False
    people = Person.objects.filter(pid__in=set(hold.asked_of) - set(hold.barred))
    until = f"{hold.expires_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    context = {"agent": hold.agent, "tool": hold.tool, "until": until}
    return _tell(people, "hold.waits", context, event)


def _tell(people: Iterable[Person], code: str, context: dict[str, str], event: str) -> bool:
    made = [
        notify(person=each, severity=Severity.INFO, code=code, context=context, event=event)
        for each in people
    ]
    return any(made)
