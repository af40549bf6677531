"""What each web process writes down every two seconds: its pool, and what it counted."""

from __future__ import annotations

import asyncio
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.backends.postgresql.base import DatabaseWrapper
from prometheus_client import Gauge

from authz import meters as counted
from governance.kernel.meters import REGISTRY

EVERY_SECONDS = 2.0
# The property `pool` of a connection would make one.
_pools: dict[str, Any] = vars(DatabaseWrapper)["_connection_pools"]

# The name in the pool's own statistics, and what it says.
_SAID = {
    "pool_size": Gauge(
        "muster_pool_connections",
        "Connections in the pools of the web processes.",
        registry=REGISTRY,
        multiprocess_mode="livesum",
    ),
    "pool_available": Gauge(
        "muster_pool_free",
        "Connections of the pools that nobody uses.",
        registry=REGISTRY,
        multiprocess_mode="livesum",
    ),
    "requests_waiting": Gauge(
        "muster_pool_waiting",
        "Requests that wait for a connection of a pool.",
        registry=REGISTRY,
        multiprocess_mode="livesum",
    ),
    "pool_max": Gauge(
        "muster_pool_most",
        "Connections that the pools may have.",
        registry=REGISTRY,
        multiprocess_mode="livesum",
    ),
}


def watch() -> asyncio.Task[None]:
    """Look every two seconds, until the task is cancelled."""
    return asyncio.get_running_loop().create_task(_look_again())


async def _look_again() -> None:
    while True:
        counted.write_down()
        note(_pools.get(DEFAULT_DB_ALIAS))
        await asyncio.sleep(EVERY_SECONDS)


def note(pool: Any) -> None:
    """Note how the pool stands; None where there is none yet."""
    stats = pool.get_stats() if pool is not None else {}
    for name, gauge in _SAID.items():
        gauge.set(stats.get(name, 0))
