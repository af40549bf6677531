"""The same installation in containers: one container makes it ready, the others run in it.

The first is the only one that knows the administrator's URL. It leaves each of the others a file
with that process's environment in a volume that no other container mounts.

What people set up lies in two folders of the host: lists without secrets in one that every process
reads, what anchors and streams sign in with in one that the worker's container alone mounts.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import urlsplit

from governance import configuration
from governance.kernel import meters, private_file
from governance.runner import children, database, keyfiles, places, roles, up
from governance.runner.environment import (
    ANCHOR_SECRETS,
    RUN_TIME,
    STREAM_SECRETS,
    TOLD_OF,
    Installation,
    inherited,
    manage,
    python,
    uses_embedded_queue,
)
from governance.runner.places import PROJECT, CannotStart, Places

ENVIRONMENTS = Path("/environments")
FILE = "environment.json"
RUN_TIME_DATA = "/data"
SETTINGS, SECRETS = Path("/settings"), Path("/secrets")
SEALER = "sealer"
SEALER_FOLDER = "/sealer"


def prepare(_: list[str]) -> int:
    """Roles, migrations, static files, keys; then the environment of each process."""
    if wrong := configuration.faults(os.environ):
        raise CannotStart(" ".join(wrong))
    ours = places.choose(None)
    places.prepare(ours)
    keyfiles.make(ours, urlsplit(_base_url()).hostname or "localhost")
    asked = database.asked()
    if asked is None:
        raise CannotStart("DATABASE_URL must name an administrator of the server.")
    installation = _installation(ours, asked)
    database.make_ready(asked, installation.logins, queue=uses_embedded_queue())
    up.migrate(installation)
    code, printed = children.run(
        manage(*up.COLLECT_STATIC),
        env=installation.environment("migrate"),
        cwd=PROJECT,
    )
    if code:
        raise CannotStart(f"Static files could not be collected:\n{printed}")
    for process in RUN_TIME:
        _leave(installation, process)
    _leave_to_sealer(installation)
    return 0


def _installation(ours: Places, asked: database.Database) -> Installation:
    return Installation(ours, asked, roles.load_logins(ours.logins), _base_url())


def _base_url() -> str:
    return os.environ.get("MUSTER_BASE_URL", "http://localhost:8000").rstrip("/")


def _leave(installation: Installation, process: str) -> None:
    there = {
        "HOME": RUN_TIME_DATA,
        "MUSTER_DATA": RUN_TIME_DATA,
        "MUSTER_KEYS": f"{RUN_TIME_DATA}/keys",
    }
    told = json.dumps({**installation.own(process), **there})
    private_file.write(ENVIRONMENTS / process / FILE, told)


def _leave_to_sealer(installation: Installation) -> None:
    """Its account is another one: it reads the file as the group that its folder gives it."""
    there = {
        "HOME": SEALER_FOLDER,
        "MUSTER_SEALER": SEALER_FOLDER,
        "MUSTER_ANCHORED": "/anchored",
    }
    told = json.dumps({**installation.own_of_sealer(), **there})
    left = ENVIRONMENTS / SEALER / FILE
    private_file.write(left, told)
    left.chmod(0o640)


def become_sealer(arguments: list[str]) -> int:
    """Run the sealer in our place, or say a word to the one that runs."""
    given: dict[str, str] = json.loads((ENVIRONMENTS / SEALER / FILE).read_text())
    command = python("-m", "audit.sealing", *arguments)
    os.chdir(PROJECT)
    os.execve(command[0], command, {**os.environ, **given})  # noqa: S606


def become(arguments: list[str]) -> int:
    """Take on the environment left for the process that is named, and run it in our place."""
    process = arguments[0]
    told = environment_of(process)
    data = Path(RUN_TIME_DATA)
    (data / "beat").mkdir(exist_ok=True)
    if process == "web":
        meters.clear(data / "metrics")
    command = up.argv(process, host="0.0.0.0", port=8000, data=data)  # noqa: S104 - a container
    os.chdir(PROJECT)
    os.execve(command[0], command, told)  # noqa: S606


def environment_of(process: str) -> dict[str, str]:
    """The container's own environment without others' secrets, the files that lie mounted in it,
    and what was left for the process."""
    given: dict[str, str] = json.loads((ENVIRONMENTS / process / FILE).read_text())
    ours = inherited(process)
    lying = {name: str(path) for name, path in _mounted(process) if not ours.get(name)}
    return {**ours, **lying, **given}


def _mounted(process: str) -> list[tuple[str, Path]]:
    """Each setting that names a file, and the file, where this process may know it and it lies
    there."""
    files = {
        "MUSTER_ANCHORS_FILE": SETTINGS / "anchors.json",
        "MUSTER_STREAMS_FILE": SETTINGS / "streams.json",
        ANCHOR_SECRETS: SECRETS / "anchors.json",
        STREAM_SECRETS: SECRETS / "streams.json",
    }
    return [
        (name, path)
        for name, path in files.items()
        if process in TOLD_OF.get(name, RUN_TIME) and path.is_file()
    ]


def do(arguments: list[str]) -> int:
    """Run a command in our place as the process that is named: `worker streams list`."""
    process, *words = arguments
    told = environment_of(process)
    command = manage(*words)
    os.chdir(PROJECT)
    os.execve(command[0], command, told)  # noqa: S606


def print_link(_: list[str]) -> int:
    """The first administrator's sign-in link, from a container of the web process."""
    return do(["web", "first_signin_link"])
