"""How fast Muster decides, beside Cerbos with its file audit log: `./muster bench decisions`.

Both get byte-identical AuthZEN requests under the same policies from the same load generator, in
turns on this machine. Muster has committed every decision before it answers; Cerbos writes its
log without fsync. Prints a table, a `ratio` line for each figure, and each goal that was missed;
the exit code is 1 then. `--quick` asks Muster alone for a few seconds and judges no goal.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks import load, parties
from benchmarks.load import Measured, Question, Unusable

SCALES = (10, 1_000, 10_000)
BATCH = "batch20"
# What must be reached: Muster's rate as a multiple of Cerbos's.
GOALS = {"c1": 1.0, "c8": 1.3, "c64": 2.5, BATCH: 1.7}
PGBENCH_GOAL = 0.7
CPU_GOAL = 220.0  # microseconds per decision at 64 connections
# A row as a decision leaves it, in a table like the record's, one to a commit.
TABLE = """
DROP TABLE IF EXISTS bench_row;
CREATE TABLE bench_row (id uuid NOT NULL, at timestamptz NOT NULL, agent text, tool text,
    resource text, body bytea NOT NULL, leaf bytea NOT NULL, PRIMARY KEY (id, at));
CREATE INDEX ON bench_row (at, id);
CREATE INDEX ON bench_row (agent, at);
CREATE INDEX ON bench_row (tool, at);
CREATE INDEX ON bench_row (resource, at);
"""
INSERT = """
INSERT INTO bench_row VALUES (gen_random_uuid(), clock_timestamp(), 'payer-1', 'refund.issue',
    'payments/CL-1', convert_to(repeat('x', 1200), 'UTF8'), sha256('x'));
"""


@dataclass(frozen=True)
class Case:
    """One way of asking."""

    name: str
    connections: int
    batched: bool = False


CASES = (Case("c1", 1), Case("c8", 8), Case("c64", 64), Case(BATCH, 8, batched=True))


@dataclass(frozen=True)
class Figure:
    """What a case came to, for both sides: medians of all rounds."""

    case: Case
    muster: Measured
    cerbos: Measured

    @property
    def ratio(self) -> float:
        return self.muster.rate / self.cerbos.rate


def main(arguments: Sequence[str]) -> int:
    wanted = _wanted(arguments)
    try:
        load.need_wrk()
        with tempfile.TemporaryDirectory(prefix="muster-bench-") as made:
            scratch = Path(wanted.scratch or made)
            scratch.mkdir(parents=True, exist_ok=True)
            if os.geteuid() == 0:
                scratch.chmod(0o711)
            if wanted.scale:
                return _scale(scratch, wanted)
            return _quick(scratch) if wanted.quick else _compare(scratch, wanted)
    except (Unusable, httpx.HTTPError, subprocess.CalledProcessError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2


def _wanted(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./muster bench decisions", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run of Muster alone")
    parser.add_argument("--scale", action="store_true", help="10, 1,000 and 10,000 agents")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side in each case")
    parser.add_argument("--seconds", type=float, default=5, help="of one turn")
    parser.add_argument("--scratch", default="", help="a folder to keep for the next run")
    return parser.parse_args(arguments)


# Beside Cerbos


def _compare(scratch: Path, wanted: argparse.Namespace) -> int:
    with parties.muster(scratch) as muster, parties.cerbos(scratch) as cerbos:
        _check_both_allow(muster, cerbos)
        figures = [_figure(case, muster, cerbos, scratch, wanted) for case in CASES]
        lost = _lost(muster, scratch)
        single = _single_rows(muster, scratch, wanted.seconds)
    _print_table(figures)
    missed = _missed(figures, single) + ([f"{lost} allows are not on the record"] if lost else [])
    _print_ratios(figures, single)
    for each in missed:
        print(f"missed: {each}")
    return 1 if missed else 0


def _check_both_allow(muster: parties.Muster, cerbos: parties.Side) -> None:
    """A comparison of an allow with a refusal would say nothing."""
    tokens = muster.tokens()
    for question in parties.questions(tokens):
        for base_url in (muster.side.base_url, cerbos.base_url):
            for body, token in zip(question.bodies, question.tokens, strict=True):
                answer = httpx.post(
                    f"{base_url}{question.path}",
                    content=json.dumps(body),
                    headers={
                        "Content-Type": "application/json",
                        "Authorization": f"Bearer {token}",
                    },
                )
                told = answer.json()
                each = told.get("evaluations", [told])
                if len(each) != question.decisions or not all(one["decision"] for one in each):
                    raise Unusable(f"{base_url} does not allow what is asked: {answer.text[:500]}")


def _figure(
    case: Case,
    muster: parties.Muster,
    cerbos: parties.Side,
    scratch: Path,
    wanted: argparse.Namespace,
) -> Figure:
    ours, theirs = [], []
    for number in range(wanted.rounds + 1):
        # The first turn warms both up and does not count.
        seconds = wanted.seconds if number else min(2.0, wanted.seconds)
        question = parties.questions(muster.tokens())[case.batched]
        allowed = muster.allows()
        ours.append(_turn(muster.side, case, question, scratch, seconds))
        recorded = muster.allows() - allowed
        if recorded < ours[-1].answered * question.decisions:
            raise Unusable(f"{ours[-1].answered} answers, but {recorded} allows on the record.")
        theirs.append(_turn(cerbos, case, question, scratch, seconds))
    return Figure(case, _median(ours[1:]), _median(theirs[1:]))


def _turn(
    side: parties.Side, case: Case, question: Question, scratch: Path, seconds: float
) -> Measured:
    return load.drive(
        side.base_url,
        question,
        connections=case.connections,
        seconds=seconds,
        pids=side.pids,
        scratch=scratch,
    )


def _median(rounds: Sequence[Measured]) -> Measured:
    return Measured(
        rate=statistics.median(one.rate for one in rounds),
        p50=statistics.median(one.p50 for one in rounds),
        p99=statistics.median(one.p99 for one in rounds),
        cpu=statistics.median(one.cpu for one in rounds),
        answered=sum(one.answered for one in rounds),
    )


def _lost(muster: parties.Muster, scratch: Path) -> int:
    """How many allows of a run were answered and do not stand on the record: each is looked up."""
    kept = scratch / "answers.txt"
    kept.unlink(missing_ok=True)
    question, _ = parties.questions(muster.tokens())
    load.drive(
        muster.side.base_url,
        question,
        connections=64,
        seconds=2,
        pids=(),
        scratch=scratch,
        keep=kept,
    )
    answers = [json.loads(line.partition(" ")[2]) for line in kept.read_text().splitlines()]
    ids = [one["context"]["decision_id"] for one in answers if one["decision"]]
    print(f"{len(ids)} allows were answered and looked for on the record.")
    return muster.missing(ids) + len(ids) - len(set(ids))


# Beside single rows


def _single_rows(muster: parties.Muster, scratch: Path, seconds: float) -> float | None:
    """Rows a second that 64 clients of PostgreSQL commit one by one; None where it is not known."""
    pgbench = shutil.which("pgbench")
    if pgbench is None:
        print("skipped: pgbench is not installed. On Debian: apt-get install postgresql-contrib")
        return None
    server, _ = muster.database()
    with server.connect(server.name, **server.administrator) as administrator:
        administrator.execute("CREATE SCHEMA IF NOT EXISTS bench")
        administrator.execute("SET search_path = bench")
        for statement in filter(str.strip, TABLE.split(";")):
            administrator.execute(statement)
    script = scratch / "row.sql"
    script.write_text(INSERT.replace("bench_row", "bench.bench_row"))
    found = subprocess.run(
        [
            *(pgbench, "-n", "-c64", "-j2", f"-T{seconds:.0f}", "-M", "prepared"),
            *("-f", str(script), "-h", str(server.place["host"]), "-U"),
            *(str(server.administrator["user"]), server.name),
        ],
        env={**os.environ, "PGPASSWORD": str(server.administrator["password"])},
        check=False,
        capture_output=True,
        text=True,
    )
    for line in found.stdout.splitlines():
        if line.startswith("tps = "):
            return float(line.split()[2])
    raise Unusable(f"pgbench failed:\n{found.stdout}{found.stderr}")


# What is said


def _print_table(figures: Sequence[Figure]) -> None:
    print(f"{'':8} {'':7} {'decisions/s':>12} {'p50 ms':>8} {'p99 ms':>8} {'CPU µs':>8}")
    for figure in figures:
        for name, one in (("muster", figure.muster), ("cerbos", figure.cerbos)):
            print(
                f"{figure.case.name:8} {name:7} {one.rate:12.0f} {one.p50:8.2f} {one.p99:8.2f}"
                f" {one.cpu:8.0f}"
            )


def _print_ratios(figures: Sequence[Figure], single: float | None) -> None:
    for figure in figures:
        print(f"ratio {figure.case.name} {figure.ratio:.2f}")
    if single:
        print(f"ratio pgbench64 {_of('c64', figures).muster.rate / single:.2f}")


def _missed(figures: Sequence[Figure], single: float | None) -> list[str]:
    missed = [
        f"{one.case.name}: {one.ratio:.2f} of Cerbos's rate, {GOALS[one.case.name]} was the goal"
        for one in figures
        if one.ratio < GOALS[one.case.name]
    ]
    missed += [
        f"{one.case.name}: p99 of {one.muster.p99:.1f} ms is above Cerbos's {one.cerbos.p99:.1f} ms"
        for one in figures
        if one.muster.p99 > one.cerbos.p99
    ]
    busiest = _of("c64", figures).muster
    if busiest.cpu > CPU_GOAL:
        missed.append(f"c64: {busiest.cpu:.0f} µs of CPU a decision, {CPU_GOAL:.0f} was the goal")
    if single and busiest.rate / single < PGBENCH_GOAL:
        missed.append(
            f"c64: {busiest.rate / single:.2f} of single-row commits, {PGBENCH_GOAL} was the goal"
        )
    return missed


def _of(name: str, figures: Sequence[Figure]) -> Figure:
    return next(one for one in figures if one.case.name == name)


# Muster alone


def _quick(scratch: Path) -> int:
    with parties.muster(scratch) as muster:
        question, _ = parties.questions(muster.tokens())
        found = _turn(muster.side, CASES[1], question, scratch, 1)
        lost = _lost(muster, scratch)
    print(f"{found.rate:.0f} decisions/s at {CASES[1].connections} connections, p99 {found.p99} ms")
    print(f"{lost} allows are not on the record.")
    return 1 if lost else 0


def _scale(scratch: Path, wanted: argparse.Namespace) -> int:
    """The same load with more and more agents on the register, of whom eight ask."""
    for agents in SCALES:
        with parties.muster(scratch, agents) as muster:
            tokens = muster.tokens()
            asking = {parties.agent_slug(n): tokens[parties.agent_slug(n)] for n in range(8)}
            question, _ = parties.questions(asking)
            found = _median(
                [
                    _turn(muster.side, CASES[2], question, scratch, wanted.seconds)
                    for _ in range(wanted.rounds)
                ]
            )
        print(f"{agents:6} agents: {found.rate:6.0f} decisions/s, {found.cpu:4.0f} µs of CPU each")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
