"""Children that are killed where a test says: what a worker leaves behind when it is."""

import os
import signal
import time
from collections.abc import Callable
from unittest import mock

from django.db import connection, connections

MOST_SECONDS = 60


def die() -> None:
    """As `kill -9` does: nothing is undone, closed or said."""
    os.kill(os.getpid(), signal.SIGKILL)


def in_child(work: Callable[[], object], *, before: str = "", after: str = "") -> int:
    """Run `work` in a child, which dies before or after the named function runs once.

    Returns the number of the signal that ended it, 0 where it came to its end. One that hangs is
    ended by SIGALRM: what has threads, as printing has, may wait for ever in a child.
    """
    before_it = _backends()
    connections.close_all()
    child = os.fork()
    if child == 0:
        code = 1
        signal.alarm(MOST_SECONDS)
        try:
            with _dying(before, after):
                work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    _wait_until_gone(before_it)
    assert not (os.WIFEXITED(status) and os.WEXITSTATUS(status)), "the child failed"
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def _backends() -> set[int]:
    """Who is connected to this database, besides whoever asks."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return {pid for (pid,) in cursor.fetchall()}


def _wait_until_gone(before: set[int]) -> None:
    """The database lets go of what a killed process held when it notices, which is not at once."""
    until = time.monotonic() + MOST_SECONDS
    while _backends() - before:
        assert time.monotonic() < until, "the child's connections stayed"
        time.sleep(0.02)


def _dying(before: str, after: str) -> "mock._patch[object]":
    target = before or after or "os.fspath"
    module, _, name = target.rpartition(".")
    found = getattr(__import__(module, fromlist=[name]), name)

    def dying(*given: object, **named: object) -> object:
        if before:
            die()
        result = found(*given, **named)
        if after:
            die()
        return result

    return mock.patch(target, dying if before or after else found)
