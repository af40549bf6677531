"""`./muster WORD`: a management command inside the environment of an installation."""

from __future__ import annotations

import subprocess

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
    ours = places.choose(None)
    if not ours.logins.exists():
        raise CannotStart(
            f"There is no installation in {ours.data} yet. Start one with ./muster up,"
            " or name its folder in MUSTER_DATA."
        )
    with up.held(ours) as alone:
        running = not alone
    if running or database.asked():
        return _run(ours, arguments)
    children.stop_on_signals()
    with postgres.running(postgres.Cluster(ours)):
        return _run(ours, arguments)


def installation(ours: Places) -> Installation:
    """An installation as the last `up` left it."""
    reached = database.asked() or database.embedded(postgres.Cluster(ours))
    base_url = up.state(ours).get("base_url", DEFAULT_BASE_URL)
    return Installation(ours, reached, roles.load_logins(ours.logins), base_url)


def _process(word: str) -> str:
    if word in AS_MIGRATOR:
        return "migrate"
    return word if word in WITH_SECRETS else "command"


def _run(ours: Places, arguments: list[str]) -> int:
    """In the foreground, with our terminal: a command may ask and may be interrupted."""
    process = _process(arguments[0])
    child = subprocess.Popen(manage(*arguments), env=installation(ours).environment(process))
    try:
        return child.wait()
    except (children.Stopped, KeyboardInterrupt):
        child.terminate()
        return child.wait() or 1
