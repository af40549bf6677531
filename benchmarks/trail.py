"""How long the search of the trail takes over ten million records.

`./muster bench trail` builds a record that is thrown away (`benchmarks/trail_fill.py` says in which
shape), and asks it for the first page of every filter and of any two together: of the whole record,
and of an owner who sees thirty agents. Half of the values asked for stand together in an entry;
the other half are drawn apart, and mostly meet nowhere. Then the page of an incident is asked for
(`benchmarks/incident.py`). `--records N` changes the size, `--data FOLDER` keeps it there, or
measures again what was kept; `--questions N` is how often each is asked, and from how many entries
an incident is asked for. Ten million take 17 GB of disk.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks import processor, trail_fill
from governance.runner import database, keyfiles, places, postgres, roles, testing
from governance.runner.environment import Installation, manage, python
from governance.runner.places import PROJECT, Places

LIMIT_MS = 300
SEED = 11
INSIDE = "--inside"
FILLED = "filled"
FILTERS = ("agent", "user", "tool", "resource", "effect", "session", "time")
AGENTS_OF_AN_OWNER = 30
HEADS = f"{'filters':<20}{'p50 ms':>9}{'p95 ms':>9}{'most ms':>9}{'cpu ms':>9}{'found':>8}"
Values = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--questions", type=int, default=40)
    parser.add_argument("--data", type=Path)
    parser.add_argument(INSIDE, action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        sys.exit(_inside(given.questions))
    if given.data:
        given.data.mkdir(parents=True, exist_ok=True)
        sys.exit(_outside(given.data.resolve(), given.records, given.questions))
    with tempfile.TemporaryDirectory(prefix="muster-trail-") as folder:
        sys.exit(_outside(Path(folder), given.records, given.questions))


def _outside(folder: Path, records: int, questions: int) -> int:
    """Fill the database where it is not, then measure in a process with the web's rights."""
    ours = Places(folder)
    places.prepare(ours)
    keyfiles.make(ours)
    cluster = postgres.Cluster(ours, throw_away=True)
    with postgres.running(cluster):
        installation = Installation(
            ours,
            database.embedded(cluster),
            roles.load_logins(ours.logins),
            "https://muster.example",
        )
        if not (folder / FILLED).exists():
            _prepare(installation)
            trail_fill.fill(installation, records)
            (folder / FILLED).touch()
        done = subprocess.run(
            python("-m", "benchmarks.trail", INSIDE, "--questions", str(questions)),
            env={**testing.environment(installation, "web"), "CELERY_BROKER_URL": "memory://"},
            cwd=PROJECT,
            check=False,
        )
    return done.returncode


def _prepare(installation: Installation) -> None:
    database.make_ready(installation.database, installation.logins, queue=False)
    subprocess.run(
        manage("migrate", "--verbosity", "0"),
        env=testing.environment(installation, "migrate"),
        cwd=PROJECT,
        check=True,
    )


@dataclass(frozen=True)
class Measured:
    """How long one question took, asked with many values."""

    name: str
    milliseconds: list[float]
    processor: float
    found: int

    def at(self, share: float) -> float:
        """The time under which this share of them stayed."""
        ordered = sorted(self.milliseconds)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def _inside(questions: int) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.settings")
    import django

    django.setup()
    for line in _sizes():
        print(line, flush=True)
    missed = 0
    for title, scope in _scopes():
        print(f"\n{title}\n{HEADS}")
        every = []
        for each in _measure(scope, questions):
            every.append(each)
            missed += each.at(0.95) > LIMIT_MS
            print(_line(each), flush=True)
        print(_line(_together(every)), flush=True)
    print(f"\n{missed or 'None'} of them beyond {LIMIT_MS} ms at the 95th percentile", flush=True)
    return 1 if missed + _incidents(questions) else 0


def _incidents(questions: int) -> int:
    """How many kinds of handle have a page that is too slow."""
    from benchmarks import incident

    print(f"\nAn incident\n{incident.HEADS}", flush=True)
    missed = 0
    for row in incident.measure(questions):
        missed += not row.kept
        print(row, flush=True)
    limit = f"{incident.LIMIT_MS:,} ms at the 95th percentile"
    print(f"\n{missed or 'None'} of them beyond {limit}; load {os.getloadavg()[1]:.0f}")
    return missed


def _together(every: list[Measured]) -> Measured:
    times = [time for each in every for time in each.milliseconds]
    processor = sum(each.processor for each in every) / len(every)
    return Measured("all", times, processor, sum(each.found for each in every))


def _line(each: Measured) -> str:
    times = "".join(f"{each.at(share):>9.1f}" for share in (0.5, 0.95, 1))
    return f"{each.name:<20}{times}{each.processor:>9.1f}{each.found:>8,}"


def _scopes() -> Iterator[tuple[str, Any]]:
    from audit.asked import AuditScope

    yield "Who sees everything", AuditScope(everything=True)
    agents = (f"agent-{number * number}" for number in range(AGENTS_OF_AN_OWNER))
    yield f"An owner of {AGENTS_OF_AN_OWNER} agents", AuditScope(agents=frozenset(agents))


def _measure(scope: Any, questions: int) -> Iterator[Measured]:
    chance = random.Random(SEED)
    sample = list(_sample(chance))
    names: list[tuple[str, ...]] = [(), *((name,) for name in FILTERS)]
    for asked in [*names, *itertools.combinations(FILTERS, 2)]:
        values = [_values(asked, sample, chance, together=n % 2 == 0) for n in range(questions)]
        times, found, used = [], 0, processor.milliseconds()
        for each in values:
            began = time.perf_counter()
            found += _search(each, scope)
            times.append(1000 * (time.perf_counter() - began))
        used = (processor.milliseconds() - used) / questions
        yield Measured(" + ".join(asked) or "none", times, used, found)


def _search(values: Values, scope: Any) -> int:
    from audit import selectors
    from audit.asked import PageRequest, TrailFilters

    page = selectors.search(TrailFilters(**values), PageRequest(), scope=scope)
    return len(page.records)


def _sample(chance: random.Random) -> Iterator[Values]:
    """Entries from all over the record, as what is asked for: the frequent come often."""
    from audit.models import Record

    ends = [Record.objects.order_by(f"{way}at", f"{way}id").first() for way in ("", "-")]
    first, last = (end.at for end in ends if end)
    for _ in range(400):
        at = first + (last - first) * chance.random()
        row = Record.objects.filter(at__gte=at, kind="decision").order_by("at", "id").first()
        if row:
            yield {name: getattr(row, name) for name in FILTERS[:-1]} | {"at": row.at}


def _values(
    names: tuple[str, ...], sample: list[Values], chance: random.Random, *, together: bool
) -> Values:
    """What is asked for, from one entry or from as many as there are names."""
    one = chance.choice([row for row in sample if all(row.get(name, 1) for name in names)])
    values: Values = {}
    for name in names:
        row = one
        if not together:
            row = chance.choice([row for row in sample if row.get(name, 1)])
        values |= _span(row["at"], chance) if name == "time" else {name: row[name]}
    return values


def _span(at: datetime, chance: random.Random) -> Values:
    """A span about an instant: an hour, a day, a week, a month, or all until then."""
    wide = chance.choice([timedelta(hours=1), timedelta(days=1), timedelta(days=7), None])
    return {"until": at + timedelta(minutes=1), **({"since": at - wide} if wide else {})}


def _sizes() -> Iterator[str]:
    """What lies where: the record, and each of its indexes by the entry."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(_HOW_MANY)
        records, table, indexes = cursor.fetchone()
        yield (
            f"{records:,} records in {table / 2**30:.1f} GB, indexes of {indexes / 2**30:.1f} GB,"
            f" {(table + indexes) / records:.0f} bytes a record"
        )
        cursor.execute(_OF_INDEXES)
        for name, size in cursor.fetchall():
            yield f"  {name:<32}{size / records:>7.1f} bytes a record"


_HOW_MANY = """
SELECT sum(c.reltuples)::bigint, sum(pg_table_size(c.oid))::bigint,
       sum(pg_indexes_size(c.oid))::bigint
FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = 'audit.record'::regclass AND c.reltuples > 0
"""
_OF_INDEXES = """
SELECT p.indexrelid::regclass::text, sum(pg_relation_size(i.inhrelid))::bigint
FROM pg_index AS p JOIN pg_inherits AS i ON i.inhparent = p.indexrelid
WHERE p.indrelid = 'audit.record'::regclass GROUP BY 1 ORDER BY 2 DESC
"""


if __name__ == "__main__":
    main()
