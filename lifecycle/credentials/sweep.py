"""The sweep `vault`: what a revocation left to do, and values whose overlap is over."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from django.db import transaction

from lifecycle.sweeps.registry import Key
from lifecycle.tasks import settle_soon
from registry import vault

OVERLAPS = "overlaps"


def due(now: datetime) -> list[Key]:
    """Revoked credentials that a vault has not dealt with yet, and the overlaps."""
    return [*vault.unsettled(now), *([OVERLAPS] if vault.has_ended(now) else [])]


def handle(key: Key, now: datetime) -> bool:
    """A vault may lie far away: it is asked by a task, after this transaction."""
    if key == OVERLAPS:
        return bool(vault.wipe_ended(now))
    transaction.on_commit(partial(settle_soon, int(key)))
    return True
