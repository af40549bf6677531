"""The sweep of idle agents. Their days, and what follows at the end, are the clock of cases."""

from __future__ import annotations

from datetime import datetime

from lifecycle.idle import selectors, services
from lifecycle.sweeps.registry import Key


def due(now: datetime) -> list[int]:
    """The idle agents that nobody is asked about, those idle longest first."""
    return [each.pk for each in selectors.to_flag(now)]


def ask(key: Key, now: datetime) -> bool:
    """Ask about one of them."""
    return services.flag_idle(agent_id=int(key), now=now) is not None
