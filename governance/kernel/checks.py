"""What must hold before a process may serve: no guessable key, no DEBUG, no power over the record.

These are Django system checks, so `manage.py check` shows them; web, worker and beat run them
at boot and do not start on an error.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from governance.kernel import keys, secret_key

TAG = "muster"
REFUSED = 78  # EX_CONFIG of sysexits.h
# The migrator owns the tables, and tests run on throw-away keys.
UNCHECKED = ("migrate", "test")
MIN_DIFFERENT_BYTES = 18
CONNECT_SECONDS = 5

OWNED = """
    SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema'
      AND n.nspname NOT LIKE 'pg\\_%%' AND pg_has_role(current_user, c.relowner, 'MEMBER')
    ORDER BY 1 LIMIT 1
"""
WRITABLE = """
    SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v') AND n.nspname = 'audit'
      AND (has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
           OR has_any_column_privilege(c.oid, 'INSERT, UPDATE'))
    ORDER BY 1 LIMIT 1
"""


def refuse_wrong_settings() -> None:
    """End this process with one line, and no traceback, where its settings cannot be read."""
    try:
        _ = settings.INSTALLED_APPS
    except ImproperlyConfigured as error:
        print(f"Muster refuses to start: {error}", file=sys.__stderr__, flush=True)
        raise SystemExit(REFUSED) from None


def refuse_to_start() -> None:
    """End this process, naming each reason, unless every check of Muster's own passes."""
    # In a thread: a web server may import this within its event loop, where Django asks nothing
    # of the database.
    with ThreadPoolExecutor(1) as thread:
        found = thread.submit(_run).result()
    errors = [message for message in found if message.is_serious()]
    for warning in found:
        if not warning.is_serious():
            print(f"Muster warns ({warning.id}): {warning.msg}", file=sys.__stderr__, flush=True)
    if not errors:
        return
    for error in errors:
        # Celery's beat has replaced sys.stderr by then.
        print(f"Muster refuses to start ({error.id}): {error.msg}", file=sys.__stderr__, flush=True)
    raise SystemExit(REFUSED)


def _run() -> list[CheckMessage]:
    try:
        return checks.run_checks(tags=[TAG], databases=["default"])
    finally:
        connections.close_all()


@checks.register(TAG, Tags.security)
def check_secret_key(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """E001: the signing key, and each one still accepted, was made by Muster."""
    if settings.MUSTER_PROCESS == "test":
        return []
    return [
        Error(f"The secret key is unsafe: {fault}", id="muster.E001")
        for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
        if (fault := secret_key.fault(str(key)))
    ]


@checks.register(TAG, Tags.security)
def check_key_files(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """E002: the keys that encrypt and blind are there, whole and not text or a pattern."""
    if settings.MUSTER_PROCESS == "test":
        return []
    return [
        Error(f"The key file {name} is unsafe: {fault}", id="muster.E002")
        for name, read in (
            ("kek", keys.kek),
            ("index_key", keys.index_key),
            ("receipt_key", keys.receipt_key),
        )
        if (fault := _fault_of(read))
    ]


def _fault_of(read: Any) -> str:
    try:
        key: bytes = read()
    except ImproperlyConfigured as error:
        return str(error)
    return weakness(key)


def weakness(key: bytes) -> str:
    """Why a key could be guessed, as a sentence; empty where its bytes look random."""
    if len(set(key)) < MIN_DIFFERENT_BYTES or key.isascii():
        return "its bytes are not random. `./muster up` makes it on the first start."
    steps = {(after - before) % 256 for before, after in pairwise(key)}
    return "its bytes follow a pattern." if len(steps) < MIN_DIFFERENT_BYTES // 2 else ""


@checks.register(TAG, Tags.security)
def check_key_folder(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """E003: no other account can read the folder of keys."""
    if settings.MUSTER_PROCESS == "test":
        return []
    try:
        mode = Path(settings.MUSTER_KEYS).stat().st_mode
    except OSError as error:
        return [Error(f"The folder of keys cannot be read: {error}", id="muster.E003")]
    if mode & 0o077 == 0:
        return []
    return [
        Error(
            f"Other accounts may open the folder of keys {settings.MUSTER_KEYS}: chmod 700 it.",
            id="muster.E003",
        )
    ]


@checks.register(TAG)
def check_names(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """W001: every variable that begins as ours do is a setting."""
    return [checks.Warning(sentence, id="muster.W001") for sentence in settings.UNKNOWN_SETTINGS]


@checks.register(TAG, Tags.security)
def check_debug(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """E004: DEBUG shows settings and source to whoever causes an error."""
    if not settings.DEBUG:
        return []
    return [Error("DEBUG is on. Unset MUSTER_DEBUG.", id="muster.E004")]


@checks.register(TAG, Tags.database)
def check_database(
    app_configs: Any, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """E005 to E008: this process's login has no power over tables or the record."""
    if settings.MUSTER_PROCESS in UNCHECKED:
        return []
    return [fault for alias in databases or () for fault in _faults_of(alias)]


def _faults_of(alias: str) -> list[CheckMessage]:
    """Over a connection of its own: a pool would try for half a minute before it gives up."""
    parameters = connections[alias].get_connection_params() | {"connect_timeout": CONNECT_SECONDS}
    try:
        with psycopg.connect(**parameters) as connection, connection.cursor() as cursor:
            return database_faults(cursor)
    except psycopg.Error as error:
        return [Error(f"The database cannot be reached: {error}", id="muster.E005")]


def database_faults(cursor: Any) -> list[CheckMessage]:
    """What is wrong with the login behind `cursor` and with how the server commits."""
    cursor.execute("SELECT current_user, current_setting('synchronous_commit')")
    user, commit = cursor.fetchone() or ("", "")
    owned, writable = _first(cursor, OWNED), _first(cursor, WRITABLE)
    faults = {
        "E006": f"Login {user} owns, or may act as the owner of, {owned}." if owned else "",
        "E007": f"Login {user} may write {writable}, which is append-only." if writable else "",
        "E008": "synchronous_commit is off, so an allow could be lost." if commit == "off" else "",
    }
    return [Error(text, id=f"muster.{code}") for code, text in faults.items() if text]


def _first(cursor: Any, query: str) -> str:
    cursor.execute(query, ())
    row = cursor.fetchone()
    return str(row[0]) if row else ""
