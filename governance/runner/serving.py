"""`./muster serve web worker`: more processes of an installation that is set up already.

On another machine for a second host, or beside the ones that run for an upgrade. Nothing is made
or migrated here: the keys and the logins come from the first host, and the roles, the tables and
the queue are in the database.
"""

from __future__ import annotations

import argparse
import os
from urllib.parse import urlsplit

from governance.runner import accounts, children, command, database, places, up
from governance.runner.environment import Installation
from governance.runner.places import CannotStart, Places
from governance.runner.supervisor import Process, Supervisor

ANYWHERE = ("web", "worker")
# Of these one data folder runs one: beat keeps its schedule there, the sealer its key.
ONCE = ("beat", "sealer")
BROUGHT = ("logins.json", "keys/secret_key", "keys/vault_kek", "keys/receipt_key", "keys/origin")


def run(arguments: list[str]) -> int:
    """Run the named processes until told to stop. Raises `CannotStart` where they cannot run."""
    names, wanted = _wanted(arguments)
    ours = places.choose(wanted.data)
    _refuse_incomplete(ours)
    installation = _installation(wanted, ours)
    children.stop_on_signals()
    os.umask(0o022)
    places.prepare(ours)
    if "web" in names:
        up.check_port(wanted)
    _refuse_unmigrated(installation)
    if not any(name in ONCE for name in names):
        return _serve(names, wanted, installation)
    with up.held(ours) as alone:
        if not alone:
            raise CannotStart(
                f"./muster up runs on {ours.data} and keeps {' and '.join(ONCE)} up itself."
                " Name web and worker alone."
            )
        return _serve(names, wanted, installation)


def _wanted(arguments: list[str]) -> tuple[list[str], up.Wanted]:
    parser = argparse.ArgumentParser(prog="./muster serve")
    parser.add_argument("names", nargs="+", choices=(*ANYWHERE, *ONCE), help="what to run")
    parser.add_argument("--host", default="127.0.0.1", help="the address that web listens on")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--data", help="the data folder; MUSTER_DATA, else .muster/ here")
    found = parser.parse_args(arguments)
    names = list(dict.fromkeys(found.names))
    return names, up.Wanted(found.host, found.port, found.data, demo=False)


def _refuse_incomplete(ours: Places) -> None:
    """Keys made here would open nothing that was sealed elsewhere."""
    missing = [name for name in BROUGHT if not (ours.data / name).exists()]
    if missing:
        raise CannotStart(
            f"{ours.data} has no {', '.join(missing)}. Bring the folder keys/ and logins.json from"
            " the first host; a new installation is started with ./muster up."
        )


def _installation(wanted: up.Wanted, ours: Places) -> Installation:
    """As it was set up: every host gives the same address to people and in tokens."""
    if not database.asked() and not ours.superuser.exists():
        raise CannotStart("Name the database of the first host in DATABASE_URL.")
    left = command.installation(ours)
    base_url = os.environ.get("MUSTER_BASE_URL", "").rstrip("/") or up.state(ours).get("base_url")
    return Installation(ours, left.database, left.logins, base_url or wanted.local_url)


def _refuse_unmigrated(installation: Installation) -> None:
    with database.as_migrator(installation.database, installation.logins) as migrator:
        found = migrator.execute("SELECT to_regclass('django_migrations')").fetchone()
    if not found or found[0] is None:
        raise CannotStart(
            f"The database {installation.database.name} is not set up. ./muster up does that."
        )


def _serve(names: list[str], wanted: up.Wanted, installation: Installation) -> int:
    supervisor = Supervisor(installation.places, up.say)
    try:
        with up.collecting_static(installation):
            pass
        up.give_to_run_time(installation.places)
        # Whoever brought the keys here was another account.
        account = accounts.for_run_time(installation.places.data)
        accounts.give(installation.places.keys, account)
        for name in names:
            supervisor.add(_process(name, wanted, installation))
        _say_serving(names, wanted, installation, supervisor)
        supervisor.run()
    except children.Stopped as signal:
        up.say(f"Stopping ({signal}) …")
    finally:
        supervisor.stop()
    up.say("Stopped.")
    return 0


def _process(name: str, wanted: up.Wanted, installation: Installation) -> Process:
    """Named by its port as well: its log lies beside those of `up`."""
    made = up.sealing(installation) if name == "sealer" else up.process(name, wanted, installation)
    return Process(f"{name}-{wanted.port}", made.start)


def _say_serving(
    names: list[str], wanted: up.Wanted, installation: Installation, supervisor: Supervisor
) -> None:
    where = f" on {wanted.local_url}" if "web" in names else ""
    fault = ""

    def ready() -> bool:
        nonlocal fault
        fault = up.not_ready(wanted, installation.base_url)
        return not fault

    if "web" in names and not supervisor.wait_until(ready, up.READY_SECONDS):
        up.say(f"Serving {', '.join(names)}{where}, but /readyz says: {fault}")
    else:
        up.say(f"Serving {', '.join(names)}{where} as {urlsplit(installation.base_url).netloc}")
    up.say("Stop with Ctrl-C.")
