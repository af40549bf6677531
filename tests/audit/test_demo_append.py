"""The timed append: in a marked demo, while it loads, for one login; nowhere else."""

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection
from psycopg import sql
from psycopg.rows import dict_row

from audit import demo_append, leaf, services
from audit.enums import Kind
from audit.services import Row
from governance.kernel import clock
from governance.kernel.errors import NotAllowed

FIRST = date(2026, 1, 15)
THEN = datetime(2026, 1, 20, 9, 30, 15, 123456, tzinfo=UTC)
Connect = Callable[[str], psycopg.Connection[Any]]


@pytest.fixture
def demo(login: Any) -> Iterator[Connect]:
    """`demo(role)` connects to a database of its own, freshly migrated and not yet marked."""
    name = sql.Identifier(connection.settings_dict["NAME"] + "_demo")
    migration = import_module("audit.migrations.0001_record")
    passwords = json.loads(Path(os.environ["MUSTER_LOGINS"]).read_text())
    ours, opened = connection.get_connection_params(), []
    place = {key: ours[key] for key in ("host", "port") if key in ours}

    def connect(role: str) -> psycopg.Connection[Any]:
        opened.append(
            psycopg.connect(
                **place,
                dbname=name.as_string().strip('"'),
                user=role,
                password=passwords[role],
                autocommit=True,
            )
        )
        return opened[-1]

    with login("muster_migrator") as outside:
        outside.autocommit = True
        outside.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(name))
        outside.execute(sql.SQL("CREATE DATABASE {}").format(name))
        with connect("muster_migrator") as migrator, migrator.transaction():
            migrator.execute(migration.FORWARD)
        yield connect
        for each in opened:
            each.close()
        # PostgreSQL waits some seconds for the sessions that are just ending.
        outside.execute(sql.SQL("DROP DATABASE {}").format(name))


def a_row(at: datetime = THEN, **entry: Any) -> Row:
    return services.prepare_row(
        **{"kind": Kind.DECISION, "actor": "desk", "id": clock.uuid7(at), **entry}
    )


def mark_demo(migrator: psycopg.Connection[Any]) -> None:
    with migrator.transaction():
        migrator.execute("SET LOCAL ROLE muster_audit")
        migrator.execute("INSERT INTO audit.mark (name) VALUES ('demo')")


def functions(migrator: psycopg.Connection[Any]) -> set[str]:
    rows = migrator.execute(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'audit'::regnamespace"
    )
    return {name for (name,) in rows}


def test_it_is_refused_in_a_database_that_is_no_demo(demo: Connect) -> None:
    migrator = demo("muster_migrator")

    with pytest.raises(NotAllowed):
        demo_append.install_demo_append(migrator, first=FIRST)

    assert "append_at" not in functions(migrator)


def test_it_is_refused_when_the_append_has_changed_its_shape(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    changed = tmp_path / "functions.sql"
    changed.write_text(demo_append._SOURCE.read_text().replace("/* time */", ""))
    monkeypatch.setattr(demo_append, "_SOURCE", changed)

    with pytest.raises(ValueError, match="no longer says"):
        demo_append.timed_append_sql()


def test_the_loader_appends_a_past_and_then_can_nothing(demo: Connect) -> None:
    migrator = demo("muster_migrator")
    mark_demo(migrator)
    demo_append.install_demo_append(migrator, first=FIRST)
    loader = demo("muster_loader")
    times = [THEN, THEN + timedelta(days=200)]
    rows = [a_row(at, resource=str(at.date())) for at in times]

    written = demo_append.append_at(loader, rows, times)

    assert [each.at for each in written] == times
    assert [str(each.id) for each in written] == [row["id"] for row in rows]
    with demo("muster_web") as web:
        stored = web.cursor(row_factory=dict_row).execute("SELECT * FROM audit.record ORDER BY at")
        found = stored.fetchall()
    assert [row["at"] for row in found] == times
    assert [fault for row in found for fault in leaf.faults(row)] == []

    with pytest.raises(psycopg.errors.InvalidParameterValue, match="the id exists already"):
        demo_append.append_at(loader, rows[:1], times[:1])
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="more than a day from now"):
        demo_append.append_at(loader, [a_row()], times[1:])
    with pytest.raises(ValueError, match="one time for each row"):
        demo_append.append_at(loader, rows, times[:1])
    for other in ("muster_web", "muster_worker", "muster_beat", "muster_queue"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            demo_append.append_at(demo(other), [a_row()], [THEN])

    demo_append.drop_demo_append(migrator)
    demo_append.drop_demo_append(migrator)

    assert "append_at" not in functions(migrator)
    for statement in (
        "SELECT audit.append_at('[]', '{}')",
        "SELECT audit.append('[]')",
        "SELECT audit.keep_holder('system', '')",
        "SELECT * FROM audit.record",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            loader.execute(statement)


def test_a_database_with_a_record_cannot_become_a_demo(demo: Connect) -> None:
    migrator = demo("muster_migrator")
    demo("muster_web").execute("SELECT audit.append(%s::jsonb)", [json.dumps([a_row(clock.now())])])

    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="no longer be marked"):
        mark_demo(migrator)


def test_the_migration_can_be_undone(demo: Connect) -> None:
    migrator, migration = demo("muster_migrator"), import_module("audit.migrations.0001_record")

    with migrator.transaction():
        migrator.execute(migration.BACKWARD)
    with migrator.transaction():
        migrator.execute(migration.FORWARD)

    assert "append" in functions(migrator)
