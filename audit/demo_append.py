"""The timed append of a demo: a second way in, for a made-up past, while it is being loaded.

It exists only in a database that is marked as a demo, only between `install_demo_append` and
`drop_demo_append`, and only for the login `muster_loader`. Everywhere else an entry's time is
the database's own, and no function takes one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from audit.services import Appended, Row
from governance.kernel.errors import NotAllowed

OWNER = "muster_audit"
LOADER = "muster_loader"
SIGNATURE = "audit.append_at(jsonb, timestamptz[])"
_SOURCE = Path(__file__).parent / "migrations" / "sql" / "0002_append.sql"
# The two differ in their names, in where the time comes from, and in whether today bounds it.
_CHANGES = (
    (
        "OR REPLACE FUNCTION audit.append(rows jsonb)",
        "FUNCTION audit.append_at(rows jsonb, times timestamptz[])",
    ),
    ("/* time */ clock_timestamp() /* time */", "times[r.n]"),
    ("clock_timestamp() - interval", "(SELECT min(t) FROM unnest(times) AS t) - interval"),
    ("clock_timestamp() + interval", "(SELECT max(t) FROM unnest(times) AS t) + interval"),
)
_GRANT = f"""
REVOKE ALL ON FUNCTION {SIGNATURE} FROM PUBLIC;
GRANT USAGE ON SCHEMA audit TO {LOADER};
GRANT EXECUTE ON FUNCTION {SIGNATURE}, audit.keep_holder(text, bytea), audit.keep_slice(bytea)
    TO {LOADER};
"""
_DROP = f"""
DROP FUNCTION IF EXISTS {SIGNATURE};
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA audit FROM {LOADER};
REVOKE ALL ON SCHEMA audit FROM {LOADER};
"""


def timed_append_sql() -> str:
    """`audit.append` as it stands in the migration, taking its times from an argument."""
    source = _SOURCE.read_text()
    sql = source[source.index("CREATE ") :]
    for plain, timed in _CHANGES:
        if sql.count(plain) != 1:
            raise ValueError(f"audit.append no longer says {plain!r} once.")
        sql = sql.replace(plain, timed)
    return sql


def install_demo_append(migrator: psycopg.Connection[Any], *, first: date) -> None:
    """Make the timed append, and partitions from `first`'s month on. Refused outside a demo."""
    with migrator.transaction():
        migrator.execute(f"SET LOCAL ROLE {OWNER}")
        if not migrator.execute("SELECT 1 FROM audit.mark WHERE name = 'demo'").fetchone():
            raise NotAllowed("This database is not marked as a demo: its record takes no times.")
        migrator.execute(_DROP)
        migrator.execute(timed_append_sql())
        migrator.execute(_GRANT)
        migrator.execute(
            "SELECT audit.make_partition(month::date)"
            " FROM generate_series(date_trunc('month', %s::date::timestamp),"
            " date_trunc('month', now() AT TIME ZONE 'UTC'), interval '1 month') AS month",
            [first],
        )


def append_at(
    loader: psycopg.Connection[Any], rows: Sequence[Row], times: Sequence[datetime]
) -> list[Appended]:
    """Append `rows`, each at its own time. `loader` is a connection of the loader's login."""
    if len(rows) != len(times):
        raise ValueError("There must be one time for each row.")
    answer = loader.execute(
        "SELECT audit.append_at(%s, %s::timestamptz[])",
        [Jsonb(list(rows), dumps=json.dumps), list(times)],
    ).fetchone()
    written = answer[0] if answer else []
    return [Appended(UUID(each["id"]), datetime.fromisoformat(each["at"])) for each in written]


def drop_demo_append(migrator: psycopg.Connection[Any]) -> None:
    """Close the second way in. May be run at any time; changes nothing where there is none."""
    with migrator.transaction():
        migrator.execute(f"SET LOCAL ROLE {OWNER}")
        migrator.execute(_DROP)
