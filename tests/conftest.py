"""The test database, and the ways into it.

Tests run the way the web process does: the migrator makes the database, and afterwards every
Django connection is `SET ROLE muster_web`. That role can be shed again with `SET ROLE NONE`,
so a test of what a login may *not* do takes a real login from the fixture `login`.
"""

import json
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models.signals import pre_migrate
from django.test import TransactionTestCase
from hypothesis import settings as generated
from psycopg.rows import dict_row
from pytest_socket import socket_allow_hosts

from governance.runner.roles import open_database

# A busy machine is no fault of what is tested.
generated.register_profile("muster", deadline=None, derandomize="CI" in os.environ)
generated.load_profile("muster")

LOOPBACK = ["127.0.0.1", "::1", "localhost"]

Record = dict[str, Any]
Login = Callable[[str], psycopg.Connection[Any]]
LoginOnLoop = Callable[[str], Awaitable[psycopg.AsyncConnection[Any]]]


def pytest_configure() -> None:
    # WhiteNoise warns where no files were collected, and a warning is an error here.
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)


def pytest_runtest_setup() -> None:
    socket_allow_hosts(LOOPBACK, allow_unix_socket=True)


@pytest.fixture(scope="session")
def django_db_modify_db_settings_xdist_suffix(request: pytest.FixtureRequest) -> None:
    """Name the test database: MUSTER_TEST_DB, with a suffix for each xdist worker."""
    worker = getattr(request.config, "workerinput", {}).get("workerid", "")
    name = os.environ.get("MUSTER_TEST_DB", "test_muster")
    connection.settings_dict["TEST"]["NAME"] = "_".join(filter(None, (name, worker)))


def _open(**_: Any) -> None:
    with connection.cursor() as cursor:
        open_database(cursor)


def _as_web(connection: BaseDatabaseWrapper, **_: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE muster_web")


def _flush_as_migrator(flush: Callable[..., None]) -> Callable[..., None]:
    """The flush truncates, which the web role may not."""

    def teardown(case: TransactionTestCase) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET ROLE NONE")
        try:
            flush(case)
        finally:
            _as_web(connection)

    return teardown


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> None:
    """Have the default privileges in place before the first table is made."""
    pre_migrate.connect(_open, dispatch_uid="open the test database")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    pre_migrate.disconnect(dispatch_uid="open the test database")
    original = TransactionTestCase._fixture_teardown
    with django_db_blocker.unblock():
        connection.close()
    connection_created.connect(_as_web, dispatch_uid="run tests as web")
    TransactionTestCase._fixture_teardown = _flush_as_migrator(original)
    yield
    TransactionTestCase._fixture_teardown = original
    connection_created.disconnect(dispatch_uid="run tests as web")
    with django_db_blocker.unblock():
        connection.close()
        _end_other_sessions()


def _end_other_sessions() -> None:
    """A browser that keeps its connection alive leaves a thread of the live server behind."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND usename = current_user"
        )
    connection.close()


@pytest.fixture
def login(django_db_setup: None) -> Iterator[Login]:
    """`login("muster_worker")` opens the test database as that real login, in autocommit."""
    passwords: dict[str, str] = json.loads(Path(os.environ["MUSTER_LOGINS"]).read_text())
    opened: list[psycopg.Connection[Any]] = []

    def connect(role: str) -> psycopg.Connection[Any]:
        ours = connection.get_connection_params()
        place = {key: ours[key] for key in ("host", "port", "dbname") if key in ours}
        opened.append(
            psycopg.connect(**place, user=role, password=passwords[role], autocommit=True)
        )
        return opened[-1]

    yield connect
    for each in opened:
        each.close()


@pytest.fixture
def login_on_loop(django_db_setup: None) -> LoginOnLoop:
    """`await login_on_loop("muster_web")` does the same for an event loop; whoever asks closes."""
    passwords: dict[str, str] = json.loads(Path(os.environ["MUSTER_LOGINS"]).read_text())

    async def connect(role: str) -> psycopg.AsyncConnection[Any]:
        ours = connection.get_connection_params()
        place = {key: ours[key] for key in ("host", "port", "dbname") if key in ours}
        return await psycopg.AsyncConnection.connect(
            **place, user=role, password=passwords[role], autocommit=True
        )

    return connect


@pytest.fixture(autouse=True)
def _forget_what_was_rolled_back() -> Iterator[None]:
    """Processes keep slices, the database's time and keys; a test's database goes back."""
    yield
    from audit.services import forget_holder_keys
    from authz import snapshot, timekeeper

    snapshot.forget()
    timekeeper.forget()
    forget_holder_keys()


def _records() -> list[Record]:
    connection.ensure_connection()
    with connection.connection.cursor(row_factory=dict_row) as rows:
        return rows.execute("SELECT * FROM audit.record ORDER BY at, id").fetchall()


@pytest.fixture
def mark() -> Callable[[], frozenset[Any]]:
    """`mark()` remembers what the audit log holds now: no test may empty it."""
    return lambda: frozenset(record["id"] for record in _records())


@pytest.fixture
def records_after() -> Callable[..., list[Record]]:
    """`records_after(marked, kind="registry")`: what was appended since, oldest first."""

    def read(marked: frozenset[Any], **wanted: Any) -> list[Record]:
        fresh = [record for record in _records() if record["id"] not in marked]
        return [r for r in fresh if all(r[column] == value for column, value in wanted.items())]

    return read
