"""Runs that stopped: to be tried again, or left by a process that died."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from uuid import UUID

from django.db import transaction

from lifecycle.provisioning import selectors, tasks
from lifecycle.sweeps.registry import Key


def due(now: datetime) -> list[str]:
    """Open runs that nobody works on and whose next try is due."""
    return [str(pk) for pk in selectors.due_runs(now).values_list("pk", flat=True)]


def pick_up(key: Key, now: datetime) -> bool:
    """Have the queue go on with it: a sweep's transaction waits for no other system."""
    run_id = UUID(str(key))
    if not selectors.due_runs(now).filter(pk=run_id).exists():
        return False
    transaction.on_commit(partial(tasks.set_off, run_id))
    return True
