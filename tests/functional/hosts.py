"""Several hosts of one installation: each with a folder and processes of its own, one database."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg

from governance.kernel import private_file
from governance.runner import accounts, children, postgres
from governance.runner.postgres import SUPERUSER, Cluster
from tests.functional.installation import PROJECT, Installation, environment, free_port
from tests.functional.test_kill import processes
from tests.governance import servers

START_SECONDS = 420
# How long something may take on a machine that has much else to do, before it counts as stuck.
PATIENCE_SECONDS = 240
STARTED = "Stop with Ctrl-C"


@dataclass
class Host:
    """One machine's part of an installation, as far as one machine can play several."""

    url: str
    data: Path
    child: "subprocess.Popen[bytes]"
    log: Path
    # How the outside calls the installation, whichever host answers.
    name: str

    @property
    def installation(self) -> Installation:
        return Installation(self.url, self.data)

    def client(self, token: str = "", **more: float) -> httpx.Client:
        """Speaks to this host as something before it that spreads the load would."""
        headers = {"Host": self.name} | ({"Authorization": f"Bearer {token}"} if token else {})
        return httpx.Client(base_url=self.url, headers=headers, timeout=more.get("timeout", 20))

    def kill(self) -> None:
        """All of its processes at once, as when the power fails."""
        os.kill(self.child.pid, signal.SIGSTOP)  # else it would start them again
        _kill(self.child.pid)
        self.child.wait()

    def stop(self) -> None:
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            self.child.wait(timeout=90)


def _kill(pid: int) -> None:
    """What it started first: at its own end they would be told to end in peace."""
    for each in [*tree(pid), pid]:
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def tree(pid: int) -> list[int]:
    """What `pid` started, and what those started."""
    everyone = list(processes())
    found = [pid]
    for each in found:
        found += [one.pid for one in everyone if one.parent == each]
    return found[1:]


@dataclass
class Hosts:
    """The hosts of one installation, on the database that `database_url` names."""

    folder: Path
    database_url: str
    name: str = ""
    living: list[Host] = field(default_factory=list)

    def up(self, *words: str, project: Path = PROJECT, **more: str) -> Host:
        """The first host: `./muster up WORDS`."""
        port = free_port()
        self.name = self.name or f"127.0.0.1:{port}"
        return self.start(self.folder / "first", port, "up", *words, project=project, **more)

    def serve(
        self, *words: str, data: str = "second", project: Path = PROJECT, **more: str
    ) -> Host:
        """One more: `./muster serve WORDS`, with keys and logins of the first."""
        first, ours = self.folder / "first", self.folder / data
        if not ours.exists():
            ours.mkdir()
            shutil.copytree(first / "keys", ours / "keys")
            shutil.copy(first / "logins.json", ours)
        return self.start(ours, free_port(), "serve", *words, project=project, **more)

    def start(
        self, data: Path, port: int, *words: str, project: Path = PROJECT, **more: str
    ) -> Host:
        """`./muster WORDS` in a data folder, as soon as it says that it serves."""
        command = [str(project / "muster"), *words, "--data", str(data), "--port", str(port)]
        log = self.folder / f"{data.name}-{port}.log"
        told = {
            "DATABASE_URL": self.database_url,
            "MUSTER_BASE_URL": f"http://{self.name}",
            "MUSTER_WEB_WORKERS": "1",
            **{f"MUSTER_BREAKER_DENIALS_{tier}": "0" for tier in TIERS},
        }
        with log.open("wb") as output:
            child = subprocess.Popen(
                command,
                env=environment(**{**told, **more}),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        host = Host(f"http://127.0.0.1:{port}", data, child, log, self.name)
        self.living.append(host)
        _wait(host)
        return host

    def command(self, *words: str, project: Path = PROJECT) -> str:
        """`./muster WORDS` with the first host's folder; what it printed."""
        told = {"DATABASE_URL": self.database_url, "MUSTER_BASE_URL": f"http://{self.name}"}
        done = subprocess.run(
            [str(project / "muster"), *words],
            env=environment(MUSTER_DATA=str(self.folder / "first"), **told),
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


TIERS = ("PUBLIC", "INTERNAL", "CONFIDENTIAL", "RESTRICTED")


def _wait(host: Host) -> None:
    deadline = time.monotonic() + START_SECONDS
    while STARTED not in host.log.read_text():
        assert host.child.poll() is None, host.log.read_text()
        assert time.monotonic() < deadline, host.log.read_text()
        time.sleep(0.2)


@contextmanager
def hosts(database_url: str, folder: Path) -> Iterator[Hosts]:
    """All of them are stopped at the end, the last that was started first."""
    made = Hosts(folder, database_url)
    try:
        yield made
    finally:
        for host in reversed(made.living):
            host.stop()


@contextmanager
def database_server() -> Iterator[tuple[Cluster, str]]:
    """A PostgreSQL of nobody's, and its administrator's URL."""
    with servers.data_folder() as ours:
        cluster = Cluster(ours, throw_away=True)
        with postgres.running(cluster):
            yield cluster, url_of(cluster)


def url_of(*clusters: Cluster) -> str:
    """The administrator's URL; of several servers whichever takes writes."""
    password = clusters[0].superuser_password
    sockets = ",".join(str(each.sockets) for each in clusters)
    which = "&target_session_attrs=read-write" if len(clusters) > 1 else ""
    return f"postgres://{SUPERUSER}:{password}@/muster?host={sockets}{which}"


@contextmanager
def replica(of: Cluster, cluster: Cluster) -> Iterator[None]:
    """A streaming replica, which every commit of `of` waits for once it is there."""
    account = accounts.for_postgres()
    cluster.files.mkdir(mode=0o700)
    accounts.give(cluster.files, account)
    private_file.write(cluster.places.superuser, of.superuser_password)
    code, printed = children.run(
        [
            *(postgres.programs() / "pg_basebackup", "-D", cluster.files, "-R", "-X", "stream"),
            *("-c", "fast", "--no-sync", "-h", of.sockets, "-U", SUPERUSER),
        ],
        env={**postgres.environment(), "PGPASSWORD": of.superuser_password},
        account=account,
    )
    assert code == 0, printed
    with postgres.running(cluster):
        with psycopg.connect(url_of(of), autocommit=True) as primary:
            primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            primary.execute("SELECT pg_reload_conf()")
            _await_sync(primary)
        yield


def _await_sync(primary: "psycopg.Connection[Any]") -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        row = primary.execute(
            "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"
        ).fetchone()
        if row:
            return
        assert time.monotonic() < deadline, "the replica does not follow"
        time.sleep(0.1)


def kill_server(cluster: Cluster) -> None:
    """The postmaster and its backends at once."""
    postmaster = int((cluster.files / "postmaster.pid").read_text().split("\n")[0])
    os.kill(postmaster, signal.SIGSTOP)
    _kill(postmaster)
