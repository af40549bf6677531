"""The sweep of the hours, as the catalogue of sweeps wants it."""

from __future__ import annotations

from datetime import datetime

from lifecycle.anomalies import counting, services
from lifecycle.sweeps.registry import Key


def due(now: datetime) -> list[str]:
    """The hours that ended and are not counted, the oldest first."""
    return [hour.isoformat() for hour in counting.due_hours(now)]


def watch(key: Key, now: datetime) -> bool:
    """Count and judge one of them."""
    return services.watch_hour(datetime.fromisoformat(str(key)), now) is not None
