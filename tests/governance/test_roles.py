"""The catalogue of roles, and what each login may do, on a server of its own."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from governance.runner import database, roles
from governance.runner.database import Database
from tests.governance import servers

DENIED = psycopg.errors.InsufficientPrivilege


@pytest.fixture(scope="module")
def ready() -> Iterator[Database]:
    """A prepared database with one ordinary table, one sequence and one further schema."""
    with servers.server() as fresh:
        database.make_ready(fresh, servers.logins(), queue=True)
        with connect(fresh, roles.MIGRATOR) as migrator:
            migrator.execute("CREATE TABLE thing (id bigserial PRIMARY KEY, name text)")
            migrator.execute("CREATE SCHEMA authz CREATE TABLE rule (id int)")
        yield fresh


def connect(ready: Database, login: str, dbname: str = "") -> psycopg.Connection[Any]:
    who = {"user": login, "password": servers.logins()[login]}
    return ready.connect(dbname or ready.name, **who)


def catalogue(ready: Database) -> list[tuple[Any, ...]]:
    with ready.connect(database.MAINTENANCE, **ready.administrator) as admin:
        return admin.execute(
            "SELECT rolname, rolcanlogin, rolinherit,"
            " rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
            " FROM pg_roles WHERE rolname LIKE 'muster%' ORDER BY 1"
        ).fetchall()


def memberships(ready: Database) -> list[tuple[Any, ...]]:
    with ready.connect(database.MAINTENANCE, **ready.administrator) as admin:
        return admin.execute(
            "SELECT roleid::regrole::text, member::regrole::text, inherit_option"
            " FROM pg_auth_members WHERE member::regrole::text LIKE 'muster%' ORDER BY 1, 2"
        ).fetchall()


def test_roles_have_no_power_of_their_own(ready: Database) -> None:
    assert catalogue(ready) == [
        ("muster_audit", False, False, False),
        ("muster_beat", True, False, False),
        ("muster_loader", True, False, False),
        ("muster_migrator", True, False, False),
        ("muster_queue", True, False, False),
        ("muster_sealer", True, False, False),
        ("muster_web", True, False, False),
        ("muster_worker", True, False, False),
    ]


def test_only_the_migrator_may_become_another_role(ready: Database) -> None:
    assert memberships(ready) == [("muster_audit", "muster_migrator", False)]


def test_preparing_again_changes_nothing(ready: Database) -> None:
    before = catalogue(ready), memberships(ready)

    database.make_ready(ready, servers.logins(), queue=True)

    assert (catalogue(ready), memberships(ready)) == before


@pytest.mark.parametrize("login", roles.RUN_TIME)
def test_run_time_login_works_with_ordinary_tables(ready: Database, login: str) -> None:
    with connect(ready, login) as connection:
        connection.execute("INSERT INTO thing (name) VALUES ('a')")
        connection.execute("UPDATE thing SET name = 'b'")
        deleted = connection.execute("DELETE FROM thing RETURNING name").fetchall()
        rules = connection.execute("SELECT * FROM authz.rule").fetchall()

    assert (deleted, rules) == ([("b",)], [])


@pytest.mark.parametrize("login", roles.RUN_TIME)
@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE thing",
        "DROP TABLE thing",
        "ALTER TABLE thing ADD COLUMN more text",
        "CREATE TABLE mine (id int)",
        "CREATE TEMP TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "SET ROLE muster_migrator",
        "SET ROLE muster_audit",
        "SELECT * FROM pgmq.meta",
        "CREATE ROLE other",
        "CREATE DATABASE other",
        "COPY thing TO PROGRAM 'cat'",
    ],
)
def test_run_time_login_may_change_no_structure(
    ready: Database, login: str, statement: str
) -> None:
    with connect(ready, login) as connection, pytest.raises(DENIED):
        connection.execute(statement)


@pytest.mark.parametrize("login", [roles.LOADER, roles.QUEUE])
def test_loader_and_queue_see_no_table(ready: Database, login: str) -> None:
    with connect(ready, login) as connection, pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("SELECT * FROM thing")


def test_queue_owns_its_schema_and_nothing_else(ready: Database) -> None:
    with connect(ready, roles.QUEUE) as queue:
        queue.execute("SELECT pgmq.create('probe')")
        queue.execute("SELECT pgmq.send('probe', '{}')")
        owned = queue.execute(
            "SELECT DISTINCT relnamespace::regnamespace::text FROM pg_class"
            " WHERE relowner = 'muster_queue'::regrole"
            " AND relnamespace::regnamespace::text NOT LIKE 'pg_toast%'"
        ).fetchall()

        with pytest.raises(DENIED):
            queue.execute("CREATE SCHEMA other")

    assert owned == [("pgmq",)]


@pytest.mark.parametrize("password", ["", "wrong"])
def test_socket_asks_for_the_password(ready: Database, password: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(**ready.place, dbname=ready.name, user="muster_web", password=password)


def test_other_roles_may_not_connect(ready: Database) -> None:
    with ready.connect(database.MAINTENANCE, **ready.administrator) as admin:
        admin.execute("CREATE ROLE stranger LOGIN PASSWORD 's'")

    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(**ready.place, dbname=ready.name, user="stranger", password="s")


def test_administrator_who_is_no_superuser_is_enough() -> None:
    with servers.server() as fresh:
        with fresh.connect(database.MAINTENANCE, **fresh.administrator) as admin:
            admin.execute("CREATE ROLE boss LOGIN CREATEROLE CREATEDB PASSWORD 'b'")
        host = fresh.place["host"]
        asked = database.external(f"postgres://boss:b@/other?host={host}")

        database.make_ready(asked, servers.logins(), queue=True)
        database.make_ready(asked, servers.logins(), queue=True)

        with connect(asked, "muster_web") as web:
            found = web.execute("SELECT current_database(), current_user").fetchone()
    assert found == ("other", "muster_web")


def test_urls_and_dsns_of_a_login_lead_to_the_same_place() -> None:
    asked = database.external("postgres://boss:b@db.example:5433/muster?sslmode=require")

    assert asked.url("muster_web", "p@ss/ word") == (
        "postgres://muster_web:p%40ss%2F%20word@db.example:5433/muster?sslmode=require"
    )
    assert psycopg.conninfo.conninfo_to_dict(asked.dsn("muster_web", "p@ss/ word")) == (
        psycopg.conninfo.conninfo_to_dict(asked.url("muster_web", "p@ss/ word"))
    )


def test_passwords_are_made_once_and_for_our_eyes_only(tmp_path: Path) -> None:
    path = tmp_path / "logins.json"

    made = roles.load_logins(path)

    assert roles.load_logins(path) == made == json.loads(path.read_text())
    assert sorted(made) == sorted(roles.LOGINS)
    assert len(set(made.values())) == len(roles.LOGINS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
