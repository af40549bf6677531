"""Two hosts on one database, one of which dies in the middle: what is counted stays exact.

Each host has a web process and a worker, a folder and environment of its own. They share the
database, the keys and a name, as behind a load balancer.
"""

import json
import logging
import random
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from governance.runner import accounts, children, postgres
from governance.runner.postgres import Cluster
from tests.functional.hosts import (
    PATIENCE_SECONDS,
    Host,
    Hosts,
    database_server,
    hosts,
    kill_server,
    replica,
    url_of,
)
from tests.functional.installation import Installation, free_port
from tests.functional.test_kill import QUESTION
from tests.functional.test_openapi import sign_in, write_headers
from tests.governance import servers

pytestmark = [pytest.mark.kill, pytest.mark.xdist_group("two hosts")]

AGENT = "refund-desk"
CLIENTS, LIMIT = 4, 240  # clients of each host; calls an hour
ROUNDS = 8
QUOTA = """
UPDATE registry_allowlistentry AS e SET write_quota_per_hour = %s
FROM registry_agent AS a WHERE a.id = e.agent_id AND a.slug = %s
"""


@dataclass
class Pair:
    """Both hosts, and the agent's token, which each of them takes."""

    made: Hosts
    first: Host
    second: Host
    token: str
    primary: Cluster
    standby: Cluster

    def again(self) -> None:
        """The second host is started anew, on its own folder."""
        self.second = self.made.serve("web", "worker")

    @property
    def database(self) -> psycopg.Connection[Any]:
        """The database as its administrator."""
        return psycopg.connect(self.made.database_url, autocommit=True)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with (
        servers.data_folder() as beside,
        database_server() as (primary, _),
        servers.data_folder() as folder,
    ):
        standby = Cluster(beside, throw_away=True)
        # It does not run yet: whoever connects takes the one that does.
        with hosts(url_of(primary, standby), folder.data) as made:
            first = made.up("--demo")
            second = made.serve("web", "worker")
            agent = next(each for each in first.installation.demo["agents"] if each["id"] == AGENT)
            token = first.installation.token(agent["client_id"], agent["client_secret"])
            yield Pair(made, first, second, token, primary, standby)


@dataclass(frozen=True)
class Answer:
    """The record of a decision, and what it said."""

    id: str
    allowed: bool
    told: float


def insist(pair: Pair, at: Host, key: str) -> Answer:
    """Ask until there is an answer: of `at` first, and of the first host where it is dead."""
    deadline, said = time.monotonic() + PATIENCE_SECONDS, ""
    while True:
        assert time.monotonic() < deadline, f"no host answers: {said}"
        try:
            with at.client(pair.token) as client:
                answer = client.post(
                    "/access/v1/evaluation", json=QUESTION, headers={"Idempotency-Key": key}
                )
        except httpx.TransportError as error:
            at, said = pair.first, repr(error)
            time.sleep(0.02)
            continue
        if answer.status_code == 200:
            body = answer.json()
            return Answer(body["context"]["decision_id"], body["decision"], time.monotonic())
        said = f"{answer.status_code} {answer.text[:200]}"
        time.sleep(0.02)


def test_a_limit_admits_exactly_as_many_though_a_host_dies(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="httpx")  # else a line for each of hundreds
    with pair.database as database:
        database.execute(
            "UPDATE registry_agent SET rate_per_minute = 1000000, rate_per_hour = %s,"
            " spend_cap_minor = 1000000000, spend_cap_month_minor = NULL WHERE slug = %s",
            [LIMIT, AGENT],
        )
        database.execute("DELETE FROM authz_counter WHERE key = %s", [f"agent:{AGENT}"])
        since = database.execute("SELECT clock_timestamp()").fetchone()[0]
    answered = threading.Semaphore(0)
    chance = random.Random()
    keys = [f"{uuid4()}" for _ in range(2 * LIMIT)]

    def ask(turn: int) -> Answer:
        at = (pair.first, pair.second)[turn % 2]
        found = insist(pair, at, keys[turn])
        answered.release()
        return found

    with ThreadPoolExecutor(2 * CLIENTS) as pool:
        asking = pool.map(ask, range(len(keys)))
        for _ in range(LIMIT // 2 + chance.randrange(LIMIT // 4)):
            assert answered.acquire(timeout=PATIENCE_SECONDS)
        pair.second.kill()
        told = list(asking)

    with pair.database as database:
        rows = database.execute(
            "SELECT id::text, effect, date_trunc('hour', at) FROM audit.record"
            " WHERE agent = %s AND kind = 'decision' AND at >= %s",
            [AGENT, since],
        ).fetchall()
    pair.again()

    effects = {each: effect for each, effect, _ in rows}
    hours = Counter(hour for _, effect, hour in rows if effect == "allow")
    # One record for each question, whether its first answer came through or was lost.
    assert len(rows) == len(keys)
    assert {each.id for each in told} == set(effects)
    assert all((effects[each.id] == "allow") == each.allowed for each in told)
    assert hours
    assert max(hours.values()) <= LIMIT
    if len({hour for _, _, hour in rows}) == 1:
        assert sum(hours.values()) == LIMIT


def test_nothing_that_begins_after_a_suspension_is_allowed_by_the_other_host(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="httpx")
    with pair.database as database:
        database.execute(
            "UPDATE registry_agent SET rate_per_hour = 1000000 WHERE slug = %s", [AGENT]
        )
    stop, found, ended = threading.Event(), list[tuple[float, float, bool]](), []

    with ThreadPoolExecutor(CLIENTS) as pool, pair.first.client() as security:
        security.follow_redirects = True
        sign_in(security, Installation(f"http://{pair.made.name}", pair.first.data))
        asking = [pool.submit(_ask_on, pair, found, stop) for _ in range(CLIENTS)]
        try:
            for turn in range(ROUNDS):
                time.sleep(0.2)
                _suspend(pair, security)
                acknowledged = time.monotonic()
                time.sleep(0.2)
                ended.append((acknowledged, time.monotonic()))
                with pair.database as database:
                    database.execute(
                        "UPDATE registry_agent SET state = 'active' WHERE slug = %s", [AGENT]
                    )
                if turn == ROUNDS // 2:
                    pair.second.kill()
                    pair.again()
        finally:
            stop.set()
        for each in asking:
            each.result()

    allowed = [(began, told) for began, told, decision in found if decision]
    refused = [(began, told) for began, told, decision in found if not decision]
    wrong = [
        (began, told)
        for began, told in allowed
        for since, until in ended
        if since < began and told <= until
    ]
    assert wrong == []
    assert min(len(allowed), len(refused)) > ROUNDS


def _ask_on(pair: Pair, found: list[tuple[float, float, bool]], stop: threading.Event) -> None:
    """Ask the second host, by a connection of its own each time; a dead one is asked again."""
    while not stop.is_set():
        began = time.monotonic()
        try:
            with pair.second.client(pair.token) as client:
                answer = client.post("/access/v1/evaluation", json=QUESTION)
        except httpx.TransportError:
            stop.wait(0.05)
            continue
        if answer.status_code == 200:
            found.append((began, time.monotonic(), answer.json()["decision"]))


def _suspend(pair: Pair, security: httpx.Client) -> None:
    answer = security.post(
        f"/api/v1/agents/{AGENT}/suspend",
        json={"reason": "a test"},
        headers={**write_headers(security), "Referer": f"http://{pair.made.name}/"},
    )
    assert answer.status_code == 200, answer.text


APPROVING = """
from authz.models import Hold
from authz.services import holds
from registry.models import Person
hold = Hold.objects.get(pk='{hold}')
by = Person.objects.filter(pid__in=hold.asked_of).order_by('pk').first()
print(holds.approve_hold(hold_id=hold.pk, by=by).release.pk)
"""


def test_an_approval_lets_one_call_go_on_whichever_host_is_asked(pair: Pair) -> None:
    with pair.database as database:
        # From now on each call is one record too many, and waits.
        database.execute(QUOTA, [0, AGENT])
    question: dict[str, Any] = {**QUESTION}

    def ask(turn: int) -> dict[str, Any]:
        with (pair.first, pair.second)[turn % 2].client(pair.token) as client:
            answer = client.post("/access/v1/evaluation", json=question)
        assert answer.status_code == 200, answer.text
        return answer.json()

    with ThreadPoolExecutor(2 * CLIENTS) as pool:
        waiting = list(pool.map(ask, range(2 * CLIENTS)))
        holds = {each["context"]["access_request"]["hold"] for each in waiting}
        assert len(holds) == 1
        said = pair.made.command("shell", "--no-imports", "-c", APPROVING.format(hold=holds.pop()))
        question["context"] = {"approval": {"id": said.split()[-1]}}
        told = list(pool.map(ask, range(2 * CLIENTS)))

    allowed = [each["context"]["decision_id"] for each in told if each["decision"]]
    assert len(allowed) == 1
    with pair.database as database:
        used = database.execute(
            "SELECT used_by::text FROM authz_release WHERE id = %s", [said.split()[-1]]
        ).fetchall()
        database.execute(QUOTA, [None, AGENT])
    assert used == [(allowed[0],)]


def test_keys_are_rotated_under_load(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """The old token goes on, and each host takes the new one once it has the key's file."""
    caplog.set_level(logging.WARNING, logger="httpx")
    with pair.database as database:
        database.execute(
            "UPDATE registry_agent SET rate_per_hour = 1000000, state = 'active' WHERE slug = %s",
            [AGENT],
        )
        keys = _sealing_keys(database)
    stop, statuses = threading.Event(), Counter[int]()

    def ask(turn: int) -> None:
        with (pair.first, pair.second)[turn % 2].client(pair.token) as client:
            while not stop.is_set():
                statuses[client.post("/access/v1/evaluation", json=QUESTION).status_code] += 1

    with ThreadPoolExecutor(CLIENTS) as pool:
        asking = [pool.submit(ask, turn) for turn in range(CLIENTS)]
        try:
            pair.made.command("rotate_token_key")
            pair.made.command("sealer", "rotate")
            agent = next(
                each for each in pair.first.installation.demo["agents"] if each["id"] == AGENT
            )
            token = pair.first.installation.token(agent["client_id"], agent["client_secret"])
            with pair.second.client(token) as client:
                without = client.post("/access/v1/evaluation", json=QUESTION).status_code
                _bring_token_keys(pair)
                brought = client.post("/access/v1/evaluation", json=QUESTION).status_code
            deadline = time.monotonic() + PATIENCE_SECONDS
            with pair.database as database:
                while _sealing_keys(database) == keys and time.monotonic() < deadline:
                    time.sleep(0.5)
                rotated = _sealing_keys(database) - keys
        finally:
            stop.set()
        for each in asking:
            each.result()

    print(f"{statuses.total()} calls while keys were rotated")
    assert set(statuses) == {200}
    assert (without, brought) == (401, 200)
    assert len(rotated) == 1


def _sealing_keys(database: psycopg.Connection[Any]) -> set[str]:
    rows = database.execute("SELECT vkey FROM audit.sealing_key WHERE kind = 'checkpoint'")
    return {vkey for (vkey,) in rows}


def _bring_token_keys(pair: Pair) -> None:
    """As docs/howto/rotate-keys.md says: beside the folder first, and in at once when readable."""
    source, target = (host.data / "keys" / "tokens" for host in (pair.first, pair.second))
    beside = target.with_name("tokens.new")
    shutil.copytree(source, beside)
    accounts.give(beside, accounts.for_run_time(pair.second.data))
    for each in beside.iterdir():
        each.replace(target / each.name)


# PgBouncer between


INSTALL = ("apt-get", "install", "-y", "--no-install-recommends", "pgbouncer")
POOLED = """
[databases]
muster = host={sockets} port=5432 dbname=muster
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = 40
ignore_startup_parameters = extra_float_digits
logfile = {folder}/pgbouncer.log
"""


def bouncer() -> str:
    """The program; skips, and says why, where there can be none."""
    if not shutil.which("pgbouncer"):
        if not shutil.which("apt-get"):
            pytest.skip("pgbouncer is not installed, and there is no apt-get to install it")
        done = subprocess.run(INSTALL, check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"apt-get could not install pgbouncer: {done.stderr[-200:]}")
    return shutil.which("pgbouncer") or "pgbouncer"


@contextmanager
def pooled(pair: Pair, mode: str) -> Iterator[str]:
    """An administrator's URL that leads through PgBouncer, which knows the logins of Muster."""
    program, port = bouncer(), free_port()
    logins = json.loads((pair.first.data / "logins.json").read_text())
    with servers.data_folder() as ours:
        folder = ours.data / "home"
        told = {"sockets": pair.primary.sockets, "port": port, "folder": folder, "mode": mode}
        (folder / "ini").write_text(POOLED.format(**told))
        (folder / "users").write_text("".join(f'"{n}" "{p}"\n' for n, p in logins.items()))
        account = accounts.for_postgres()
        accounts.give(folder, account)
        child = children.spawn(
            [program, "-q", folder / "ini"],
            env=postgres.environment(),
            account=account,
            output=subprocess.DEVNULL,
        )
        try:
            yield f"postgres://postgres@127.0.0.1:{port}/muster"
        finally:
            child.terminate()
            child.wait()


@pytest.mark.outside
@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_through_pgbouncer_nothing_is_answered_that_is_not_recorded(
    pair: Pair, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Pooled by session all is answered; pooled by transaction a call may be refused."""
    caplog.set_level(logging.WARNING, logger="httpx")
    with pair.database as database:
        database.execute(
            "UPDATE registry_agent SET rate_per_hour = 1000000, state = 'active' WHERE slug = %s",
            [AGENT],
        )
        (since,) = database.execute("SELECT clock_timestamp()").fetchone() or (None,)

    def ask(at: Host) -> list[httpx.Response]:
        with at.client(pair.token) as client:
            return [client.post("/access/v1/evaluation", json=QUESTION) for _ in range(25)]

    with pooled(pair, mode) as url, ThreadPoolExecutor(CLIENTS) as pool:
        host = pair.made.serve("web", data=f"pooled-{mode}", DATABASE_URL=url)
        told = [each for some in pool.map(ask, [host] * CLIENTS) for each in some]
        host.stop()

    statuses = Counter(each.status_code for each in told)
    print(f"{mode}: {dict(statuses)}")
    answered = [each.json()["context"]["decision_id"] for each in told if each.status_code == 200]
    with pair.database as database:
        rows = database.execute(
            "SELECT id::text FROM audit.record WHERE agent = %s AND kind = 'decision' AND at >= %s",
            [AGENT, since],
        ).fetchall()
    assert sorted(answered) == sorted(each for (each,) in rows)
    assert set(statuses) == {200} if mode == "session" else set(statuses) <= {200, 503}


# The database's other server


def test_a_replica_decides_nothing_and_takes_over_with_nothing_lost(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="httpx")
    with pair.database as database:
        database.execute(
            "UPDATE registry_agent SET rate_per_hour = 1000000, state = 'active' WHERE slug = %s",
            [AGENT],
        )
    with replica(pair.primary, pair.standby):
        _asked_of_the_replica_alone(pair)
        _fail_over(pair)


def _asked_of_the_replica_alone(pair: Pair) -> None:
    """It lags by half a minute and still shows an active agent (promise 9)."""
    _configure(pair.standby, "recovery_min_apply_delay", "30s")
    with pair.database as database:
        database.execute("UPDATE registry_agent SET state = 'suspended' WHERE slug = %s", [AGENT])
    with psycopg.connect(url_of(pair.standby)) as lagging:
        (shown,) = lagging.execute(
            "SELECT state FROM registry_agent WHERE slug = %s", [AGENT]
        ).fetchone() or ("",)
    behind = pair.made.serve("web", data="third", DATABASE_URL=url_of(pair.standby))

    with behind.client(pair.token) as client:
        told = [client.post("/access/v1/evaluation", json=QUESTION) for _ in range(5)]
    behind.stop()

    assert shown == "active"
    assert {each.status_code for each in told} == {503}
    assert not [each for each in told if each.json().get("decision")]
    with pair.database as database:
        database.execute("UPDATE registry_agent SET state = 'active' WHERE slug = %s", [AGENT])
    _configure(pair.standby, "recovery_min_apply_delay", "0")


def _configure(cluster: Cluster, name: str, value: str) -> None:
    with psycopg.connect(url_of(cluster), autocommit=True) as administrator:
        administrator.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        administrator.execute("SELECT pg_reload_conf()")


def _fail_over(pair: Pair) -> None:
    """The primary dies under load and the replica is promoted: one record for each question."""
    keys, answered, dead = [f"{uuid4()}" for _ in range(300)], threading.Semaphore(0), 0.0
    with pair.database as database:
        (since,) = database.execute("SELECT clock_timestamp()").fetchone() or (None,)

    def ask(turn: int) -> Answer:
        found = insist(pair, (pair.first, pair.second)[turn % 2], keys[turn])
        answered.release()
        return found

    with ThreadPoolExecutor(2 * CLIENTS) as pool:
        asking = pool.map(ask, range(len(keys)))
        for _ in range(100):
            assert answered.acquire(timeout=PATIENCE_SECONDS)
        kill_server(pair.primary)
        dead = time.monotonic()
        with psycopg.connect(url_of(pair.standby), autocommit=True) as administrator:
            assert administrator.execute("SELECT pg_promote()").fetchone() == (True,)
        promoted = time.monotonic()
        told = list(asking)

    again = min(each.told for each in told if each.told > promoted)
    print(f"promoted after {promoted - dead:.1f} s, answered again after {again - dead:.1f} s")
    with pair.database as database:
        rows = database.execute(
            "SELECT id::text FROM audit.record WHERE agent = %s AND kind = 'decision' AND at >= %s",
            [AGENT, since],
        ).fetchall()
    assert sorted(each for (each,) in rows) == sorted(each.id for each in told)
    _await_sealed(pair)


def _await_sealed(pair: Pair) -> None:
    """The sealer goes on with the other server, and has nothing to say against it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with pair.first.client() as client:
            state = client.get("/readyz").json()["checks"]["sealer"]
        if state == "ok":
            break
        assert time.monotonic() < deadline, state
        time.sleep(0.5)
    with pair.database as database:
        raised = database.execute("SELECT cause FROM audit.alarm WHERE cause <> ''").fetchall()
    assert raised == []
