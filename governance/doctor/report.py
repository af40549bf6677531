"""Every check in its order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection

from governance import health
from governance.doctor import configured, database, machine, work
from governance.doctor.verdict import Finding, Here, State, Verdict, fail, ok, warn
from governance.kernel.errors import GovernanceError
from registry import selectors

Look = Callable[[Here], Verdict]

WITHOUT_DATABASE: Mapping[str, Look] = {
    "python": machine.python,
    "disk": machine.disk,
    "key files": machine.key_files,
    "self-checks": configured.self_checks,
    "base URL": configured.base_url,
    "second factor": configured.second_factor,
    "mail": configured.mail,
    "broker": configured.broker,
}
IN_DATABASE: Mapping[str, Look] = {
    "PostgreSQL": database.server,
    "clock": database.clock,
    "migrations": database.migrations,
    "roles": database.logins,
    "record": database.record,
    "beat and worker": work.beat,
    "sweeps": work.sweeps,
    "sealer": work.sealer,
    "anchors": work.anchors,
    "streams": work.streams,
    "decision points": work.decision_points,
    "notices": work.notices,
    "vaults": work.vaults,
    "age of keys": work.key_ages,
    "people in security": work.security,
}
START = "Start it: ./muster up brings up the embedded one; else see DATABASE_URL."


def findings() -> list[Finding]:
    """Every finding; where the database is away, of what can be looked at without it."""
    # Nobody waits for a machine that does not answer.
    options = connection.settings_dict.setdefault("OPTIONS", {})
    options.setdefault("connect_timeout", configured.CONNECT_SECONDS)
    reached = _database()
    here = Here(
        Path(settings.MUSTER_DATA),
        Path(settings.MUSTER_KEYS),
        demo=reached.state == State.OK and _is_demo(),
    )
    first = [Finding(name, asked(look, here)) for name, look in WITHOUT_DATABASE.items()]
    there = reached.state == State.OK
    rest = [
        Finding(name, asked(look, here) if there else _not_looked_at())
        for name, look in IN_DATABASE.items()
    ]
    return [*first, Finding("database", reached), *rest]


def _database() -> Verdict:
    """Whether the database answers; where not, why, as its driver says."""
    name, host = connection.settings_dict["NAME"], connection.settings_dict["HOST"]
    try:
        health.check_database()
    except DatabaseError as error:
        return fail(f"The database {name} does not answer: {' '.join(str(error).split())}", START)
    return ok(f"The database {name} answers{f' at {host}' if host else ''}.")


def _is_demo() -> bool:
    try:
        return selectors.is_demo()
    except DatabaseError:
        return False


def asked(look: Look, here: Here) -> Verdict:
    """The verdict of a check. One that breaks is a failure, and keeps no other from being made."""
    try:
        return look(here)
    except DatabaseError as error:
        said = f"The database refused to say ({type(error).__name__})."
        return fail(said, "See whether every migration is applied, and whether it still runs.")
    except GovernanceError as error:
        return fail(error.message, "Put that right, and run ./muster doctor again.")
    except Exception as error:
        # What it says may repeat a secret.
        said = f"It could not be looked at ({type(error).__name__})."
        return fail(said, "Run ./muster doctor as the account that runs ./muster up.")


def _not_looked_at() -> Verdict:
    return warn("Not looked at, since the database does not answer.", "Run ./muster doctor again.")
