"""What sealing costs: a pass of the sealer, a proof, a receipt, and what an append costs more.

    python benchmarks/sealing.py --entries 1000000

Runs on a server of its own that is thrown away and does not wait for its disk. Times are medians;
what an append costs is processor time of the server's process, in turns with and without sealing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psycopg
from psycopg import IsolationLevel

from audit.sealing import notes, receipts
from audit.sealing.passes import Sealer
from audit.sealing.stored import Stored
from governance.kernel import clock
from governance.runner import testing, up

SQL = Path(__file__).resolve().parents[1] / "audit" / "migrations" / "sql"
BATCH = 1000
TURNS = 5
SIGNER = notes.Signer.of_seed("benchmark/log", bytes(32))
# Entries as `audit.append` writes them, without its checks.
FILL = """
CREATE FUNCTION audit.fill(many int, seed bigint) RETURNS void LANGUAGE sql AS $$
INSERT INTO audit.record (id, at, xid, version, kind, agent, "user", gateway, actor, tool,
    resource, effect, "check", code, tier, session, parent, mode, body, leaf)
SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7'
        || substr(md5(seed || ':' || g), 1, 3) || '8'
        || substr(md5(g || ':' || seed), 1, 15))::uuid,
    clock_timestamp(), pg_current_xact_id(), 1, 'decision', 'agent-' || g % 500, 'p_' || g % 2000,
    '', 'agent', 'crm.update', 'customer-' || g % 10000, 'allow', '', '', 'internal',
    's-' || g % 3000, NULL, 'enforce', b.body, sha256('\\x00'::bytea || b.body)
FROM generate_series(1, many) AS g
CROSS JOIN LATERAL (SELECT convert_to(repeat(md5(g || ':' || seed), 18), 'UTF8') AS body) AS b $$
"""


class Bench:
    """The record, a sealer, and someone who may fill it."""

    def __init__(self, installation: Any) -> None:
        database, logins = installation.database, installation.logins
        self.owner = database.connect(database.name, **database.administrator)
        self.owner.execute("SET ROLE muster_audit")
        self.owner.execute(FILL)
        opened, self.web = (
            psycopg.connect(database.dsn(who, logins[who]), autocommit=True)
            for who in ("muster_sealer", "muster_web")
        )
        opened.isolation_level = IsolationLevel.REPEATABLE_READ
        self.sealer = Sealer(
            opened,
            origin=SIGNER.name,
            sign=lambda checkpoint: notes.sign(checkpoint.text, [SIGNER]),
        )
        self._seed = 0

    def fill(self, entries: int, together: int = BATCH) -> None:
        for _ in range(entries // together):
            self._seed += 1
            self.owner.execute("SELECT audit.fill(%s, %s)", [together, self._seed])

    def rows(self, query: str, params: Any = ()) -> list[tuple[Any, ...]]:
        return self.web.execute(query.encode(), params).fetchall()

    def cpu(self) -> float:
        """Processor time of the server's process behind the web login, in µs."""
        told = Path(f"/proc/{self.web.info.backend_pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK") * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=100_000)
    entries = parser.parse_args().entries
    with testing.throw_away() as installation:
        up.migrate(installation)
        bench = Bench(installation)
        bench.fill(entries)
        seconds = timed(bench.sealer.seal) / 1000
        print(f"sealed {entries} in {seconds:.1f} s: {entries / seconds:.0f}/s")
        measure_passes(bench)
        measure_proofs(bench)
        measure_receipts()
        measure_appends(bench)


def measure_passes(bench: Bench) -> None:
    print(f"pass, nothing new: {median(bench.sealer.seal):.1f} ms")
    for many, together in ((10, 10), (2 * BATCH, BATCH)):
        took = []
        for _ in range(TURNS * 2):
            bench.fill(many, together)
            took.append(timed(bench.sealer.seal))
        print(f"pass, {many} new: {statistics.median(took):.1f} ms")


def measure_proofs(bench: Bench) -> None:
    ((size,),) = bench.rows("SELECT max(size) FROM audit.checkpoint")
    places = iter(range(size // 3, size, size // 50))
    took = median(lambda: Stored(bench.rows).inclusion_proof(next(places), size))
    print(f"inclusion proof in a tree of {size}: {took:.1f} ms")


def measure_receipts() -> None:
    receipts._signer = lambda: SIGNER  # type: ignore[assignment]
    for many in (1, 64):
        leaves, began = ["ab" * 32] * many, time.process_time()
        for _ in range(500):
            receipts.sign_batch(leaves, "2026-11-27T10:00:00.000000Z")
        each = (time.process_time() - began) / 500 / many * 1e6
        print(f"receipt in a batch of {many}: {each:.1f} µs of processor time")


def measure_appends(bench: Bench) -> None:
    """The append with the leaf in its answer and the index that the sealer needs, and without."""
    first = (SQL / "0001_functions.sql").read_text()
    begin = first.index("CREATE FUNCTION audit.append(")
    before = first[begin : first.index("CREATE FUNCTION", begin + 1)].replace(
        "CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"
    )
    ways = {
        "without sealing": (before, "DROP INDEX audit.record_xid_idx"),
        "with sealing": (
            (SQL / "0002_append.sql").read_text(),
            "CREATE INDEX record_xid_idx ON audit.record (xid)",
        ),
    }
    for together, times in ((1, 1500), (32, 120)):
        took: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(TURNS):
            for name, statements in ways.items():
                for statement in statements:
                    bench.owner.execute(statement.encode())
                took[name].append(append(bench, times, together))
        for name, each in took.items():
            print(f"append, {together} at once, {name}: {statistics.median(each):.0f} µs each")


def append(bench: Bench, times: int, together: int) -> float:
    given = [json.dumps([entry() for _ in range(together)]) for _ in range(times)]
    began = bench.cpu()
    for each in given:
        bench.rows("SELECT audit.append(%s::jsonb)::text", [each])
    return (bench.cpu() - began) / times / together


def entry() -> dict[str, Any]:
    columns = {"kind": "decision", "agent": "refund-desk", "user": "p_1", "gateway": ""}
    called = {"actor": "refund-desk", "tool": "crm.update", "resource": "c-1", "tier": "internal"}
    line = {
        "id": str(clock.uuid7()),
        "version": 1,
        "session": "s-1",
        "parent": None,
        "mode": "enforce",
        "asked": {"digests": "x" * 300},
        "judged": {"walk": [["identity", "passed", ""]] * 13},
        **columns,
        **called,
    }
    settled = {"effect": "allow", "check": "", "code": "", "settled": {"rate": {"used": [1, 2]}}}
    return {"line1": json.dumps(line), **settled, "wrap": None, "payload": []}


def timed(do: Callable[[], Any]) -> float:
    """How many ms it took."""
    began = time.perf_counter()
    do()
    return (time.perf_counter() - began) * 1000


def median(do: Callable[[], Any]) -> float:
    return statistics.median(timed(do) for _ in range(TURNS * 3))


if __name__ == "__main__":
    main()
