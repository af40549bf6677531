"""What is observed, and for how long still."""

from __future__ import annotations

from datetime import datetime

from lifecycle.sweeps.registry import Key
from registry import services as register
from registry.models import Agent
from registry.permissions import Automatic

OBSERVING = Automatic("observing")


def due(now: datetime) -> list[int]:
    """Every row that is observed: few, and each is looked at whether it still may be."""
    rows = Agent.objects.filter(observe_until__isnull=False)
    return list(rows.order_by("observe_until", "pk").values_list("pk", flat=True))


def end(key: Key, now: datetime) -> bool:
    """End it where its time is up, the row was stopped, or it reaches restricted data by now."""
    return register.end_where_due(agent_id=int(key), by=OBSERVING, now=now)
