"""Is this process alive, and is this installation able to work?"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import cache

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from audit.sealing import standing
from governance.kernel import checks
from governance.models import Heartbeat
from lifecycle import sweeps

OK = "ok"
BEAT_LATE = timedelta(minutes=2)


class NotReady(Exception):
    """A part does not work; the text says what."""


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """This process answers."""
    return JsonResponse({"status": OK})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Each part by name: `ok`, or what is wrong with it. 503 as soon as one is not ok."""
    parts = states()
    ready = all(state == OK for state in parts.values())
    body = {"status": OK if ready else "failed", "checks": parts}
    return JsonResponse(body, status=200 if ready else 503)


def states() -> dict[str, str]:
    """Each part by name: `ok`, or what is wrong with it."""
    return {name: state_of(name) for name in PARTS}


def state_of(name: str) -> str:
    """`ok`, or what is wrong with the part of this name."""
    try:
        PARTS[name]()
    except NotReady as fault:
        return str(fault)
    except DatabaseError:
        # Its text names hosts and logins, and anyone may read this page.
        return "The database does not answer."
    return OK


def check_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def check_migrations() -> None:
    waiting = _waiting_migrations()
    if waiting:
        _waiting_migrations.cache_clear()
        raise NotReady(f"{waiting} migrations are not applied.")


@cache
def _waiting_migrations() -> int:
    """Kept once it is 0: applied migrations do not come undone under a running process."""
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def check_roles() -> None:
    with connection.cursor() as cursor:
        faults = checks.database_faults(cursor)
    if faults:
        raise NotReady(" ".join(str(fault.msg) for fault in faults))


def check_beat() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT clock_timestamp() - at FROM {Heartbeat._meta.db_table} WHERE name = 'beat'"  # noqa: S608
        )
        row = cursor.fetchone()
    if row is None:
        raise NotReady("No periodic task has come through yet.")
    if row[0] > BEAT_LATE:
        raise NotReady(f"The last periodic task came through {int(row[0].total_seconds())} s ago.")


def check_sweeps() -> None:
    """The dead-man's switch: every sweep ended a run within two intervals."""
    if late := sweeps.late_sweeps():
        raise NotReady(" ".join(each.sentence for each in late))


def check_sealer() -> None:
    """Every entry is sealed within five seconds, or somebody must look why."""
    if found := standing.trouble():
        raise NotReady(found.sentence)


_stopping = threading.Event()


def stop() -> None:
    """From now on this process says that it is not ready."""
    _stopping.set()


def check_process() -> None:
    if _stopping.is_set():
        raise NotReady("This process is about to end.")


PARTS: dict[str, Callable[[], None]] = {
    "process": check_process,
    "database": check_database,
    "migrations": check_migrations,
    "roles": check_roles,
    "beat": check_beat,
    "sweeps": check_sweeps,
    "sealer": check_sealer,
}
