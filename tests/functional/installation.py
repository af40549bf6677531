"""A Muster that really runs: `./muster up` in a folder of its own, and ways to speak to it."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg

from governance.runner import database, places, roles
from governance.runner.postgres import Cluster

PROJECT = Path(__file__).resolve().parents[2]
START_SECONDS = 420
WITHHELD = ("MUSTER_", "DATABASE_URL", "CELERY_", "DJANGO_", "PG")


@dataclass
class Installation:
    """A running installation: its address and its data folder."""

    base_url: str
    data: Path

    @property
    def demo(self) -> dict[str, Any]:
        """What `demo.json` says."""
        return json.loads((self.data / "demo.json").read_text())

    def user(self, role: str) -> dict[str, Any]:
        """The first made-up person of a role."""
        return next(user for user in self.demo["users"] if role in user["roles"])

    def person(self, name: str) -> dict[str, Any]:
        """The made-up person whose e-mail address starts with `name`."""
        return next(user for user in self.demo["users"] if user["email"].startswith(name))

    def command(self, *words: str) -> str:
        """`./muster WORDS` in this installation; what it printed."""
        done = subprocess.run(
            [str(PROJECT / "muster"), *words],
            env=environment(MUSTER_DATA=str(self.data)),
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def log(self, process: str) -> str:
        """What a process of it has said."""
        return (places.choose(str(self.data)).logs / f"{process}.log").read_text("utf-8", "replace")

    def as_web(self) -> psycopg.Connection[Any]:
        """The database as the web process logs in."""
        ours = places.choose(str(self.data))
        found, logins = database.embedded(Cluster(ours)), roles.load_logins(ours.logins)
        return found.connect(found.name, user="muster_web", password=logins["muster_web"])

    def as_administrator(self) -> psycopg.Connection[Any]:
        """The database as whoever may read everything, and set tables of their own beside it."""
        found = database.embedded(Cluster(places.choose(str(self.data))))
        return found.connect(found.name, **found.administrator)

    def lift_limits(self, agent: str) -> None:
        """Let an agent call as often as a test asks, whatever it costs."""
        with self.as_web() as connection:
            connection.execute(
                "UPDATE registry_agent SET rate_per_minute = 1000000, rate_per_hour = 10000000,"
                " spend_cap_minor = 1000000000, spend_cap_month_minor = NULL WHERE slug = %s",
                [agent],
            )

    def token(self, client_id: str, secret: str) -> str:
        """An access token by client secret."""
        answer = httpx.post(
            f"{self.base_url}/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=(client_id, secret),
        )
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]


def environment(**more: str) -> dict[str, str]:
    """Our own environment without what a test run of Muster was told."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(WITHHELD)}
    return {**kept, **more}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(*words: str, **more: str) -> Iterator[Installation]:
    """`./muster up WORDS`, ready, and stopped again at the end; `more` of its environment."""
    with tempfile.TemporaryDirectory(prefix="muster-up-", ignore_cleanup_errors=True) as name:
        data, port = Path(name) / "data", free_port()
        command = [str(PROJECT / "muster"), "up", "--data", str(data), "--port", str(port), *words]
        log = Path(name) / "up.log"
        with log.open("wb") as output:
            child = subprocess.Popen(
                command, env=environment(**more), stdout=output, stderr=subprocess.STDOUT
            )
        installation = Installation(f"http://127.0.0.1:{port}", data)
        try:
            _wait(installation, child, log)
            yield installation
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(timeout=90)


def _wait(installation: Installation, child: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while "Stop with Ctrl-C" not in log.read_text():
        assert child.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.3)
    answer = httpx.get(f"{installation.base_url}/readyz")
    assert answer.status_code == 200, answer.text
