"""The sweep of retention: plans what is over its time, and erases it once it was seen."""

from __future__ import annotations

from datetime import datetime

from audit.erasure.services import MOST
from compliance.models import RetentionPlan
from compliance.retention import periods, services
from lifecycle.sweeps.registry import Key, Sweep


def due(now: datetime) -> list[Key]:
    """Plans whose day has come, then the tiers of which none waits: `word:key`."""
    waiting = RetentionPlan.objects.filter(ran_at__isnull=True)
    ready = waiting.filter(runs_at__lte=now).order_by("runs_at").values_list("pk", flat=True)
    planned = set(waiting.values_list("tier", flat=True))
    return [
        *(f"run:{pk}" for pk in ready),
        *(f"plan:{tier}" for tier in periods.TIERS if tier not in planned),
    ]


def handle(key: Key, now: datetime) -> bool:
    """Plan one tier, or carry one plan out to its end, each part in its own transaction."""
    word, _, name = str(key).partition(":")
    if word == "plan":
        return services.plan(name, now) is not None
    gone = services.carry_out(int(name), now)
    while gone == MOST:
        gone = services.carry_out(int(name), now)
    return RetentionPlan.objects.filter(pk=int(name), ran_at=now).exists()


SWEEP = Sweep(
    "retention",
    "Shows what is over its time, and erases it days later.",
    due,
    handle,
    outside=True,
)
