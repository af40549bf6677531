"""`./muster WORD`: a management command inside the environment of an installation."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from governance.runner import children, database, places, postgres, roles, up
from governance.runner.environment import Installation, manage
from governance.runner.places import CannotStart, Places

# The commands that deal with tables; everything else works as the web process does.
AS_MIGRATOR = ("migrate", "sqlmigrate", "showmigrations", "makemigrations", "record")
# The commands that are told of secrets that the web process never holds.
WITH_SECRETS = ("anchors", "streams")
DEFAULT_BASE_URL = "http://127.0.0.1:8000"


def run(arguments: list[str]) -> int:
    """Run manage.py with `arguments`; the embedded database is started for it if it is not up."""
    ours = chosen()
    with with_database(ours):
        return run_as(_process(arguments[0]), manage(*arguments), ours)


def chosen() -> Places:
    """The installation that is meant. Raises `CannotStart` where there is none yet."""
    ours = places.choose(None)
    if not ours.logins.exists():
        raise CannotStart(
            f"There is no installation in {ours.data} yet. Start one with ./muster up,"
            " or name its folder in MUSTER_DATA."
        )
    return ours


@contextmanager
def with_database(ours: Places) -> Iterator[None]:
    """Start the embedded database for as long as the `with` lasts, if nobody else keeps it up."""
    with up.held(ours) as alone:
        running = not alone
    if running or database.asked():
        yield
        return
    children.stop_on_signals()
    with postgres.running(postgres.Cluster(ours)):
        yield


def installation(ours: Places) -> Installation:
    """An installation as the last `up` left it."""
    reached = database.asked() or database.embedded(postgres.Cluster(ours))
    base_url = up.state(ours).get("base_url", DEFAULT_BASE_URL)
    return Installation(ours, reached, roles.load_logins(ours.logins), base_url)


def _process(word: str) -> str:
    if word in AS_MIGRATOR:
        return "migrate"
    return word if word in WITH_SECRETS else "command"


def run_as(process: str, argv: list[str], ours: Places) -> int:
    """In the foreground, with our terminal: a command may ask and may be interrupted."""
    child = subprocess.Popen(argv, env=installation(ours).environment(process))
    try:
        return child.wait()
    except (children.Stopped, KeyboardInterrupt):
        child.terminate()
        return child.wait() or 1
