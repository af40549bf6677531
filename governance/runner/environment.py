"""What each process finds in its environment: its own login and nobody else's."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from governance.runner import keyfiles, roles
from governance.runner.database import Database
from governance.runner.places import PROJECT, Places

# Ways into the database that were meant for the start script alone.
WITHHELD = (
    "DATABASE_URL",
    "MUSTER_LOADER_URL",
    "MUSTER_LOGINS",
    "MUSTER_MIGRATOR_URL",
    "MUSTER_QUEUE_DSN",
)
LOGIN_OF = {
    "worker": "muster_worker",
    # What speaks to anchors and streams by hand, as the worker does.
    "anchors": "muster_worker",
    "streams": "muster_worker",
    "beat": "muster_beat",
    "migrate": roles.MIGRATOR,
    "test": roles.MIGRATOR,
}
RUN_TIME = ("web", "worker", "beat")
# Of our own environment, what the sealer needs to run Python, and how often it seals.
SEALER_INHERITS = ("PATH", "LANG", "LC_ALL", "TZ", "MUSTER_SEAL_SECONDS")
# Where the secrets of anchors and of streams lie is for who speaks to them; the web process never
# knows.
ANCHOR_SECRETS = "MUSTER_ANCHOR_SECRETS"
STREAM_SECRETS = "MUSTER_STREAM_SECRETS"
PDP_SECRETS = "MUSTER_PDP_SECRETS"
TOLD_OF = {
    ANCHOR_SECRETS: ("worker", "anchors"),
    STREAM_SECRETS: ("worker", "streams"),
    PDP_SECRETS: ("web",),
}
EMBEDDED_BROKER = "pgmq://"


def uses_embedded_queue() -> bool:
    return os.environ.get("CELERY_BROKER_URL", EMBEDDED_BROKER).startswith("pgmq")


@dataclass(frozen=True)
class Installation:
    """Everything that decides what a process of this installation is told."""

    places: Places
    database: Database
    logins: Mapping[str, str]
    base_url: str

    def environment(self, process: str) -> dict[str, str]:
        """The environment of a `process`: web, worker, beat, command, migrate or test."""
        return {**inherited(process), **self.own(process)}

    def sealer(self) -> dict[str, str]:
        """The environment of the sealer, which is told of no other key and no other login."""
        kept = {name: os.environ[name] for name in SEALER_INHERITS if name in os.environ}
        return {**kept, **self.own_of_sealer()}

    def own_of_sealer(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self.database.url(roles.SEALER, self.logins[roles.SEALER]),
            "HOME": str(self.places.sealer),
            "MUSTER_ANCHORED": str(self.places.anchored),
            "MUSTER_ORIGIN": keyfiles.origin(self.places),
            "MUSTER_RECEIPT_KEYS": keyfiles.receipt_key(self.places),
            "MUSTER_SEALER": str(self.places.sealer),
            "PYTHONPATH": str(PROJECT),
            "PYTHONUNBUFFERED": "1",
        }

    def own(self, process: str) -> dict[str, str]:
        """What this installation itself tells `process`."""
        login = LOGIN_OF.get(process, "muster_web")
        home = {"HOME": str(self.places.data / "home")} if process in RUN_TIME else {}
        return {
            "DATABASE_URL": self.database.url(login, self.logins[login]),
            "DJANGO_SETTINGS_MODULE": "governance.settings",
            "MUSTER_BASE_URL": self.base_url,
            "MUSTER_DATA": str(self.places.data),
            "MUSTER_KEYS": str(self.places.keys),
            "MUSTER_PROCESS": process,
            "PYTHONPATH": str(PROJECT),
            "PYTHONUNBUFFERED": "1",
            **home,
            **self._queue(),
        }

    def _queue(self) -> dict[str, str]:
        if not uses_embedded_queue():
            return {}
        return {"MUSTER_QUEUE_DSN": self.database.dsn(roles.QUEUE, self.logins[roles.QUEUE])}


def inherited(process: str) -> dict[str, str]:
    """Our own environment, without any way into a database and without others' secrets."""
    secrets = (name for name, told in TOLD_OF.items() if process not in told)
    withheld = (*WITHHELD, *secrets)
    return {
        name: value
        for name, value in os.environ.items()
        if name not in withheld and not name.startswith("PG")
    }


def python(*arguments: str) -> list[str]:
    """The command line of this Python; `-P` keeps the working directory out of its path."""
    return [sys.executable, "-P", *arguments]


def manage(*arguments: str) -> list[str]:
    return python(str(PROJECT / "manage.py"), *arguments)
