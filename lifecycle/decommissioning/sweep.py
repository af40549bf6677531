"""Orders whose time has come, and ends that stopped or are to be looked at again."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from uuid import UUID

from django.db import transaction

from lifecycle.decommissioning import reading, services, tasks
from lifecycle.sweeps.registry import Key

ORDER = "order:"


def due(now: datetime) -> list[str]:
    """Both, those due longest first."""
    orders = reading.due_orders(now).values_list("pk", flat=True)
    runs = reading.due_runs(now).values_list("pk", flat=True)
    return [*(f"{ORDER}{pk}" for pk in orders), *map(str, runs)]


def handle(key: Key, now: datetime) -> bool:
    """Begin an order here; have the queue go on with a run, since this waits for no other
    system."""
    name = str(key)
    if name.startswith(ORDER):
        return services.begin_order(order_id=int(name.removeprefix(ORDER)))
    if not reading.due_runs(now).filter(pk=UUID(name)).exists():
        return False
    transaction.on_commit(partial(tasks.set_off, UUID(name)))
    return True
