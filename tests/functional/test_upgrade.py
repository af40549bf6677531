"""From the state before to this one, under load: every call is answered, once, and recorded, once.

The steps are those of docs/howto/upgrade.md for an installation on a PostgreSQL of its own.
"""

import logging
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from governance.runner.places import PROJECT
from tests.functional.hosts import Host, Hosts, database_server, hosts
from tests.functional.test_kill import QUESTION
from tests.functional.test_sealing import check, published
from tests.governance import servers

pytestmark = [pytest.mark.clone, pytest.mark.xdist_group("upgrade")]

# Where this state came from: the last release, or the commit that stands for it until there is one.
BEFORE = ("v0.1.0", "8ab444f")
AGENT = "refund-desk"
CLIENTS = 3
PROVED = 10  # of the answers of each state, so many are proved to the last


def git(*words: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(["git", "-C", str(PROJECT), *words], check=False, capture_output=True)


def before() -> str:
    """The commit of the state before. Skips where history does not reach back to it."""
    for name in BEFORE:
        if git("merge-base", "--is-ancestor", name, "HEAD").returncode == 0:
            return name
    pytest.skip(f"none of {', '.join(BEFORE)} is in the history of this checkout")


def laid_out(commit: str, folder: Path) -> Path:
    """The tree of a commit, whose own `./muster` installs what it pins."""
    tree = folder / "before"
    tree.mkdir()
    packed = git("archive", commit)
    assert packed.returncode == 0, packed.stderr
    subprocess.run(["tar", "-x", "-C", str(tree)], check=True, input=packed.stdout)
    return tree


@dataclass
class Load:
    """Clients that never give a question up, and what became of each."""

    at: Host
    token: str
    told: list[dict[str, Any]] = field(default_factory=list)
    # Who answered them, in the same order.
    by: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask_on(self) -> None:
        while not self.stop.is_set():
            self._insist(str(uuid4()))

    def _insist(self, key: str) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            at = self.at
            try:
                with at.client(self.token, timeout=30) as client:
                    answer = client.post(
                        "/access/v1/evaluation", json=QUESTION, headers={"Idempotency-Key": key}
                    )
            except httpx.TransportError as error:
                self.refused.append(repr(error))
                continue
            if answer.status_code == 200:
                with self._lock:
                    self.told.append(answer.json())
                    self.by.append(at.url)
                return
            self.refused.append(f"{answer.status_code} {answer.text}")
            time.sleep(0.05)
        raise AssertionError(f"never answered: {self.refused[-3:]}")

    def goes_to(self, host: Host) -> None:
        """Move the traffic, and wait until what was under way is answered."""
        self.at = host
        answered = len(self.told)
        deadline = time.monotonic() + 60
        while len(self.told) < answered + 4 * CLIENTS and time.monotonic() < deadline:
            time.sleep(0.1)


@contextmanager
def load(at: Host, token: str) -> Iterator[Load]:
    asking = Load(at, token)
    with ThreadPoolExecutor(CLIENTS) as pool:
        done = [pool.submit(asking.ask_on) for _ in range(CLIENTS)]
        try:
            yield asking
        finally:
            asking.stop.set()
        for each in done:
            each.result()


@pytest.fixture
def made() -> Iterator[Hosts]:
    with (
        database_server() as (_, url),
        servers.data_folder() as folder,
        hosts(url, folder.data) as made,
    ):
        yield made


def test_no_decision_is_lost_or_doubled_by_an_upgrade(
    made: Hosts, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="httpx")  # else a line for each of hundreds
    old = made.up("--demo", project=laid_out(before(), made.folder))
    agent = next(each for each in old.installation.demo["agents"] if each["id"] == AGENT)
    token = old.installation.token(agent["client_id"], agent["client_secret"])
    since = _lift_limits(made)

    with load(old, token) as asking:
        asking.goes_to(old)
        made.command("migrate", "--noinput", "-v0")
        beside = made.serve("web", "worker", data="first")
        asking.goes_to(beside)
        old.stop()
        new = made.up()
        asking.goes_to(new)
        beside.stop()
        asking.goes_to(new)

    print(f"{len(asking.told)} answers, {len(asking.refused)} refused")
    assert asking.refused == []
    assert set(asking.by) == {old.url, beside.url, new.url}
    with psycopg.connect(made.database_url) as database:
        rows = database.execute(
            "SELECT id::text, effect FROM audit.record"
            " WHERE agent = %s AND kind = 'decision' AND at >= %s",
            [AGENT, since],
        ).fetchall()
    answered = {each["context"]["decision_id"]: each["decision"] for each in asking.told}
    assert len(answered) == len(asking.told)
    assert {each: effect == "allow" for each, effect in rows} == answered
    _prove(made, new, token, [*asking.told[:PROVED], *asking.told[-PROVED:]])


def _lift_limits(made: Hosts) -> Any:
    """Let the agent call as often as the test asks; the database's time."""
    with psycopg.connect(made.database_url) as database:
        database.execute(
            "UPDATE registry_agent SET rate_per_minute = 1000000, rate_per_hour = 10000000,"
            " spend_cap_minor = 1000000000, spend_cap_month_minor = NULL WHERE slug = %s",
            [AGENT],
        )
        (now,) = database.execute("SELECT clock_timestamp()").fetchone() or (None,)
    return now


def _prove(made: Hosts, new: Host, token: str, told: list[dict[str, Any]]) -> None:
    """Receipts of both states hold against the log that the new one goes on with."""
    keys = published(new.installation)
    with new.client(token) as client:
        for each in told:
            address = f"/api/v1/decisions/{each['context']['decision_id']}/proof"
            deadline = time.monotonic() + 60
            while (proof := client.get(address)).status_code != 200:
                assert time.monotonic() < deadline, proof.text
                time.sleep(0.5)
            check(each, proof.text, keys)
    with psycopg.connect(made.database_url) as database:
        raised = database.execute("SELECT cause FROM audit.alarm WHERE cause <> ''").fetchall()
    assert raised == []
