"""How long a batch takes in `authz.decide_batch`: `./muster bench batches`.

Makes a throw-away installation and prints, for batches of 1, 8, 32 and 64 requests of eight
agents, the median processor time of the database for each request: all of the function, and
`audit.append` alone, in interleaved rounds.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

SIZES = (1, 8, 32, 64)
REQUESTS = 1500  # of each kind, for each size
AGENTS = 8
INSIDE = "MUSTER_BENCH_INSIDE"


def main() -> int:
    """Measure, in an installation of our own where we are not in one yet."""
    if INSIDE in os.environ:
        measure()
        return 0
    from governance.runner import testing
    from governance.runner.environment import manage, python

    with testing.throw_away() as installation:
        migrate = testing.environment(installation, "migrate")
        subprocess.run(manage("migrate", "--verbosity=0"), env=migrate, check=True)
        inside = {**testing.environment(installation, "test"), INSIDE: "1"}
        return subprocess.call(python("-m", "benchmarks.batches"), env=inside)


def measure() -> None:
    import django

    django.setup()
    connect, fresh = _prepared()
    opened = connect()
    for size in SIZES:
        whole, append = [], []
        for _ in range(max(20, REQUESTS // size)):
            whole.append(_seconds(opened, "authz.decide_batch", _as_asked(fresh(size))))
            append.append(_seconds(opened, "audit.append", _as_rows(fresh(size))))
        told = [statistics.median(each) / size * 1_000_000 for each in (whole, append)]
        print(f"{size:>3} at once: {told[0]:6.0f} µs each, of which append {told[1]:6.0f} µs")


def _prepared() -> tuple[Callable[[], Any], Callable[[int], list[Any]]]:
    """A way to log in as the web process is, and a source of judged requests."""
    from dataclasses import replace

    import psycopg
    from django.db import connection

    from authz.decide import deciding
    from governance.kernel import clock
    from tests.factories.authz import make_desk

    with connection.cursor() as cursor:
        cursor.execute("SET ROLE muster_web")
    most = {"rate_per_minute": 10**9, "rate_per_hour": 10**9}
    desks = [make_desk(agent_fields=most) for _ in range(AGENTS)]
    templates = []
    for desk in desks:
        work: Any = deciding([desk.ask()], desk.caller)
        templates += work.send(next(work).at())

    def fresh(size: int) -> list[Any]:
        made = []
        for number in range(size):
            one, name = templates[number % AGENTS], str(clock.uuid7())
            line = one.row["line1"].replace(one.row["id"], name)
            row = {**one.row, "id": name, "line1": line}
            made.append(replace(one, row=row, now=clock.now()))
        return made

    def connect() -> Any:
        given = connection.get_connection_params()
        names = {"host", "port", "dbname", "user", "password"} & given.keys()
        ours = {key: given[key] for key in names}
        opened = psycopg.connect(**ours, autocommit=True)
        opened.execute("SET ROLE muster_web")
        opened.execute("SET jit = off")
        return opened

    return connect, fresh


def _as_asked(batch: Sequence[Any]) -> str:
    from authz import recorder

    return recorder.as_json(batch)


def _as_rows(batch: Sequence[Any]) -> str:
    import orjson

    return orjson.dumps([each.row for each in batch]).decode()


def _seconds(opened: Any, function: str, argument: str) -> float:
    """Processor time of the server's process: what else runs on the machine does not count."""
    busy = Path(f"/proc/{opened.info.backend_pid}/schedstat")
    before = int(busy.read_text().split()[0])
    opened.execute(f"SELECT {function}(%s::jsonb)::text", [argument], prepare=True).fetchone()
    return (int(busy.read_text().split()[0]) - before) / 1e9


if __name__ == "__main__":
    sys.exit(main())
