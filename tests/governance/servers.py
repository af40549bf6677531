"""Throw-away servers and data folders for tests of the runner."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from governance.runner import database, places, postgres, roles
from governance.runner.database import Database
from governance.runner.places import Places


@contextmanager
def data_folder() -> Iterator[Places]:
    """A short path that PostgreSQL's account may walk to, which pytest's own folders are not."""
    with tempfile.TemporaryDirectory(prefix="muster-") as folder:
        ours = Places(Path(folder))
        places.prepare(ours)
        yield ours


@contextmanager
def server() -> Iterator[Database]:
    """A fresh server, as initdb left it."""
    with data_folder() as ours:
        cluster = postgres.Cluster(ours, throw_away=True)
        with postgres.running(cluster):
            yield database.embedded(cluster)


def logins() -> dict[str, str]:
    return {login: f"password of {login}" for login in roles.LOGINS}
