"""Payloads as they are stored: what opens them, what does not, and what erasure leaves."""

import hashlib
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from audit import leaf, payloads, selectors, services
from audit.enums import Kind
from audit.errors import NotRecordable, PayloadDamaged, PayloadErased, PayloadMissing, UnknownRecord
from audit.models import Record
from audit.selectors import AuditScope
from governance.kernel import clock, keys

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4)
    ),
)
VALUE = {"amount": 12.5, "to": "Zoë\u2028", "list": [1, None, True]}


class Auditor:
    """A person who sees everything."""

    pid = "p-auditor"

    def __init__(self, scope: AuditScope | None = None) -> None:
        self._scope = scope or AuditScope(everything=True)

    def audit_scope(self) -> AuditScope:
        return self._scope


def recorded(**entry: Any) -> Record:
    record_id = services.record(
        **{
            "kind": Kind.DECISION,
            "actor": "desk",
            "agent": "desk",
            "payload": {"parameters": VALUE, "reasoning": "because"},
            **entry,
        }
    )
    return Record.objects.get(id=record_id)


def stored(query: str, record: Record) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, [record.id])
        return [
            tuple(bytes(value) if isinstance(value, memoryview) else value for value in row)
            for row in cursor.fetchall()
        ]


@given(JSON)
def test_canonical_is_rfc_8785(value: Any) -> None:
    try:
        wanted = rfc8785.dumps(value)
    except UnicodeEncodeError:
        with pytest.raises(NotRecordable):
            payloads.canonical(value)
    else:
        assert payloads.canonical(value) == wanted


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ({"b": 1, "a": [1.0, 1e30, -0.0]}, b'{"a":[1,1e+30,0],"b":1}'),
        ({"\ue000": 1, "\U00010000": 2}, '{"\U00010000":2,"\ue000":1}'.encode()),
        (("a", ("b",)), b'["a",["b"]]'),
        (Kind.DECISION, b'"decision"'),
        ('\x00\x1f\x7f\u2028"\\/', b'"\\u0000\\u001f\x7f\xe2\x80\xa8\\"\\\\/"'),
    ],
)
def test_canonical_of_what_is_written_differently_elsewhere(value: Any, wanted: bytes) -> None:
    assert payloads.canonical(value) == wanted


@pytest.mark.parametrize("value", [{1: "a"}, {"a": 2**53}, b"bytes", {1, 2}, [object()]])
def test_canonical_refuses_what_has_no_form(value: Any) -> None:
    with pytest.raises(NotRecordable):
        payloads.canonical(value)


@pytest.mark.django_db
def test_payloads_are_stored_as_the_format_says() -> None:
    """Opened here by hand, from the words of the format and not by our own code."""
    record = recorded(user="p-7")

    ((wrap_holder, wrapped),) = stored(
        "SELECT holder, key FROM audit.wrap WHERE record = %s", record
    )
    ((holder_key,),) = stored(
        "SELECT key FROM audit.holder WHERE holder = 'user:p-7' AND %s IS NOT NULL", record
    )
    rows = stored("SELECT field, nonce, sealed FROM audit.payload WHERE record = %s", record)
    outer = AESGCM(keys.kek()).decrypt(holder_key[:12], holder_key[12:], b"user:p-7")
    key = AESGCM(outer).decrypt(wrapped[:12], wrapped[12:], b"user:p-7" + record.id.bytes)
    opened = {
        field: AESGCM(key).decrypt(nonce, sealed, record.id.bytes + field.encode())
        for field, nonce, sealed in rows
    }

    assert wrap_holder == "user:p-7"
    assert {field: plain[32:] for field, plain in opened.items()} == {
        "parameters": '{"amount":12.5,"list":[1,null,true],"to":"Zoë\u2028"}'.encode(),
        "reasoning": b'"because"',
    }
    assert selectors.parse_body(record)["asked"]["digests"] == {
        field: hashlib.sha256(plain).hexdigest() for field, plain in opened.items()
    }
    assert len({plain[:32] for plain in opened.values()}) == 2


@pytest.mark.django_db
def test_a_given_salt_is_the_fields_salt() -> None:
    salt = payloads.new_salt()

    record = recorded(salts={"parameters": salt})

    digest = selectors.parse_body(record)["asked"]["digests"]["parameters"]
    assert digest == payloads.digest(salt, payloads.canonical(VALUE))


def test_a_sealed_field_opens_only_in_its_own_place() -> None:
    key, record, salt = payloads.new_key(), clock.uuid7(), payloads.new_salt()
    raw = payloads.canonical(VALUE)
    sealed = payloads.seal_field(key=key, record=record, field="output", raw=raw, salt=salt)
    place = {"key": key, "record": record, "field": "output", "nonce": sealed.nonce}

    assert payloads.open_field(**place, sealed=sealed.sealed) == (salt, VALUE)
    for swap in (
        {"key": payloads.new_key()},
        {"record": clock.uuid7()},
        {"field": "outputs"},
        {"nonce": bytes(12)},
        {"sealed": sealed.sealed[:-1] + bytes([sealed.sealed[-1] ^ 1])},
    ):
        with pytest.raises(PayloadDamaged):
            payloads.open_field(**{**place, "sealed": sealed.sealed, **swap})


def test_a_wrap_opens_only_for_its_own_holder_and_record() -> None:
    holder_key, key, record = payloads.new_key(), payloads.new_key(), clock.uuid7()
    place = {"holder_key": holder_key, "holder": "user:a", "record": record}
    wrapped = payloads.wrap_record_key(**place, key=key)

    assert len(wrapped) == 60
    assert payloads.unwrap_record_key(**place, wrapped=wrapped) == key
    for swap in ({"holder": "user:b"}, {"record": clock.uuid7()}, {"holder_key": key}):
        with pytest.raises(PayloadDamaged):
            payloads.unwrap_record_key(**{**place, **swap}, wrapped=wrapped)


def test_a_holder_key_opens_only_for_its_own_holder() -> None:
    kek, key = payloads.new_key(), payloads.new_key()
    wrapped = payloads.wrap_holder_key(kek=kek, holder="user:a", key=key)

    assert payloads.unwrap_holder_key(kek=kek, holder="user:a", wrapped=wrapped) == key
    with pytest.raises(PayloadDamaged):
        payloads.unwrap_holder_key(kek=kek, holder="user:b", wrapped=wrapped)


SWAP_SEALED = (
    "UPDATE audit.payload AS p SET sealed = q.sealed, nonce = q.nonce FROM audit.payload AS q"
    " WHERE p.record = %(one)s AND q.record = %(two)s AND p.field = q.field"
)
SWAP_WRAPS = (
    "UPDATE audit.wrap AS p SET key = q.key FROM audit.wrap AS q"
    " WHERE p.record = %(one)s AND q.record = %(two)s"
)
SWAP_HOLDERS = (
    "UPDATE audit.holder AS p SET key = q.key FROM audit.holder AS q"
    " WHERE p.holder = 'agent:desk' AND q.holder = 'agent:other'"
)
SWAPS = {
    "fields": [
        "DELETE FROM audit.payload WHERE record = %(one)s AND field = 'reasoning'",
        "UPDATE audit.payload SET field = 'reasoning' WHERE record = %(one)s",
    ],
    "records": [SWAP_SEALED],
    "wraps": [SWAP_WRAPS],
    "records and their wraps": [SWAP_SEALED, SWAP_WRAPS],
    "the wrap's holder": ["UPDATE audit.wrap SET holder = 'agent:other' WHERE record = %(one)s"],
    "holders": [SWAP_HOLDERS],
}


@pytest.mark.django_db
@pytest.mark.parametrize("swap", SWAPS)
def test_a_superusers_swap_in_the_tables_is_noticed(swap: str, as_owner: Any) -> None:
    one, two = recorded(), recorded()
    services.current_holder("agent:other")
    with as_owner() as cursor:
        for table in ("payload", "wrap", "holder"):
            cursor.execute(f"ALTER TABLE audit.{table} DISABLE TRIGGER no_change")
        for statement in SWAPS[swap]:
            cursor.execute(statement, {"one": one.id, "two": two.id})

    with pytest.raises(PayloadDamaged):
        selectors.read_payload(one, "reasoning", by=Auditor())


@pytest.mark.django_db
@pytest.mark.parametrize(
    "erase", ["DELETE FROM audit.holder WHERE holder = 'agent:desk'", "DELETE FROM audit.wrap"]
)
def test_erasing_a_key_leaves_every_proof(erase: str, as_owner: Any, records_after: Any) -> None:
    record = recorded()
    assert selectors.read_payload(record, "parameters", by=Auditor()) == VALUE
    with as_owner() as cursor:
        cursor.execute("ALTER TABLE audit.holder DISABLE TRIGGER no_change")
        cursor.execute("ALTER TABLE audit.wrap DISABLE TRIGGER no_change")
        cursor.execute(erase)

    with pytest.raises(PayloadErased):
        selectors.read_payload(record, "parameters", by=Auditor())

    (row,) = (row for row in records_after(frozenset()) if row["id"] == record.id)
    assert leaf.faults(row) == []
    assert set(leaf.parse_body(row["body"])["asked"]["digests"]) == {"parameters", "reasoning"}


@pytest.mark.django_db
def test_reading_a_payload_is_recorded_first(mark: Any, records_after: Any) -> None:
    record = recorded(user="p-7", tool="mail.send")
    before = mark()

    value = selectors.read_payload(record, "parameters", by=Auditor())

    (row,) = records_after(before)
    columns = ("kind", "actor", "agent", "user", "tool", "parent")
    assert value == VALUE
    assert [row[column] for column in columns] == [
        "payload_read", "p-auditor", "desk", "p-7", "mail.send", record.id,
    ]  # fmt: skip
    assert leaf.parse_body(row["body"])["asked"] == {"field": "parameters"}


@pytest.mark.django_db
def test_a_payload_that_cannot_be_recorded_as_read_is_not_read(as_owner: Any) -> None:
    record = recorded()
    with as_owner() as cursor:
        cursor.execute("REVOKE EXECUTE ON FUNCTION audit.append(jsonb) FROM muster_web")

    with pytest.raises(Exception, match="could not be recorded, so it was not done"):
        selectors.read_payload(record, "parameters", by=Auditor())


@pytest.mark.django_db
def test_a_payload_outside_ones_scope_is_not_read_nor_recorded(
    mark: Any, records_after: Any
) -> None:
    record = recorded(user="p-7")
    before = mark()

    for scope in (AuditScope(), AuditScope(agents=frozenset({"other"}), users=frozenset({"p-8"}))):
        with pytest.raises(UnknownRecord):
            selectors.read_payload(record, "parameters", by=Auditor(scope))
    with pytest.raises(PayloadMissing):
        selectors.read_payload(record, "output", by=Auditor(AuditScope(agents=frozenset({"desk"}))))

    assert records_after(before) == []


@pytest.mark.django_db
def test_payload_fields_are_those_that_are_kept() -> None:
    assert selectors.payload_fields(recorded()) == ["parameters", "reasoning"]
    assert selectors.payload_fields(recorded(payload={})) == []
