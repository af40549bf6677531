"""Reminding proposed owners until they have answered."""

from __future__ import annotations

from datetime import datetime

from lifecycle.campaigns import selectors, services
from lifecycle.sweeps.registry import Key


def due(now: datetime) -> list[str]:
    """Whom to remind of which campaign."""
    return selectors.due_reminders(now)


def tell(key: Key, now: datetime) -> bool:
    """Remind one person of one campaign; looked at again, since they may have answered."""
    if str(key) not in selectors.due_reminders(now):
        return False
    campaign, _, owner = str(key).partition(":")
    return services.remind(campaign_id=int(campaign), owner_id=int(owner), now=now)
