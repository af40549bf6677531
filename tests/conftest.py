"""The test database, and the ways into it.

Tests run the way the web process does: the migrator makes the database, and afterwards every
Django connection is `SET ROLE muster_web`. That role can be shed again with `SET ROLE NONE`,
so a test of what a login may *not* do takes a real login from the fixture `login`.
"""

import gc
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models.signals import pre_migrate
from django.test import TransactionTestCase
from hypothesis import settings as generated
from psycopg.rows import dict_row
from pytest_socket import socket_allow_hosts
from scim2_models.base import BaseModel

from governance.runner.roles import open_database

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# A busy machine is no fault of what is tested.
generated.register_profile("muster", deadline=None, derandomize="CI" in os.environ)
generated.load_profile("muster")

NUMBERED = {
    "numbered",
    "live_server",
    "django_assert_num_queries",
    "django_assert_max_num_queries",
}
LOOPBACK = ["127.0.0.1", "::1", "localhost"]

Record = dict[str, Any]
Login = Callable[[str], psycopg.Connection[Any]]
LoginOnLoop = Callable[[str], Awaitable[psycopg.AsyncConnection[Any]]]


def pytest_configure() -> None:
    # A password costs half a second by intent; the tests that run a real Muster pay for it.
    settings.PASSWORD_HASHERS = ["tests.quick_hasher.QuickHasher"]
    # A model of SCIM that a test has made anew looks for its source through all that is imported.
    for model in _models_of_scim(BaseModel):
        model.model_config["use_attribute_docstrings"] = False
    # WhiteNoise warns where no files were collected, and a warning is an error here.
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)


def _models_of_scim(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for each in model.__subclasses__():
        yield from _models_of_scim(each)


def pytest_collection_finish() -> None:
    # What was imported stays: looking through it again and again took an eighth of all the time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def pytest_runtest_setup() -> None:
    socket_allow_hosts(LOOPBACK, allow_unix_socket=True)


@pytest.fixture(scope="session")
def django_db_modify_db_settings_xdist_suffix(request: pytest.FixtureRequest) -> None:
    """Name the test database: MUSTER_TEST_DB, with a suffix for each xdist worker.

    It is a copy of MUSTER_TEST_TEMPLATE, where that names a migrated database.
    """
    worker = getattr(request.config, "workerinput", {}).get("workerid", "")
    name = os.environ.get("MUSTER_TEST_DB", "test_muster")
    connection.settings_dict["TEST"]["NAME"] = "_".join(filter(None, (name, worker)))
    connection.settings_dict["TEST"]["TEMPLATE"] = os.environ.get("MUSTER_TEST_TEMPLATE")


def _open(**_: Any) -> None:
    with connection.cursor() as cursor:
        open_database(cursor)


def _as_web(connection: BaseDatabaseWrapper, **_: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE muster_web")


class _Fresh:
    """The database as its migrations left it: what was in it, to be put back after each flush.

    Django's own flush truncates every table and plants everything anew by `post_migrate`, which
    takes longer than the rest of a short test. Here rows are deleted where there are any.
    """

    def __init__(self) -> None:
        tables = sorted(connection.introspection.django_table_names(only_existing=True))
        looks = [f"SELECT '{table}' WHERE EXISTS (SELECT FROM \"{table}\")" for table in tables]
        self.filled = " UNION ALL ".join(looks)
        with connection.cursor() as cursor:
            rows = {table: _copied(cursor, table) for table in _first(cursor, self.filled)}
        # Its rows follow from those of the others, with revisions that were never there.
        rows.pop("registry_slice", None)
        self.rows = rows

    def teardown(self) -> None:
        """Delete, which the web role may not, without asking a trigger, and put the rows back."""
        with connection.cursor() as cursor:
            cursor.execute("SET ROLE NONE")
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL session_replication_role = replica")
                for table in _first(cursor, self.filled):
                    cursor.execute(f'DELETE FROM "{table}"')
                cursor.execute("SET LOCAL session_replication_role = origin")
                for table, rows in self.rows.items():
                    with cursor.copy(f'COPY "{table}" FROM STDIN') as copy:
                        copy.write(rows)
        finally:
            _as_web(connection)


def _first(cursor: Any, query: str) -> list[str]:
    cursor.execute(query)
    return [first for first, *_ in cursor.fetchall()]


def _copied(cursor: Any, table: str) -> bytes:
    with cursor.copy(f'COPY "{table}" TO STDOUT') as copy:
        return b"".join(copy)


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
        fresh = _Fresh()
        connection.close()
    connection_created.connect(_as_web, dispatch_uid="run tests as web")
    TransactionTestCase._fixture_teardown = fresh.teardown
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


@pytest.fixture(autouse=True)
def _without_the_number(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number beside Inbox takes each page more than what the page itself shows.

    Who tests it asks for `numbered`; a browser sees it, and who counts queries counts its own.
    """
    if not NUMBERED & set(request.fixturenames):
        monkeypatch.setattr("governance.context._count", lambda request: 0)


@pytest.fixture
def numbered() -> None:
    """Pages count what waits for who looks."""


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """A real browser, the same for all tests of a process: each opens contexts of its own."""
    from playwright.sync_api import sync_playwright

    from tests.lifecycle.browsing import CHROMIUM, FLAGS

    if not CHROMIUM:
        pytest.skip("there is no chromium here")
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright's loop runs in this thread, and Django would take it for asynchronous code.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(autouse=True)
def _no_context_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test opened in the browser is closed with it; what its module opened stays."""
    if "browser" not in request.fixturenames:
        yield
        return
    browser = request.getfixturevalue("browser")
    before = list(browser.contexts)
    yield
    for context in browser.contexts:
        if context not in before:
            context.close()


@pytest.fixture
def seal_now() -> Callable[[], Any]:
    """`seal_now()` seals all that the test's own transaction sees, and returns the checkpoint.

    As the sealer does it, with a key of the tests, but for one thing: what this transaction has
    not committed counts as settled.
    """
    from audit.sealing import notes
    from audit.sealing.certificates import CHECKPOINT, Certificate, certify
    from audit.sealing.passes import Last, Sealer
    from audit.sealing.selectors import latest_checkpoint

    signer = notes.Signer.of_seed("muster.example/test", bytes(range(32)))

    class Everything(Sealer):
        def _last(self) -> Last:
            return super()._last()._replace(seen=None)

    def seal() -> Any:
        connection.ensure_connection()
        sealer = Everything(
            connection.connection,
            origin=signer.name,
            sign=lambda checkpoint: notes.sign(checkpoint.text, [signer]),
        )
        vkey = signer.verifier.vkey
        certificate = certify(Certificate(signer.name, CHECKPOINT, vkey, 0), [signer])
        with connection.cursor() as cursor:
            cursor.execute("SET ROLE muster_sealer")
            cursor.execute("SELECT audit.publish_key(%s, %s, %s)", [CHECKPOINT, vkey, certificate])
            sealer.seal()
            cursor.execute("SET ROLE muster_web")
        return latest_checkpoint()

    return seal


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
