"""The database roles of an installation: who may log in, and what a login may touch.

Everything here may be run again at any time: what exists is brought to the wanted state.
PostgreSQL 15 has no per-grant inheritance, so `muster_migrator` is NOINHERIT as a role;
from 16 on the grant itself says so as well.
"""

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import psycopg
from pgmq.install import get_embedded_install_sql
from psycopg import sql

from governance.kernel import private_file

MIGRATOR = "muster_migrator"
AUDIT_OWNER = "muster_audit"
QUEUE = "muster_queue"
LOADER = "muster_loader"
SEALER = "muster_sealer"
RUN_TIME = ("muster_web", "muster_worker", "muster_beat")
TASKS = "muster_default"  # CELERY_TASK_DEFAULT_QUEUE behind its prefix
LOGINS = (MIGRATOR, *RUN_TIME, QUEUE, LOADER, SEALER)

WITHOUT_INHERIT_SINCE = 160000
PLAIN = "NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT"

# Run by the migrator in the database itself, before its first migration: default privileges
# only reach what is made afterwards. Schema audit is not opened here; its migrations do that.
_RUN_TIME = ", ".join(RUN_TIME)
# Up to 15 a role without INHERIT does not get the rights of a database's owner on its schema.
OWN_PUBLIC = f"""
    DO $$ BEGIN
        IF current_setting('server_version_num')::int < {WITHOUT_INHERIT_SINCE} THEN
            SET LOCAL ROLE pg_database_owner;
            GRANT ALL ON SCHEMA public TO {MIGRATOR};
            RESET ROLE;
        END IF;
    END $$
"""
OPENING = (
    OWN_PUBLIC,
    "REVOKE ALL ON SCHEMA public FROM PUBLIC",
    f"GRANT USAGE ON SCHEMA public TO {_RUN_TIME}",
    f"ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO {_RUN_TIME}",
    f"ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {_RUN_TIME}",
    f"ALTER DEFAULT PRIVILEGES GRANT USAGE, SELECT ON SEQUENCES TO {_RUN_TIME}",
)


class Executes(Protocol):
    """A psycopg connection or a Django cursor."""

    def execute(self, query: Any, params: Any = None, /) -> Any: ...


def load_logins(path: Path) -> dict[str, str]:
    """The passwords in `path`, with one made for each login that has none; the file is 0600."""
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    missing = {login: secrets.token_urlsafe(32) for login in LOGINS if login not in known}
    if missing:
        known |= missing
        private_file.write(path, json.dumps(known, indent=1))
    return known


def make_roles(admin: psycopg.Connection[Any], logins: Mapping[str, str]) -> None:
    """Bring every role to the wanted attributes, passwords and memberships."""
    _make_role(admin, AUDIT_OWNER, sql.SQL("NOLOGIN"))
    for login in LOGINS:
        password = sql.SQL("LOGIN PASSWORD {}").format(sql.Literal(logins[login]))
        _make_role(admin, login, password)
    without_inherit = admin.info.server_version >= WITHOUT_INHERIT_SINCE
    option = sql.SQL(" WITH INHERIT FALSE" if without_inherit else "")
    _grant(admin, AUDIT_OWNER, MIGRATOR, option)


def _make_role(admin: psycopg.Connection[Any], name: str, attributes: sql.Composable) -> None:
    exists = admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone()
    # An administrator who is no superuser may not even name SUPERUSER or REPLICATION on ALTER.
    limits = sql.SQL("" if exists and not is_superuser(admin) else PLAIN)
    verb = sql.SQL("ALTER" if exists else "CREATE")
    admin.execute(
        sql.SQL("{} ROLE {} {} {}").format(verb, sql.Identifier(name), limits, attributes)
    )


def _grant(admin: psycopg.Connection[Any], role: str, to: str, option: sql.Composable) -> None:
    admin.execute(
        sql.SQL("GRANT {} TO {}{}").format(sql.Identifier(role), sql.Identifier(to), option)
    )


def is_superuser(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    found = row.fetchone()
    return bool(found and found[0])


def make_database(admin: psycopg.Connection[Any], name: str) -> None:
    """Make database `name`, owned by the migrator; only the named logins may connect."""
    if not is_superuser(admin):
        # Handing a database to a role takes membership in that role.
        _grant(admin, MIGRATOR, admin.info.user, sql.SQL(""))
        _grant(admin, QUEUE, admin.info.user, sql.SQL(""))
    owner = admin.execute(
        "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s", (name,)
    ).fetchone()
    database, migrator = sql.Identifier(name), sql.Identifier(MIGRATOR)
    if owner is None:
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, migrator))
    elif owner[0] != MIGRATOR:
        admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, migrator))


def close_database(owner: psycopg.Connection[Any]) -> None:
    """Let only Muster's logins into the database that `owner`, its owner, is connected to."""
    database = sql.Identifier(owner.info.dbname)
    logins = sql.SQL(", ").join(map(sql.Identifier, (*RUN_TIME, QUEUE, LOADER, SEALER)))
    owner.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    owner.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, logins))


def let_tests_in(admin: psycopg.Connection[Any]) -> None:
    """On a throw-away server: the migrator makes test databases and plays the run-time roles.

    It may also empty them without a trigger being asked.
    """
    migrator = sql.Identifier(MIGRATOR)
    admin.execute(sql.SQL("ALTER ROLE {} CREATEDB").format(migrator))
    admin.execute(sql.SQL("GRANT SET ON PARAMETER session_replication_role TO {}").format(migrator))
    without_inherit = admin.info.server_version >= WITHOUT_INHERIT_SINCE
    for role in (*RUN_TIME, QUEUE, SEALER):
        _grant(admin, role, MIGRATOR, sql.SQL(" WITH INHERIT FALSE" if without_inherit else ""))


def open_database(migrator: Executes) -> None:
    """Open what the migrator will make to the run-time logins; tests call this as well."""
    for statement in OPENING:
        migrator.execute(statement)


def install_queue(admin: psycopg.Connection[Any]) -> None:
    """Make schema pgmq with its tables and functions, all owned by the queue's login, once.

    The script says CREATE SCHEMA IF NOT EXISTS, which PostgreSQL only lets through with CREATE
    on the database: the right is there for this one transaction. `admin` is connected to
    Muster's database.
    """
    queue, database = sql.Identifier(QUEUE), sql.Identifier(admin.info.dbname)
    with admin.transaction():
        admin.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS pgmq AUTHORIZATION {}").format(queue))
        found = admin.execute("SELECT to_regclass('pgmq.meta')").fetchone()
        if found and found[0] is not None:
            return
        admin.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(database, queue))
        admin.execute(sql.SQL("SET LOCAL ROLE {}").format(queue))
        admin.execute(get_embedded_install_sql().encode())
        # Worker and beat would both make it on their first start, and one would fail.
        admin.execute("SELECT pgmq.create(%s)", (TASKS,))
        admin.execute("RESET ROLE")
        admin.execute(sql.SQL("REVOKE CREATE ON DATABASE {} FROM {}").format(database, queue))
