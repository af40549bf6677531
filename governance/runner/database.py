"""How to reach the database, and bringing it to the state that the processes expect."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from governance.runner import roles
from governance.runner.places import CannotStart
from governance.runner.postgres import SUPERUSER, Cluster

NAME = "muster"
MAINTENANCE = "postgres"
NO_URL = (
    "DATABASE_URL is no PostgreSQL URL, such as postgres://user:password@host:5432/muster. What is"
    " no letter or digit in its password is percent-encoded."
)


@dataclass(frozen=True)
class Database:
    """A server, the name of Muster's database on it, and the administrator's way in."""

    name: str
    place: Mapping[str, str]
    administrator: Mapping[str, str]

    def dsn(self, login: str, password: str) -> str:
        """The way in for `login`, as libpq writes it."""
        return make_conninfo(**self.place, dbname=self.name, user=login, password=password)

    def url(self, login: str, password: str) -> str:
        """The same as a URL. A socket's folder, or several hosts, go into the query, as libpq
        allows."""
        place = dict(self.place)
        host, port = place.pop("host", ""), place.pop("port", "")
        if host.startswith("/") or "," in host:
            place |= {"host": host, **({"port": port} if port else {})}
            host = port = ""
        where = quote(host) + (f":{port}" if port else "")
        query = f"?{urlencode(place)}" if place else ""
        return f"postgres://{quote(login)}:{quote(password, safe='')}@{where}/{self.name}{query}"

    def connect(self, dbname: str, **who: str) -> psycopg.Connection[Any]:
        try:
            return psycopg.connect(
                make_conninfo(**self.place, **who, dbname=dbname), autocommit=True
            )
        except psycopg.OperationalError as error:
            raise CannotStart(f"The database cannot be reached: {error}") from error


def embedded(cluster: Cluster) -> Database:
    return Database(
        name=NAME,
        place={"host": str(cluster.sockets)},
        administrator={"user": SUPERUSER, "password": cluster.superuser_password},
    )


def external(url: str) -> Database:
    """The server of an administrator's URL; a database it names, but `postgres`, is Muster's."""
    parts = _read(url)
    named = parts.pop("dbname", MAINTENANCE)
    administrator = {key: parts[key] for key in parts if key in {"user", "password"}}
    place = {key: parts[key] for key in parts if key not in administrator}
    return Database(NAME if named == MAINTENANCE else named, place, administrator)


def _read(url: str) -> dict[str, str]:
    """What a URL says. What the driver says of one that it misreads may be half a password."""
    try:
        parts = {key: str(value) for key, value in conninfo_to_dict(url).items() if value}
    except psycopg.ProgrammingError:
        raise CannotStart(NO_URL) from None
    if not re.fullmatch("[0-9,]*", parts.get("port", "")):
        raise CannotStart(NO_URL)
    return parts


def asked() -> Database | None:
    """The server that DATABASE_URL names, if any."""
    url = os.environ.get("DATABASE_URL")
    return external(url) if url else None


def make_ready(database: Database, logins: Mapping[str, str], *, queue: bool) -> None:
    """Roles, database, default privileges and the queue's schema, whatever was there before."""
    try:
        _make_ready(database, logins, queue=queue)
    except psycopg.Error as error:
        raise CannotStart(
            f"The database could not be prepared as {database.administrator.get('user', 'you')},"
            f" who must be a superuser or may create roles and databases: {error}"
        ) from error


def _make_ready(database: Database, logins: Mapping[str, str], *, queue: bool) -> None:
    with database.connect(MAINTENANCE, **database.administrator) as admin:
        roles.make_roles(admin, logins)
        roles.make_database(admin, database.name)
    with as_migrator(database, logins) as migrator, migrator.transaction():
        roles.close_database(migrator)
        roles.open_database(migrator)
    if queue:
        with database.connect(database.name, **database.administrator) as admin:
            roles.install_queue(admin)


@contextmanager
def as_migrator(database: Database, logins: Mapping[str, str]) -> Iterator[psycopg.Connection[Any]]:
    who = {"user": roles.MIGRATOR, "password": logins[roles.MIGRATOR]}
    with database.connect(database.name, **who) as connection:
        yield connection


def is_demo(migrator: psycopg.Connection[Any]) -> bool:
    """Whether the migrated database was marked as a demo."""
    with migrator.transaction():
        migrator.execute(f"SET LOCAL ROLE {roles.AUDIT_OWNER}")
        marked = migrator.execute("SELECT 1 FROM audit.mark WHERE name = 'demo'").fetchone()
    return marked is not None


def mark_demo(migrator: psycopg.Connection[Any]) -> None:
    """Mark the database as a demo for good; refused once it holds a person or a record."""
    with migrator.transaction():
        migrator.execute("LOCK TABLE registry_person IN SHARE MODE")
        people = migrator.execute("SELECT 1 FROM registry_person LIMIT 1").fetchone()
        migrator.execute(f"SET LOCAL ROLE {roles.AUDIT_OWNER}")
        if people or migrator.execute("SELECT 1 FROM audit.record LIMIT 1").fetchone():
            raise CannotStart(
                "This database holds people or records, so it cannot become a demo."
                " Start the demo in a folder of its own: ./muster demo --data DIR"
            )
        migrator.execute("INSERT INTO audit.mark (name, at) VALUES ('demo', clock_timestamp())")
