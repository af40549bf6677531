"""The same installation in containers: one container makes it ready, the others run in it.

The first is the only one that knows the administrator's URL. It leaves each of the others a file
with that process's environment in a volume that no other container mounts.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from governance.runner import children, database, keyfiles, places, roles, up
from governance.runner.environment import RUN_TIME, Installation, manage, uses_embedded_queue
from governance.runner.places import PROJECT, CannotStart, Places

ENVIRONMENTS = Path("/environments")
FILE = "environment.json"
RUN_TIME_DATA = "/data"


def prepare(_: list[str]) -> int:
    """Roles, migrations, static files, keys; then the environment of each process."""
    ours = places.choose(None)
    places.prepare(ours)
    keyfiles.make(ours)
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
    return 0


def _installation(ours: Places, asked: database.Database) -> Installation:
    base_url = os.environ.get("MUSTER_BASE_URL", "http://localhost:8000").rstrip("/")
    return Installation(ours, asked, roles.load_logins(ours.logins), base_url)


def _leave(installation: Installation, process: str) -> None:
    there = {
        "HOME": RUN_TIME_DATA,
        "MUSTER_DATA": RUN_TIME_DATA,
        "MUSTER_KEYS": f"{RUN_TIME_DATA}/keys",
    }
    told = json.dumps({**installation.own(process), **there})
    roles.write_private(ENVIRONMENTS / process / FILE, told)


def become(arguments: list[str]) -> int:
    """Take on the environment left for the process that is named, and run it in our place."""
    process = arguments[0]
    given: dict[str, str] = json.loads((ENVIRONMENTS / process / FILE).read_text())
    data = Path(RUN_TIME_DATA)
    (data / "beat").mkdir(exist_ok=True)
    command = up.argv(process, host="0.0.0.0", port=8000, data=data)  # noqa: S104 - a container
    os.chdir(PROJECT)
    os.execve(command[0], command, {**os.environ, **given})  # noqa: S606


def print_link(_: list[str]) -> int:
    """The first administrator's sign-in link, from a container of the web process."""
    given: dict[str, str] = json.loads((ENVIRONMENTS / "web" / FILE).read_text())
    command = manage("first_signin_link")
    os.chdir(PROJECT)
    os.execve(command[0], command, {**os.environ, **given})  # noqa: S606
