"""Promise 3: no login of a running process can rewrite history, and the catalogue shows why."""

from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from django.db.utils import ProgrammingError

from audit import protection, services
from audit.enums import Kind, Mark
from tests.audit.conftest import TABLES

WEB_WORKER = "muster_web, muster_worker"
LOGINS = (
    *("muster_web", "muster_worker", "muster_beat", "muster_queue", "muster_loader"),
    "muster_sealer",
)
# {leaf} is the partition of this month. Each must fail for want of a right.
ATTACKS = {
    "update": "UPDATE audit.record SET agent = 'another'",
    "delete": "DELETE FROM audit.record",
    "truncate": "TRUNCATE audit.record",
    "truncate a partition": "TRUNCATE {leaf}",
    "on conflict do update": "INSERT INTO audit.mark (name) VALUES ('first_policy')"
    " ON CONFLICT (name) DO UPDATE SET at = now() - interval '1 year'",
    "merge": "MERGE INTO audit.record AS r USING (SELECT 1) AS one ON true"
    " WHEN MATCHED THEN DELETE",
    "disable trigger": "ALTER TABLE audit.record DISABLE TRIGGER ALL",
    "detach": "ALTER TABLE audit.record DETACH PARTITION {leaf}",
    "drop": "DROP TABLE audit.record CASCADE",
    "create rule": "CREATE RULE gone AS ON INSERT TO audit.record DO INSTEAD NOTHING",
    "create trigger": "CREATE TRIGGER gone BEFORE INSERT ON audit.record"
    " FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "session_replication_role": "SET session_replication_role = replica",
    "copy program": "COPY audit.record FROM PROGRAM 'true'",
    "back-dated insert": "INSERT INTO audit.record (id, at, xid, version, kind, body, leaf) VALUES"
    " (gen_random_uuid(), now() - interval '1 hour', pg_current_xact_id(), 1, 'decision',"
    " '', sha256(''))",
    "set role": "SET ROLE muster_audit",
    "alter owner": "ALTER TABLE audit.record OWNER TO CURRENT_USER",
    "create or replace function": "CREATE OR REPLACE FUNCTION audit.append(rows jsonb)"
    " RETURNS jsonb LANGUAGE sql AS 'SELECT NULL::jsonb'",
}
PARTITION_BY_HAND = (
    "CREATE TABLE audit.record_1999_01 PARTITION OF audit.record"
    " FOR VALUES FROM ('1999-01-01') TO ('1999-02-01')"
)
MORE_ATTACKS = {
    "become the migrator": "SET ROLE muster_migrator",
    "own session": "SET SESSION AUTHORIZATION muster_audit",
    "insert a payload": "INSERT INTO audit.payload VALUES (gen_random_uuid(), now(), 'x', '', '')",
    "erase by an order of one's own": "INSERT INTO audit.erasure (cause, request, asked_by,"
    " agreed_by) VALUES ('request', 'x', 'y', 'z')",
    "drop a legal hold": "DELETE FROM audit.legal_hold",
    "order a drop by hand": "INSERT INTO audit.drop_order (month, months) VALUES ('2001-01-01', 6)",
    "drop a month": "SELECT audit.drop_month(1, gen_random_uuid())",
    "erase wraps": "DELETE FROM audit.wrap",
    "erase holders": "DELETE FROM audit.holder",
    "change a slice": "UPDATE audit.slice SET content = ''",
    "unmark": "DELETE FROM audit.mark",
    "mark as demo": "INSERT INTO audit.mark (name) VALUES ('demo')",
    "read a partition": "SELECT * FROM {leaf}",
    "make a partition": "SELECT audit.make_partition('2020-01-01')",
    "add a column": "ALTER TABLE audit.record ADD COLUMN note text",
    "drop an index": "DROP INDEX audit.record_at_id_idx",
    "new table": "CREATE TABLE audit.record_2001_01 PARTITION OF audit.record"
    " FOR VALUES FROM ('2001-01-01') TO ('2001-02-01')",
    "drop the schema": "DROP SCHEMA audit CASCADE",
    "grant": "GRANT muster_audit TO CURRENT_USER",
    "cut the tree": "DELETE FROM audit.leaf_index",
    "add a leaf": "INSERT INTO audit.leaf_index VALUES (0, gen_random_uuid(), now(), sha256(''))",
    "change a node": "UPDATE audit.node SET hash = sha256('')",
    "empty the nodes": "TRUNCATE audit.node",
    "sign again": "UPDATE audit.checkpoint SET note = ''",
    "add a checkpoint": "INSERT INTO audit.checkpoint (size, root, note, system)"
    " VALUES (1, sha256(''), '', 1)",
    "another key": "INSERT INTO audit.sealing_key (vkey, kind, certificate)"
    " VALUES ('x', 'checkpoint', 'x')",
    "take a key away": "DELETE FROM audit.sealing_key",
    "silence the alarm": "DELETE FROM audit.alarm",
    "seal with a function of one's own": "CREATE OR REPLACE FUNCTION audit.publish_key"
    "(kind text, vkey text, certificate text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    "foreign key": "CREATE TABLE public.hook (id uuid, at timestamptz,"
    " FOREIGN KEY (id, at) REFERENCES audit.record)",
}


@pytest.fixture
def leaf_partition(login: Any) -> str:
    with login("muster_migrator") as migrator:
        migrator.execute("SET ROLE muster_audit")
        (name,) = migrator.execute(
            "SELECT 'audit.record_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')"
        ).fetchone()
    return str(name)


@pytest.fixture
def everything(login: Any) -> Any:
    """`everything()` is all that schema audit holds, as its owner reads it."""

    def read() -> list[Any]:
        with login("muster_migrator") as migrator:
            migrator.execute("SET ROLE muster_audit")
            return [
                migrator.execute(
                    f"SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text))"
                    f" FROM audit.{table} AS t"
                ).fetchone()
                for table in TABLES
            ]

    return read


def test_there_are_17_statements() -> None:
    assert len(ATTACKS) == 17


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("who", LOGINS)
def test_no_login_can_rewrite_history(
    who: str, login: Any, leaf_partition: str, everything: Any
) -> None:
    services.record(kind=Kind.SYSTEM, actor="system:test", payload={"output": 1})
    services.keep_slice(b"{}")
    before, attacker = everything(), login(who)

    answers = {
        name: _answer(attacker, statement.format(leaf=leaf_partition))
        for name, statement in {**ATTACKS, **MORE_ATTACKS}.items()
    }

    assert answers == dict.fromkeys(answers, "InsufficientPrivilege")
    assert everything() == before
    assert protection.faults() == []


def _answer(attacker: psycopg.Connection[Any], statement: str) -> str:
    try:
        attacker.execute(statement)
    except psycopg.Error as error:
        return type(error).__name__
    return "done"


@pytest.mark.parametrize("who", ["muster_queue", "muster_loader"])
def test_queue_and_loader_can_neither_read_nor_append(who: str, login: Any) -> None:
    for statement in (
        "SELECT * FROM audit.record",
        "SELECT audit.append('[]')",
        "SELECT audit.keep_holder('system', '')",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            login(who).execute(statement)


def test_the_sealer_reads_leaves_and_nothing_of_what_was_recorded(login: Any) -> None:
    sealer = login("muster_sealer")
    answers = [
        _answer(sealer, statement)
        for statement in (
            "SELECT leaf FROM audit.unsealed(NULL, '0', 1)",
            "SELECT * FROM audit.checkpoint",
            "SELECT id FROM audit.record",
            "SELECT * FROM audit.payload",
            "SELECT audit.append('[]')",
            "SELECT * FROM public.registry_person",
        )
    ]

    assert answers == ["done", "done", *["InsufficientPrivilege"] * 4]


@pytest.mark.parametrize("who", [login for login in LOGINS if login != "muster_sealer"])
def test_only_the_sealer_seals(who: str, login: Any) -> None:
    for statement in (
        "SELECT audit.seal(0, '[]', '[]', '', '', NULL)",
        "SELECT audit.publish_key('checkpoint', 'x', 'x')",
        "SELECT audit.raise_alarm('', '{}')",
    ):
        assert _answer(login(who), statement) == "InsufficientPrivilege"


@pytest.mark.django_db
@pytest.mark.parametrize("table", TABLES)
def test_even_the_owner_is_stopped_by_triggers(table: str, as_owner: Any, seal_now: Any) -> None:
    services.record(kind=Kind.SYSTEM, actor="system:test", payload={"output": 1})
    services.keep_slice(b"{}")
    services.set_mark(Mark.FIRST_POLICY)
    while seal_now().size < 256:
        services.append_rows(
            [services.prepare_row(kind=Kind.SYSTEM, actor="system:test") for _ in range(256)]
        )
    with as_owner() as cursor:
        cursor.execute("SELECT audit.raise_alarm('behind', '{}')")
        cursor.execute(
            "SELECT audit.note_anchored(max(size), 'file', 'a', true, '{}') FROM audit.checkpoint"
        )
        for _ in range(2):
            cursor.execute(
                "SELECT audit.set_legal_hold(gen_random_uuid(), 'p', '', NULL, NULL, 'e', 'x', 'y')"
            )
        cursor.execute(
            "SELECT audit.lift_legal_hold(max(id::text)::uuid, 'x', 'y') FROM audit.standing_hold"
        )
        cursor.execute("SELECT audit.lay_aside('system', 'r')")
        cursor.execute("SELECT audit.order_drop('2001-01-01', 6, 'x', 'y')")
        cursor.execute(
            'INSERT INTO audit.dropped ("order", month, record, first, last, entries, export)'
            " VALUES (1, '2001-01-01', gen_random_uuid(), 0, 0, 1, sha256(''))"
        )
        if table == "erasure":
            # In the transaction of an erasure keys may go, and nothing else.
            cursor.execute("SELECT audit.erase_entries('{}', 'r', 'x', 'y')")
    column = {"record": "agent", "payload": "field", "wrap": "holder", "holder": "holder"}
    others = {"slice": "content", "mark": "name", "node": "hash", "checkpoint": "note"}
    more = {"leaf_index": "leaf", "sealing_key": "vkey", "alarm": "cause", "anchored": "name"}
    last = {"legal_hold": "reason", "hold_lifted": "agreed_by", "laid_aside": "request"}
    newest = {"erasure": "request", "drop_order": "asked_by", "dropped": "export"}
    name = (column | others | more | last | newest)[table]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass",
            [f"audit.{table}"],
        )
        leaves = [leaf for (leaf,) in cursor.fetchall()]

    for relation in [f"audit.{table}", *leaves]:
        with as_owner() as cursor:
            for statement in (
                f"UPDATE audit.{table} SET {name} = {name}",
                f"DELETE FROM audit.{table}",
                f"TRUNCATE {relation}",
            ):
                with (
                    pytest.raises(ProgrammingError, match="The record is append-only"),
                    transaction.atomic(),
                ):
                    cursor.execute(statement)


@pytest.mark.django_db
def test_the_catalogue_is_as_promised() -> None:
    assert protection.faults() == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "GRANT UPDATE ON audit.record TO muster_web",
            ["muster_web holds UPDATE on audit.record."],
        ),
        (
            "GRANT UPDATE (agent) ON audit.record TO muster_worker",
            ["muster_worker holds UPDATE on audit.record."],
        ),
        ("GRANT SELECT ON audit.wrap TO PUBLIC", ["PUBLIC holds SELECT on audit.wrap."]),
        (
            "GRANT CREATE ON SCHEMA audit TO muster_web",
            ["muster_web holds CREATE on schema audit."],
        ),
        (
            "GRANT EXECUTE ON FUNCTION audit.make_partition(date) TO muster_web",
            ["audit.make_partition(date) is open to muster_web, not to nobody."],
        ),
        (
            "REVOKE EXECUTE ON FUNCTION audit.append(jsonb) FROM muster_beat",
            [
                f"audit.append(jsonb) is open to {WEB_WORKER}, not to muster_beat, {WEB_WORKER}.",
            ],
        ),
        (
            "CREATE FUNCTION audit.more() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            ["audit.more() is not one of Muster's functions."],
        ),
        (
            "ALTER TABLE audit.mark DISABLE TRIGGER no_change",
            [
                "audit.mark does not refuse DELETE.",
                "audit.mark does not refuse UPDATE.",
                "audit.mark: trigger no_change is not ENABLE ALWAYS.",
            ],
        ),
        (
            "ALTER TABLE audit.slice ENABLE TRIGGER no_truncate",
            [
                "audit.slice does not refuse TRUNCATE.",
                "audit.slice: trigger no_truncate is not ENABLE ALWAYS.",
            ],
        ),
        (
            PARTITION_BY_HAND,
            ["audit.record_1999_01 does not refuse TRUNCATE."],
        ),
        (
            "CREATE TABLE audit.rest PARTITION OF audit.record DEFAULT",
            ["audit.rest does not refuse TRUNCATE.", "audit.rest is a default partition."],
        ),
        (
            "CREATE RULE gone AS ON INSERT TO audit.mark DO INSTEAD NOTHING",
            ["audit.mark has the rule gone."],
        ),
    ],
)
def test_the_catalogue_shows_every_weakening(change: str, said: list[str], as_owner: Any) -> None:
    with as_owner() as cursor:
        cursor.execute(change)

    assert protection.faults() == said


@pytest.mark.django_db
def test_the_catalogue_shows_a_login_that_can_become_the_owner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The tests' own migrator is what a login must not be: it may make databases and become others.
    monkeypatch.setattr(protection, "LOGINS", ("muster_web", "muster_migrator"))

    powers, membership = protection.faults()

    assert powers == "muster_migrator has powers of an administrator."
    assert "muster_audit" in membership.removesuffix(".").split(" of ")[1].split(", ")


@pytest.mark.django_db
def test_the_catalogue_shows_a_table_of_another_owner() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE muster_audit")
        cursor.execute("GRANT CREATE ON SCHEMA audit TO muster_migrator")
        cursor.execute("SET ROLE muster_migrator")
        cursor.execute("CREATE TABLE audit.foreigner (id int)")
        cursor.execute("SET ROLE muster_audit")
        cursor.execute("REVOKE CREATE ON SCHEMA audit FROM muster_migrator")
        cursor.execute("SET ROLE muster_web")

    said = protection.faults()

    assert said[-4:] == [
        "table audit.foreigner belongs to muster_migrator.",
        "audit.foreigner does not refuse DELETE.",
        "audit.foreigner does not refuse TRUNCATE.",
        "audit.foreigner does not refuse UPDATE.",
    ]


@pytest.mark.django_db
def test_no_function_of_the_record_takes_a_time() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'audit'::regnamespace"
            " AND proargtypes::oid[] &&"
            " ARRAY['timestamptz'::regtype, 'timestamptz[]'::regtype]::oid[]"
        )
        assert cursor.fetchall() == []


@pytest.mark.django_db
def test_every_definer_function_fixes_its_search_path() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'audit'::regnamespace AND NOT"
            " coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)"
        )
        assert cursor.fetchall() == []
