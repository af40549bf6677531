"""The installation's ceilings: how much an owner may allow their own agents alone."""

from __future__ import annotations

from django.conf import settings

from registry.models import Agent

_WORDS = {
    "rate_per_minute": "calls a minute",
    "rate_per_hour": "calls an hour",
    "spend_cap_minor": "spend a day",
    "spend_cap_month_minor": "spend a month",
}


def above(agent: Agent) -> list[str]:
    """In words, the limits of an agent that lie above the ceiling. Money is in its own currency."""
    ceilings: dict[str, int] = settings.MUSTER_CEILINGS
    return [
        f"{words} above {ceilings[name]:,}"
        for name, words in _WORDS.items()
        if (getattr(agent, name) or 0) > ceilings[name]
    ]
