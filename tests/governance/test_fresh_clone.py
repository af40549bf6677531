"""A fresh copy of the tree, brought up from nothing; under root, as another account as well."""

import http.client
import json
import os
import pwd
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from governance.runner import accounts, roles
from governance.runner.places import PROJECT

pytestmark = pytest.mark.clone

START_SECONDS = 600
ACCOUNTS = [pwd.getpwuid(os.geteuid()).pw_name] + (["nobody"] if os.geteuid() == 0 else [])


@dataclass
class Clone:
    """A copy of what is committed, and the account that runs it."""

    folder: Path
    account: str
    port: int

    @property
    def data(self) -> Path:
        return self.folder / ".muster"

    def start(self, *words: str) -> subprocess.Popen[str]:
        kept = {
            name: value for name, value in os.environ.items() if name.startswith(("PIP", "SSL"))
        }
        account = pwd.getpwnam(self.account)
        own = account.pw_uid == os.geteuid()
        become: dict[str, Any] = {} if own else {"user": account.pw_uid, "group": account.pw_gid}
        return subprocess.Popen(
            ["./muster", *words],
            cwd=self.folder,
            env={**kept, "PATH": os.environ["PATH"], "HOME": str(self.folder.parent / "home")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **become,
        )

    @contextmanager
    def up(self, *words: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
        """`./muster up`, ready; and what it said until then."""
        with self.start("up", "--port", str(self.port), *words) as running:
            said: list[str] = []
            for line in running.stdout or ():
                said.append(line)
                if line.endswith("Stop with Ctrl-C.\n"):
                    break
            try:
                yield running, said
            finally:
                running.terminate()
                running.communicate(timeout=90)

    def ask(self, path: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, ValueError) as error:
            return 0, repr(error)
        finally:
            connection.close()

    def processes(self) -> dict[int, str]:
        """What runs out of this copy: command lines by process id."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(self.folder) in line and "pytest" not in line:
                found[int(folder.name)] = line
        return found

    def pid_of(self, part: str) -> int:
        """The first process of that command line; 0 where there is none."""
        return min((pid for pid, line in self.processes().items() if part in line), default=0)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(true: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.2)
    return true()


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ACCOUNTS],
)
def clone(request: pytest.FixtureRequest) -> Iterator[Clone]:
    """A demo that was brought up once from nothing, and stopped again."""
    archive = subprocess.run(
        ["git", "-C", str(PROJECT), "archive", "HEAD"], check=False, capture_output=True
    )
    if archive.returncode:
        pytest.skip("this is no git checkout, so nothing can be cloned")
    with tempfile.TemporaryDirectory(prefix="muster-clone-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        for part in ("tree", "home"):
            (folder / part).mkdir()
        # tarfile takes the filter that it warns about from 3.11.4 on; Debian 12 has 3.11.2.
        subprocess.run(["tar", "-x", "-C", str(folder / "tree")], check=True, input=archive.stdout)
        account = pwd.getpwnam(request.param)
        if account.pw_uid != os.geteuid():
            owner = accounts.Account(account.pw_name, account.pw_uid, account.pw_gid)
            accounts.give(folder, owner)
        clone = Clone(folder / "tree", request.param, free_port())
        with clone.up("--demo") as (_, said):
            print(*said, sep="")
            assert clone.ask("/readyz")[0] == 200, "".join(said)
        yield clone


def test_second_start_says_that_it_runs(clone: Clone) -> None:
    with clone.up() as (running, _), clone.start("up", "--port", str(clone.port)) as second:
        said, _ = second.communicate()
        pid = json.loads((clone.data / "up.json").read_text())["pid"]

    where = f"process {pid}, data folder {clone.data}"
    assert said == f"Muster is already running at http://127.0.0.1:{clone.port} ({where}).\n"
    assert (second.returncode, running.returncode) == (0, 0)


@dataclass
class Seen:
    """What was there while it ran, looked at once; and what ran after it was stopped."""

    ready: tuple[int, Any]
    told: dict[str, set[str]]
    accounts: dict[str, int]
    left: dict[int, str]


PARTS = {
    "web": "-m uvicorn",
    "worker": "app worker",
    "beat": "app beat",
    "sealer": "-m audit.sealing",
}


@pytest.fixture(scope="module")
def seen(clone: Clone) -> Seen:
    with clone.up():
        ready = clone.ask("/readyz")
        places = {name: Path(f"/proc/{clone.pid_of(part)}") for name, part in PARTS.items()}
        told = {name: logins_in(clone, place) for name, place in places.items()}
        accounts = {name: place.stat().st_uid for name, place in places.items()}
    eventually(lambda: not clone.processes(), 10)
    return Seen(ready, told, accounts, clone.processes())


def logins_in(clone: Clone, place: Path) -> set[str]:
    """Whose passwords a process was told."""
    logins = json.loads((clone.data / "logins.json").read_text())
    known = {**logins, "superuser": (clone.data / "superuser").read_text()}
    environ = (place / "environ").read_text()
    return {login for login, password in known.items() if password in environ}


def test_stop_leaves_nothing_behind(seen: Seen) -> None:
    assert seen.ready == (200, {"status": "ok", "checks": clone_is_well()})
    assert seen.left == {}


def clone_is_well() -> dict[str, str]:
    from governance.health import PARTS

    return dict.fromkeys(PARTS, "ok")


def test_killed_web_sealer_and_database_come_back(clone: Clone) -> None:
    with clone.up():
        for part in ("-m uvicorn", "-m audit.sealing", "/postgres -D"):
            killed = clone.pid_of(part)
            os.kill(killed, signal.SIGKILL)

            assert eventually(lambda gone=killed: gone not in clone.processes())
            assert eventually(lambda part=part: clone.pid_of(part) > 0)
            # A sweep that the last stop killed is taken for dead after two minutes of silence, and
            # runs again with its next interval.
            back = eventually(lambda: clone.ask("/readyz")[0] == 200, 240)
            assert back, f"{part}: {clone.ask('/readyz')}"


def test_killed_supervisor_leaves_no_orphan(clone: Clone) -> None:
    with clone.up() as (running, _):
        os.kill(clone.pid_of("governance.runner up"), signal.SIGKILL)

        assert eventually(lambda: not clone.processes(), 40), clone.processes()
        assert running.wait() == -signal.SIGKILL


def test_run_time_processes_are_told_one_login_each(seen: Seen) -> None:
    assert seen.told == {
        "web": {"muster_web", roles.QUEUE},
        "worker": {"muster_worker", roles.QUEUE},
        "beat": {"muster_beat", roles.QUEUE},
        "sealer": {roles.SEALER},
    }


def test_nobody_but_the_sealer_may_read_its_key(clone: Clone, seen: Seen) -> None:
    """Started by root, it has an account of its own."""
    others = dict(seen.accounts)
    sealer = others.pop("sealer")
    key = (clone.data / "sealer" / "key").stat()

    assert (key.st_uid, key.st_mode & 0o777) == (sealer, 0o600)
    assert (clone.data / "sealer").stat().st_mode & 0o777 == 0o700
    if clone.account == "root":
        assert sealer not in {0, *others.values()}


def test_nothing_is_written_outside_the_data_folder(clone: Clone) -> None:
    committed = set(
        subprocess.run(
            ["git", "-C", str(PROJECT), "ls-tree", "--name-only", "HEAD"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.splitlines()
    )

    found = {path.name for path in clone.folder.iterdir()}

    assert found - committed == {".venv", ".muster"}


def test_passwords_and_keys_are_private(clone: Clone) -> None:
    private = ["logins.json", "superuser", "demo.json", "keys/kek", "keys/secret_key"]

    modes = {name: stat.S_IMODE((clone.data / name).stat().st_mode) for name in private}

    assert modes == dict.fromkeys(private, 0o600)


def test_commands_work_with_and_without_a_running_installation(clone: Clone) -> None:
    def shown() -> tuple[int, str]:
        query = "from django.db import connection as c; print(c.settings_dict['USER'])"
        with clone.start("shell", "--no-imports", "-c", query) as running:
            said, _ = running.communicate(timeout=120)
        return running.returncode, said

    apart = shown()
    with clone.up():
        beside = shown()

    assert apart == beside
    assert apart[0] == 0


def test_demo_is_shown_to_this_machine_alone(clone: Clone) -> None:
    with clone.start("up", "--host", "0.0.0.0", "--port", str(free_port())) as running:
        said, _ = running.communicate(timeout=120)

    assert running.returncode == 1
    assert "muster: A demo has published passwords" in said


def test_taken_port_is_named(clone: Clone) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with clone.start("up", "--port", str(port)) as running:
            said, _ = running.communicate(timeout=60)

    reason = "cannot be used: Address already in use. Choose another with --port."
    assert said.splitlines()[-1] == f"muster: 127.0.0.1 port {port} {reason}"
    assert running.returncode == 1


def test_unsafe_key_stops_the_start(clone: Clone) -> None:
    key = clone.data / "keys" / "secret_key"
    sound = key.read_text()
    key.write_text("s3cret")
    try:
        with clone.start("up", "--port", str(clone.port)) as running:
            said, _ = running.communicate(timeout=120)
    finally:
        key.write_text(sound)

    assert running.returncode == 1
    assert "muster.E001" in said
