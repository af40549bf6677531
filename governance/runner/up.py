"""`./muster up`: from an empty folder to a running installation, and keeping it so."""

from __future__ import annotations

import fcntl
import hashlib
import http
import http.client
import ipaddress
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from governance.kernel import meters, private_file
from governance.runner import (
    accounts,
    children,
    database,
    keyfiles,
    places,
    postgres,
    roles,
)
from governance.runner.environment import Installation, manage, python, uses_embedded_queue
from governance.runner.places import PROJECT, CannotStart, Places
from governance.runner.supervisor import DATABASE, Process, Supervisor

READY_SECONDS = 90
MOST_WEB_WORKERS = 4
# ReDoc comes along with Swagger UI and is not used.
COLLECT_STATIC = ("collectstatic", "--noinput", "-v0", "--ignore", "redoc")
# The demo is loaded as the web process writes; these two make and use the append with a time.
LOADING_LOGINS = {"MUSTER_LOADER_URL": roles.LOADER, "MUSTER_MIGRATOR_URL": roles.MIGRATOR}
APPS = ("governance", "compliance", "lifecycle", "authz", "registry", "audit")


@dataclass(frozen=True)
class Wanted:
    """What the command line asked for."""

    host: str
    port: int
    data: str | None
    demo: bool

    @property
    def base_url(self) -> str:
        return os.environ.get("MUSTER_BASE_URL", "").rstrip("/") or self.local_url

    @property
    def local_url(self) -> str:
        """The address on this machine itself."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def say(text: str) -> None:
    print(text, flush=True)


def up(wanted: Wanted) -> int:
    """Bring everything up and keep it up; 0 when told to stop or when it runs already."""
    children.stop_on_signals()
    os.umask(0o022)
    ours = places.choose(wanted.data)
    _refuse_public_demo(wanted, demo=wanted.demo)
    places.prepare(ours)
    with held(ours) as alone:
        if not alone:
            return _say_running(ours)
        check_port(wanted)
        private_file.write(
            ours.state, json.dumps({"pid": os.getpid(), "base_url": wanted.base_url})
        )
        return _serve(wanted, ours)


def _serve(wanted: Wanted, ours: Places) -> int:
    supervisor = Supervisor(ours, say)
    try:
        _bring_up(wanted, ours, supervisor)
        supervisor.run()
    except children.Stopped as signal:
        say(f"Stopping ({signal}) …")
    finally:
        supervisor.stop()
    say("Stopped.")
    return 0


def _bring_up(wanted: Wanted, ours: Places, supervisor: Supervisor) -> None:
    began = time.monotonic()
    say(f"Data folder: {ours.data}")
    keyfiles.make(ours, urlsplit(wanted.base_url).hostname or "localhost")
    logins = roles.load_logins(ours.logins)
    installation = Installation(ours, _database(ours), logins, wanted.base_url)
    with collecting_static(installation):
        _start_database(installation, supervisor)
        database.make_ready(installation.database, logins, queue=uses_embedded_queue())
        migrate(installation)
        _make_demo(wanted, installation)
    _load_demo(installation)
    give_to_run_time(ours)
    for name in ("web", "worker", "beat"):
        supervisor.add(process(name, wanted, installation))
    supervisor.add(sealing(installation))
    link = _first_signin_link(installation)
    _say_ready(wanted, installation, supervisor, link)
    say(f"That took {time.monotonic() - began:.1f} s. Stop with Ctrl-C.")


# Which installation


@contextmanager
def held(ours: Places) -> Iterator[bool]:
    """Whether we are the only `up` of this data folder; while the `with` lasts, we stay it."""
    with ours.lock.open("a") as file:
        # A command that looks whether someone is up holds the lock for a moment.
        yield any(_flock(file) for _ in range(3))


def _flock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(0.1)
        return False
    return True


def state(ours: Places) -> dict[str, str]:
    """What the last `up` wrote about itself."""
    with suppress(OSError, ValueError):
        found: dict[str, str] = json.loads(ours.state.read_text())
        return found
    return {}


def _say_running(ours: Places) -> int:
    found = state(ours)
    say(
        f"Muster is already running at {found.get('base_url', 'an unknown address')}"
        f" (process {found.get('pid', '?')}, data folder {ours.data})."
    )
    return 0


def check_port(wanted: Wanted) -> None:
    family = socket.AF_INET6 if ":" in wanted.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((wanted.host, wanted.port))
        except OSError as error:
            raise CannotStart(
                f"{wanted.host} port {wanted.port} cannot be used: {error.strerror}."
                " Choose another with --port."
            ) from error


def _refuse_public_demo(wanted: Wanted, *, demo: bool) -> None:
    if demo and not wanted.loopback:
        raise CannotStart(
            f"A demo has published passwords, so it answers on this machine only, not on"
            f" {wanted.host}. Leave --host out."
        )


# The database


def _database(ours: Places) -> database.Database:
    asked = database.asked()
    if asked:
        return asked
    postgres.make_superuser_password(ours)
    return database.embedded(postgres.Cluster(ours))


def _start_database(installation: Installation, supervisor: Supervisor) -> None:
    """Start the embedded server under the supervisor, unless DATABASE_URL names another."""
    if database.asked():
        return
    cluster = postgres.Cluster(installation.places)
    # Held by this process to its end; a command that runs right now may finish first.
    supervisor.hold(postgres.lock(installation.places, wait=postgres.START_SECONDS))
    cluster.make()
    server = supervisor.add(Process(DATABASE, cluster.spawn))
    postgres.await_ready(cluster, server)


def migrate(installation: Installation) -> None:
    """Apply migrations where code or database are not those that were migrated last."""
    stamp = installation.places.stamps / "migrated"
    code = fingerprint(
        path
        for app in APPS
        for path in (PROJECT / app).rglob("*")
        if path.suffix in {".py", ".sql"}
    )
    if stamp.exists() and stamp.read_text() == f"{code} {_applied(installation)}":
        return
    say("Migrating the database …")
    environment = installation.environment("migrate")
    code_of_exit, printed = children.run(
        manage("migrate", "--noinput", "-v0"), env=environment, cwd=PROJECT
    )
    if code_of_exit:
        raise CannotStart(f"The migrations failed:\n{printed}")
    stamp.write_text(f"{code} {_applied(installation)}")


def _applied(installation: Installation) -> str:
    """A digest of what the database says was applied to it."""
    with database.as_migrator(installation.database, installation.logins) as migrator:
        found = migrator.execute("SELECT to_regclass('django_migrations')").fetchone()
        if not found or found[0] is None:
            return "nothing"
        rows = migrator.execute("SELECT app, name FROM django_migrations ORDER BY 1, 2").fetchall()
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def fingerprint(paths: Iterable[Path]) -> str:
    """A digest that changes with any of the files and with the installed packages."""
    digest = hashlib.sha256((PROJECT / "requirements.txt").read_bytes())
    for path in sorted(paths):
        found = path.stat()
        digest.update(f"{path} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()


# The demo


def _make_demo(wanted: Wanted, installation: Installation) -> None:
    with database.as_migrator(installation.database, installation.logins) as migrator:
        demo = database.is_demo(migrator)
        if wanted.demo and not demo:
            database.mark_demo(migrator)
    _refuse_public_demo(wanted, demo=demo)


def _load_demo(installation: Installation) -> None:
    """Load the made-up company once: `demo.json` is the last thing that loading writes."""
    with database.as_migrator(installation.database, installation.logins) as migrator:
        demo = database.is_demo(migrator)
    if not demo or installation.places.demo_people.exists():
        return
    say("Loading the made-up company and its month of traffic …")
    urls = {
        name: installation.database.url(login, installation.logins[login])
        for name, login in LOADING_LOGINS.items()
    }
    environment = {**installation.environment("command"), **urls}
    code, printed = children.run(manage("load_demo"), env=environment, cwd=PROJECT)
    if code:
        raise CannotStart(f"The demo could not be loaded:\n{printed}")
    say(printed)


# Static files


@contextmanager
def collecting_static(installation: Installation) -> Iterator[None]:
    """Collect static files beside the `with`; it ends when they are there."""
    stamp = installation.places.stamps / "collected"
    found = fingerprint(path for path in (PROJECT / "static").rglob("*") if path.is_file())
    if stamp.exists() and stamp.read_text() == found and installation.places.static.exists():
        yield
        return
    with _log(installation.places, "collectstatic") as log:
        child = children.spawn(
            manage(*COLLECT_STATIC),
            env=installation.environment("migrate"),
            output=log,
            cwd=PROJECT,
        )
    try:
        yield
        code = child.wait()
    finally:
        children.end_group(child)
        child.wait()
    if code:
        log_path = installation.places.logs / "collectstatic.log"
        raise CannotStart(f"Static files could not be collected:\n{postgres.tail(log_path)}")
    stamp.write_text(found)


def _log(ours: Places, name: str) -> IO[bytes]:
    return postgres.open_log(ours, name)


# Web, worker, beat, sealer


def web_workers() -> int:
    """One web process for each processor, four at the most: a Python process judges on one."""
    return min(len(os.sched_getaffinity(0)), MOST_WEB_WORKERS)


def argv(name: str, *, host: str, port: int, data: Path) -> list[str]:
    """The command line of a run-time process."""
    celery = python("-m", "celery", "-A", "governance.celery:app")
    commands = {
        "web": python(
            *("-m", "uvicorn", "--loop", "uvloop", "--http", "httptools", "--ws", "none"),
            *("--no-access-log", "--no-server-header", "--no-proxy-headers"),
            *("--log-level", "warning", "--timeout-keep-alive", "75"),
            # A machine that stands still for some seconds is no reason to kill who decides.
            *("--timeout-worker-healthcheck", "30"),
            *("--host", host, "--port", str(port)),
            *("--workers", os.environ.get("MUSTER_WEB_WORKERS") or str(web_workers())),
            *("--timeout-graceful-shutdown", "10", "governance.asgi:application"),
        ),
        "worker": [
            *celery,
            *("worker", "--pool", "threads", "--concurrency", "4", "--loglevel", "INFO"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ],
        "beat": [
            *celery,
            *("beat", "--loglevel", "INFO", "--pidfile", ""),
            *("--schedule", str(data / "beat" / "schedule")),
        ],
    }
    return commands[name]


def process(name: str, wanted: Wanted, installation: Installation) -> Process:
    data = installation.places.data
    command = argv(name, host=wanted.host, port=wanted.port, data=data)
    environment = installation.environment(name)
    account = accounts.for_run_time(data)

    def start(log: IO[bytes]) -> subprocess.Popen[bytes]:
        if name == "web":
            meters.clear(installation.places.metrics)
        return children.spawn(command, env=environment, account=account, output=log, cwd=PROJECT)

    return Process(name, start)


def sealing(installation: Installation) -> Process:
    command, environment = python("-m", "audit.sealing"), installation.sealer()
    account = accounts.for_sealer(installation.places.data)

    def start(log: IO[bytes]) -> subprocess.Popen[bytes]:
        return children.spawn(command, env=environment, account=account, output=log, cwd=PROJECT)

    return Process("sealer", start)


def give_to_run_time(ours: Places) -> None:
    """Let the run-time account write its folders, and offer the people of the demo."""
    account = accounts.for_run_time(ours.data)
    for path in (*ours.written, ours.demo_people):
        if path.exists():
            accounts.give(path, account)
    accounts.give(ours.sealer, accounts.for_sealer(ours.data))
    if os.geteuid() == 0 and account is None:
        closed = accounts.out_of_reach(ours.data, accounts.first_for_run_time())
        say(
            "Web, worker, beat and sealer run as root, since no other account can reach"
            f" {', '.join(map(str, closed))}. Put Muster where all may read it, such as /opt."
        )


# Done


def _first_signin_link(installation: Installation) -> str:
    """A link for the first administrator; empty once one has signed in."""
    code, printed = children.run(
        manage("first_signin_link"), env=installation.environment("command"), cwd=PROJECT
    )
    if code:
        raise CannotStart(f"No sign-in link could be made:\n{printed}")
    return printed.splitlines()[-1] if printed else ""


def _say_ready(
    wanted: Wanted, installation: Installation, supervisor: Supervisor, link: str
) -> None:
    answer = ""

    def ready() -> bool:
        nonlocal answer
        answer = not_ready(wanted, installation.base_url)
        return not answer

    if supervisor.wait_until(ready, READY_SECONDS):
        say(f"Muster is ready at {installation.base_url}")
    else:
        say(f"Muster is up at {installation.base_url}, but /readyz says: {answer}")
    if link:
        say(f"First administrator, sign in here once, within 15 minutes:\n  {link}")
    if installation.places.demo_people.exists():
        say(f"This is a demo. Its people and agents: {installation.places.demo_people}")


def not_ready(wanted: Wanted, base_url: str) -> str:
    """What /readyz finds wrong; asked on this machine, under the name that the outside uses."""
    address = urlsplit(wanted.local_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=5)
    try:
        connection.request("GET", "/readyz", headers={"Host": urlsplit(base_url).netloc})
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
    except OSError as error:
        return str(error)
    finally:
        connection.close()
    return "" if answer.status == http.HTTPStatus.OK else body
