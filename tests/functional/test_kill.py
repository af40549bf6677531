"""No allow is received that is not on the record, whatever dies meanwhile (promise 1).

Clients ask without a pause while the web process and PostgreSQL are killed in turn, each
MUSTER_KILL_ROUNDS times. After each kill, all that was ever received must be on the record.
"""

import logging
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from governance.runner import places, up
from governance.runner.supervisor import QUICK_DEATH
from tests.functional.installation import Installation

pytestmark = pytest.mark.kill

ROUNDS = int(os.environ.get("MUSTER_KILL_ROUNDS", "5"))
CLIENTS = 8
LEAST_ALLOWS = 50  # received in a round; fewer would prove little
RECOVERY_SECONDS = 90
LONGEST_ROUND = 180
WEB, POSTGRES = "uvicorn", "postgres"
# How the web process starts its workers.
SPAWNED = "multiprocessing.spawn"
QUESTION = {
    "subject": {"type": "agent", "id": "refund-desk"},
    "action": {"name": "ticket.read", "properties": {"ticket": "40712"}},
    "resource": {"type": "helpdesk", "id": "40712"},
}


@dataclass
class Told:
    """What the clients were told; many threads append, nobody removes."""

    allowed: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def note(self, answer: httpx.Response) -> None:
        body = answer.json() if answer.status_code == 200 else {}
        if body.get("decision"):
            self.allowed.append(body["context"]["decision_id"])
        else:
            self.others.append(answer.text if body else str(answer.status_code))


@dataclass
class Process:
    """A living process, as /proc shows it."""

    pid: int
    parent: int
    command: str


# The clients


@contextmanager
def hammering(demo: Installation, token: str, told: Told) -> Iterator[None]:
    """Eight clients that ask for as long as the `with` lasts, and have stopped after it."""
    stop = threading.Event()
    with ThreadPoolExecutor(CLIENTS) as pool:
        asking = [pool.submit(ask, demo.base_url, token, told, stop) for _ in range(CLIENTS)]
        try:
            yield
        finally:
            stop.set()
        for each in asking:
            each.result()


def ask(base_url: str, token: str, told: Told, stop: threading.Event) -> None:
    """Ask until told to stop; what is no answer, or no decision, is noted and tried again."""
    deadline = time.monotonic() + LONGEST_ROUND
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=base_url, headers=headers, timeout=10) as client:
        while not stop.is_set() and time.monotonic() < deadline:
            try:
                answer = client.post("/access/v1/evaluation", json=QUESTION)
            except httpx.TransportError:
                stop.wait(0.05)
                continue
            told.note(answer)
            if answer.status_code != 200:
                stop.wait(0.05)


# The processes of the installation, and no others


def below(pid: int) -> list[Process]:
    """All processes that `pid` started, and those that they started."""
    everyone = list(processes())
    children = [each for each in everyone if each.parent == pid]
    return children + [
        each for each in everyone if each.parent in {child.pid for child in children}
    ]


def processes() -> Iterator[Process]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text().rpartition(") ")[2].split()[:2]
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if state != "Z":
            yield Process(int(folder.name), int(parent), command)


def of_kind(demo: Installation, kind: str) -> list[Process]:
    """Web: uvicorn and its workers. PostgreSQL: the postmaster alone, not its backends."""
    supervisor = int(up.state(places.choose(str(demo.data)))["pid"])
    named = {WEB: "-m uvicorn ", POSTGRES: "/postgres -D "}[kind]
    found = [one for one in below(supervisor) if named in one.command and one.parent == supervisor]
    if kind == POSTGRES:
        return found
    started = [each for one in found for each in below(one.pid) if SPAWNED in each.command]
    return [*found, *started]


def kill(demo: Installation, kind: str, chance: random.Random) -> Process:
    victim = chance.choice(of_kind(demo, kind))
    os.kill(victim.pid, signal.SIGKILL)
    return victim


def await_recovery(demo: Installation, kind: str, victim: Process) -> None:
    def replaced() -> bool:
        living = {each.pid for each in of_kind(demo, kind)}
        return bool(living) and victim.pid not in living

    assert eventually(replaced), f"{victim} was not started again"
    assert eventually(lambda: ready(demo)), f"{victim} was killed: {readiness(demo)}"


def ready(demo: Installation) -> bool:
    return readiness(demo).startswith("200 ")


def readiness(demo: Installation) -> str:
    """The status of /readyz and which part says what; why there was no answer."""
    try:
        answer = httpx.get(f"{demo.base_url}/readyz", timeout=10)
    except httpx.TransportError as error:
        return type(error).__name__
    return f"{answer.status_code} {answer.text}"


def eventually(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + RECOVERY_SECONDS
    while not (found := true()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


# The record


def unrecorded(demo: Installation, allowed: list[str]) -> set[str]:
    """The allows among these decisions that the record does not have as such."""
    with demo.as_web() as connection:
        rows = connection.execute(
            "SELECT id::text FROM audit.record WHERE id = ANY(%s::uuid[]) AND effect = 'allow'",
            [allowed],
        )
        return set(allowed) - {each for (each,) in rows}


def test_commits_are_waited_for(demo: Installation) -> None:
    with demo.as_web() as connection:
        settings = [
            connection.execute(f"SHOW {name}").fetchone()
            for name in ("synchronous_commit", "fsync")
        ]

    assert settings == [("on",), ("on",)]


def test_no_allow_is_received_that_is_not_on_the_record(
    demo: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="httpx")  # else a line for each of thousands
    seed = random.randrange(2**32)
    chance, told = random.Random(seed), Told()
    print(f"seed {seed}")
    # The supervisor gives up on what keeps dying young, so each lives that long between kills.
    demo.lift_limits("refund-desk")
    agent = next(each for each in demo.demo["agents"] if each["id"] == "refund-desk")
    token = demo.token(agent["client_id"], agent["client_secret"])
    old_enough = dict.fromkeys((WEB, POSTGRES), 0.0)

    for kind in (WEB, POSTGRES) * ROUNDS:
        before = len(told.allowed)
        with hammering(demo, token, told):
            moment = max(time.monotonic() + 3, old_enough[kind]) + chance.uniform(0, 2)
            time.sleep(moment - time.monotonic())
            victim = kill(demo, kind, chance)
            killed = time.monotonic()
            await_recovery(demo, kind, victim)
            old_enough[kind] = time.monotonic() + QUICK_DEATH
            back = old_enough[kind] - QUICK_DEATH - killed
        received, lost = len(told.allowed) - before, unrecorded(demo, told.allowed)
        print(f"{kind}: {received} allows received, {len(lost)} lost, back in {back:.1f} s")

        assert lost == set()
        assert received >= LEAST_ALLOWS

    print(f"{len(told.allowed)} allows; otherwise {dict(Counter(told.others))}")
    assert len(set(told.allowed)) == len(told.allowed)
    assert set(told.others) <= {"503"}
