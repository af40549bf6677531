"""`audit.append`: what it writes, what it takes from whom, what it refuses."""

import hashlib
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import transaction

from audit import leaf, services
from audit.enums import Kind, Mark
from audit.errors import AuditUnavailable, NotRecordable, SecretFound
from audit.services import Row
from governance.kernel import clock

Records = Callable[..., list[dict[str, Any]]]


def a_row(**changes: Any) -> Row:
    return services.prepare_row(
        **{"kind": Kind.DECISION, "actor": "mailer", "agent": "mailer", **changes}
    )


def line1(row: Row, **changes: Any) -> Row:
    """`row` with its line 1 changed the way a hostile caller would."""
    said = json.loads(row["line1"])
    for key, value in changes.items():
        if value is ...:
            del said[key]
        else:
            said[key] = value
    return {**row, "line1": json.dumps(said)}


@pytest.mark.django_db
def test_record_writes_columns_body_and_leaf(mark: Any, records_after: Records) -> None:
    before, parent = mark(), clock.uuid7()

    record_id = services.record(
        kind=Kind.DECISION,
        actor="desk",
        agent="mailer",
        user="p-7",
        gateway="edge",
        tool="mail.send",
        resource="outbox",
        tier="internal",
        session="s-1",
        parent=parent,
        mode="enforce",
        effect="deny",
        check="allowlist",
        code="allowlist.not_listed",
        asked={"tool_version": 2},
        judged={"slices": {"global": 4}},
        settled={"limits": {"minute": 3}},
    )

    (row,) = records_after(before)
    assert leaf.faults(row) == []
    assert leaf.parse_body(row["body"]) == {
        "id": str(record_id),
        "version": 1,
        "kind": "decision",
        "actor": "desk",
        "agent": "mailer",
        "user": "p-7",
        "gateway": "edge",
        "tool": "mail.send",
        "resource": "outbox",
        "tier": "internal",
        "session": "s-1",
        "parent": str(parent),
        "mode": "enforce",
        "asked": {"tool_version": 2},
        "judged": {"slices": {"global": 4}},
        "at": leaf.instant(row["at"]),
        "effect": "deny",
        "check": "allowlist",
        "code": "allowlist.not_listed",
        "settled": {"limits": {"minute": 3}},
    }


@pytest.mark.django_db
def test_body_is_line_1_as_given_then_the_databases_line(mark: Any, records_after: Records) -> None:
    before, row = mark(), a_row(asked={"ü": "zwölf"})

    services.append_rows([row])

    (written,) = records_after(before)
    first, second = written["body"].split(b"\n")
    assert first == row["line1"].encode()
    assert json.loads(second) == {
        "at": leaf.instant(written["at"]),
        "effect": "",
        "check": "",
        "code": "",
        "settled": {},
    }


@pytest.mark.django_db
def test_columns_come_from_line_1_and_not_from_beside_it(mark: Any, records_after: Records) -> None:
    before = mark()
    row = {**a_row(agent="mailer"), "agent": "another", "kind": "registry", "at": "2020-01-01"}

    services.append_rows([row])  # type: ignore[list-item]

    (written,) = records_after(before)
    assert (written["agent"], written["kind"]) == ("mailer", "decision")
    assert abs(written["at"] - clock.now()) < timedelta(minutes=1)
    assert leaf.faults(written) == []


@pytest.mark.django_db
def test_a_batch_is_answered_in_order_of_arrival() -> None:
    rows = [a_row(resource=str(number)) for number in range(40)]

    answer = services.append_rows(rows)

    assert [each.id for each in answer] == [UUID(row["id"]) for row in rows]
    assert [each.at for each in answer] == sorted(each.at for each in answer)


@pytest.mark.django_db
def test_an_empty_batch_is_nothing() -> None:
    assert services.append_rows([]) == []


def _second_line(row: Row) -> Row:
    return {**row, "line1": row["line1"].replace(",", ",\n", 1)}


def _not_version_7(row: Row) -> Row:
    return line1(row, id=str(uuid4()))


def _yesterday(row: Row) -> Row:
    return line1(row, id=str(clock.uuid7(clock.now() - timedelta(hours=24, minutes=1))))


def _tomorrow(row: Row) -> Row:
    return line1(row, id=str(clock.uuid7(clock.now() + timedelta(hours=24, minutes=1))))


def _payload_without_key(row: Row) -> Row:
    sealed = {"field": "output", "nonce": "00" * 12, "sealed": "00" * 48}
    return {**row, "wrap": None, "payload": [sealed]}


def _no_code(row: Row) -> Row:
    return {key: value for key, value in row.items() if key != "code"}  # type: ignore[return-value]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_second_line, "line 1 holds a line break"),
        (_not_version_7, "the id is not a UUID of version 7"),
        (_yesterday, "the time in the id is more than a day from now"),
        (_tomorrow, "the time in the id is more than a day from now"),
        (_payload_without_key, "a payload came without its wrapped key"),
        (_no_code, "effect, check, code or settled is missing"),
        (lambda row: line1(row, version=2), "the version is not 1"),
        (lambda row: line1(row, agent=...), "line 1 lacks a column"),
        (lambda row: line1(row, id=...), "line 1 lacks a column"),
        (lambda row: line1(row, user=None), "line 1 lacks a column"),
        (lambda row: line1(row, asked=...), "line 1 lacks asked or judged"),
        (lambda row: line1(row, judged=[]), "line 1 lacks asked or judged"),
        (lambda row: {**row, "settled": "none"}, "effect, check, code or settled is missing"),
    ],
)
def test_append_refuses_the_whole_batch(
    spoil: Callable[[Row], Row], sentence: str, mark: Any, records_after: Records
) -> None:
    before = mark()

    with pytest.raises(AuditUnavailable) as refused, transaction.atomic():
        services.append_rows([a_row(), spoil(a_row()), a_row()])

    assert f"Not recorded: {sentence}." in str(refused.value.__cause__).splitlines()
    assert records_after(before) == []


@pytest.mark.django_db
@pytest.mark.parametrize("spoiled", ["5", "[]", '"text"', "null", "{", "{} {}"])
def test_append_refuses_a_line_1_that_is_no_object(
    spoiled: str, mark: Any, records_after: Records
) -> None:
    before = mark()

    with pytest.raises(AuditUnavailable), transaction.atomic():
        services.append_rows([{**a_row(), "line1": spoiled}])

    assert records_after(before) == []


@pytest.mark.django_db
def test_append_refuses_an_id_twice_in_a_batch_and_later(mark: Any, records_after: Records) -> None:
    before, row = mark(), a_row()

    with pytest.raises(AuditUnavailable), transaction.atomic():
        services.append_rows([row, row])
    services.append_rows([row])
    with pytest.raises(AuditUnavailable) as refused, transaction.atomic():
        services.append_rows([row])

    assert "Not recorded: the id exists already." in str(refused.value.__cause__).splitlines()
    assert [each["id"] for each in records_after(before)] == [UUID(row["id"])]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("entry", "error"),
    [
        ({"resource": "a\0b"}, NotRecordable),
        ({"resource": "x" * 1001}, NotRecordable),
        ({"resource": "\ud800"}, NotRecordable),
        ({"asked": {"note": "a\0b"}}, NotRecordable),
        ({"asked": {"a\0b": 1}}, NotRecordable),
        ({"settled": {"note": "a\0b"}}, NotRecordable),
        ({"asked": {"when": datetime(2026, 11, 23, tzinfo=UTC)}}, NotRecordable),
        ({"asked": {"number": 2**53}}, NotRecordable),
        ({"asked": {"number": float("nan")}}, NotRecordable),
        ({"payload": {"output": "\udfff"}}, NotRecordable),
        ({"effect": "mst_" + "k" * 20}, SecretFound),
        ({"judged": {"note": "password=hunter22"}}, SecretFound),
        ({"payload": {"parameters": {"api_key": "abcd1234"}}}, SecretFound),
    ],
)
def test_prepare_row_refuses_what_has_no_place_in_the_record(
    entry: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        a_row(**entry)


@pytest.mark.django_db
def test_a_backslash_before_u0000_is_not_nul(mark: Any, records_after: Records) -> None:
    before = mark()

    services.record(kind=Kind.SYSTEM, actor="system:test", asked={"note": "\\u0000 \\\\u0000"})

    (row,) = records_after(before)
    assert leaf.parse_body(row["body"])["asked"] == {"note": "\\u0000 \\\\u0000"}


@pytest.mark.django_db(transaction=True)
def test_eight_threads_append_500_rows_each_once(
    login: Any, mark: Any, records_after: Records
) -> None:
    before = mark()
    rows = [a_row(resource=str(n), payload={"output": n}) for n in range(500)]
    ready = threading.Barrier(8)
    connections = [login("muster_web") for _ in range(8)]

    def append(number: int) -> None:
        mine = rows[number::8]
        ready.wait()
        for start in range(0, len(mine), 7):
            batch = json.dumps(mine[start : start + 7])
            connections[number].execute("SELECT audit.append(%s::jsonb)", [batch])

    threads = [threading.Thread(target=append, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    written = records_after(before)
    assert len(written) == 500
    assert {str(row["id"]) for row in written} == {row["id"] for row in rows}
    assert [fault for row in written for fault in leaf.faults(row)] == []


@pytest.mark.django_db
def test_keep_slice_keeps_content_once_by_its_own_digest(login: Any) -> None:
    content = json.dumps({"tools": [str(uuid4())]}).encode()

    digests = {services.keep_slice(content), services.keep_slice(content)}

    (digest,) = digests
    assert digest == hashlib.sha256(content).digest()


@pytest.mark.django_db
@pytest.mark.usefixtures("unmarked")
def test_set_mark_sets_the_first_policy_once_and_no_demo() -> None:
    assert [services.set_mark(Mark.FIRST_POLICY), services.set_mark(Mark.FIRST_POLICY)] == [
        True,
        False,
    ]
    with pytest.raises(Exception, match="The mark demo cannot be set this way"):
        services.set_mark(Mark.DEMO)


@pytest.mark.django_db
def test_a_demo_cannot_be_marked_once_there_is_a_record(as_owner: Any) -> None:
    services.record(kind=Kind.SYSTEM, actor="system:test")

    with pytest.raises(Exception, match="can no longer be marked as a demo"), as_owner() as cursor:
        cursor.execute("INSERT INTO audit.mark (name) VALUES ('demo')")


@pytest.mark.django_db
def test_make_next_partition_is_recorded_when_it_made_one(
    as_owner: Any, mark: Any, records_after: Records
) -> None:
    before = mark()
    with as_owner() as cursor:
        cursor.execute("GRANT EXECUTE ON FUNCTION audit.make_next_partition(int) TO muster_web")

    made = [services.make_next_partition(months=24), services.make_next_partition(months=24)]

    assert made == [21, 0]
    (row,) = records_after(before)
    assert leaf.parse_body(row["body"])["asked"] == {"did": "partitions_made", "months": 21}


def test_make_next_partition_is_the_workers_alone(login: Any) -> None:
    worker = login("muster_worker")

    assert worker.execute("SELECT audit.make_next_partition(3)").fetchone() == (0,)
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        worker.execute("SELECT audit.make_next_partition(25)")
    for other in ("muster_web", "muster_beat"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            login(other).execute("SELECT audit.make_next_partition(3)")
