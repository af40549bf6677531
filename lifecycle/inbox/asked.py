"""Telling those who may decide that an action waits for them: alike ones once a day, not each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from django.db.models import Min

from authz.enums import HoldState
from authz.models import Hold
from lifecycle.models import Notice
from lifecycle.notices import Severity, notify
from registry.models import Person

CODE = "hold.waits"


def due(now: datetime) -> list[str]:
    """One key for each group of alike holds of which nobody was told yet."""
    events = list(_events(now))
    told = set(Notice.objects.filter(event__in=events).values_list("event", flat=True))
    return [event for event in events if event not in told]


def _events(now: datetime) -> Iterator[str]:
    groups = Hold.objects.filter(state=HoldState.OPEN, expires_at__gt=now).order_by()
    for row in groups.values("agent", "shape").annotate(first=Min("made_at")).order_by("first"):
        yield f"hold:{row['agent']}:{row['shape']}:{row['first'].astimezone(UTC):%Y-%m-%d}"


def tell(key: str | int, now: datetime) -> bool:
    """Tell everyone who may decide on a group. Whoever was told of it today hears nothing more."""
    event = str(key)
    agent, shape = event.split(":")[1:3]
    waiting = Hold.objects.filter(agent=agent, shape=shape, state=HoldState.OPEN)
    hold = waiting.filter(expires_at__gt=now).order_by("made_at", "pk").first()
    if hold is None:
        return False
    people = Person.objects.filter(pid__in=set(hold.asked_of) - set(hold.barred))
    until = f"{hold.expires_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    context = {"agent": hold.agent, "tool": hold.tool, "until": until}
    made = [
        notify(person=each, severity=Severity.INFO, code=CODE, context=context, event=event)
        for each in people
    ]
    return any(made)
