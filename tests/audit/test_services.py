"""Promise 2: what cannot be recorded does not happen. And the keys of holders."""

import contextlib
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import InternalError, connection, transaction

from audit import payloads, services
from audit.enums import Kind
from audit.errors import AuditUnavailable, SecretFound
from governance.kernel import clock, keys

pytestmark = pytest.mark.django_db


def change_and_record(**entry: Any) -> None:
    """What every service does: change, then record, in one transaction."""
    with transaction.atomic():
        Group.objects.create(name="changed")
        services.record(**{"kind": Kind.ADMIN, "actor": "p-1", **entry})


def _revoke(cursor: Any) -> None:
    cursor.execute("REVOKE EXECUTE ON FUNCTION audit.append(jsonb) FROM muster_web")


def _no_partition(cursor: Any) -> None:
    cursor.execute(
        "SELECT to_char(now() AT TIME ZONE 'UTC', '\"audit.record_\"YYYY_MM')::regclass::text"
    )
    cursor.execute(f"ALTER TABLE audit.record DETACH PARTITION {cursor.fetchone()[0]}")


def _no_function(cursor: Any) -> None:
    cursor.execute("DROP FUNCTION audit.append(jsonb)")


def _full(cursor: Any) -> None:
    # What a full disk does to the insert: it fails inside the function.
    cursor.execute(
        "ALTER TABLE audit.record ADD CONSTRAINT disk_is_full CHECK (kind <> 'admin') NOT VALID"
    )


def test_a_change_is_kept_with_its_record(mark: Any, records_after: Any) -> None:
    before = mark()

    change_and_record(asked={"did": "group_made"})

    assert [row["actor"] for row in records_after(before)] == ["p-1"]
    assert Group.objects.filter(name="changed").count() == 1


@pytest.mark.parametrize("fail", [_revoke, _no_partition, _no_function, _full])
def test_nothing_is_saved_when_recording_fails(
    fail: Callable[[Any], None], as_owner: Any, mark: Any, records_after: Any
) -> None:
    before = mark()
    with as_owner() as cursor:
        fail(cursor)

    with pytest.raises(AuditUnavailable) as refused:
        change_and_record()

    assert (refused.value.status, refused.value.code) == (503, "audit_unavailable")
    assert Group.objects.filter(name="changed").count() == 0
    assert records_after(before) == []


def test_nothing_is_saved_when_the_database_turns_read_only(mark: Any, records_after: Any) -> None:
    before = mark()

    def change_then_turn() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            Group.objects.create(name="changed")
            cursor.execute("SET TRANSACTION READ ONLY")
            services.record(kind=Kind.ADMIN, actor="p-1")

    with pytest.raises(AuditUnavailable):
        change_then_turn()

    assert Group.objects.filter(name="changed").count() == 0
    assert records_after(before) == []


@pytest.mark.django_db(transaction=True)
def test_nothing_is_saved_when_the_connection_is_cut(
    login: Any, records_after: Any, mark: Any
) -> None:
    before, other = mark(), login("muster_migrator")

    def cut() -> None:
        with transaction.atomic():
            Group.objects.create(name="changed")
            backend = connection.connection.info.backend_pid
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])
            services.record(kind=Kind.ADMIN, actor="p-1")

    with pytest.raises(AuditUnavailable):
        cut()

    assert Group.objects.filter(name="changed").count() == 0
    assert records_after(before) == []


def test_nothing_is_saved_when_a_credential_would_be(mark: Any, records_after: Any) -> None:
    before = mark()

    with pytest.raises(SecretFound) as refused:
        change_and_record(asked={"agent": {"purpose": "uses mst_" + "a1" * 12}})

    assert refused.value.fields == {"asked.agent.purpose": ["This looks like a credential."]}
    assert Group.objects.filter(name="changed").count() == 0
    assert records_after(before) == []


def test_a_caught_failure_does_not_save_the_change_either(as_owner: Any) -> None:
    with as_owner() as cursor:
        _revoke(cursor)

    def change_and_go_on() -> None:
        with transaction.atomic():
            Group.objects.create(name="changed")
            with contextlib.suppress(AuditUnavailable):
                services.record(kind=Kind.ADMIN, actor="p-1")
            Group.objects.create(name="and another")

    with pytest.raises(InternalError, match="current transaction is aborted"):
        change_and_go_on()

    assert Group.objects.filter(name__in=["changed", "and another"]).count() == 0


@pytest.mark.parametrize(
    ("lost", "keep"),
    [
        ("keep_holder(text, bytea)", lambda: services.current_holder("agent:nobody-yet")),
        ("keep_slice(bytea)", lambda: services.keep_slice(b"{}")),
    ],
)
def test_keeping_fails_closed_as_well(lost: str, keep: Callable[[], bytes], as_owner: Any) -> None:
    with as_owner() as cursor:
        cursor.execute(f"REVOKE EXECUTE ON FUNCTION audit.{lost} FROM muster_web")

    with pytest.raises(AuditUnavailable):
        keep()


def test_the_payloads_holder_is_the_user_else_the_agent_else_the_system() -> None:
    assert services.holder_of(user="p-1", agent="mailer") == "user:p-1"
    assert services.holder_of(agent="mailer") == "agent:mailer"
    assert services.holder_of() == "system"


def test_a_holder_has_one_key_kept_wrapped_under_the_key_outside() -> None:
    first, again = services.current_holder("agent:one"), services.current_holder("agent:one")

    with connection.cursor() as cursor:
        cursor.execute("SELECT key FROM audit.holder WHERE holder = 'agent:one'")
        ((wrapped,),) = cursor.fetchall()
    assert first == again
    assert first != services.current_holder("agent:two")
    assert first.key not in bytes(wrapped)
    assert first.key == payloads.unwrap_holder_key(
        kek=keys.kek(), holder="agent:one", wrapped=bytes(wrapped)
    )


@pytest.mark.django_db(transaction=True)
def test_a_holder_key_that_was_rolled_back_is_not_remembered() -> None:
    holder = f"agent:{clock.uuid7()}"
    with transaction.atomic():
        lost = services.current_holder(holder)
        transaction.set_rollback(True)

    kept = services.current_holder(holder)

    services.forget_holder_keys()
    assert kept != lost
    assert kept == services.current_holder(holder)


@pytest.mark.django_db(transaction=True)
def test_a_committed_holder_key_is_not_asked_for_again(django_assert_num_queries: Any) -> None:
    key = services.current_holder("agent:known")

    with django_assert_num_queries(0):
        assert services.current_holder("agent:known") == key


def test_the_cache_of_holder_keys_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MAX_CACHED_HOLDERS", 2)
    for holder in ("a", "b", "c"):
        services._holders.put(holder, holder.encode())

    assert [services._holders.get(holder) for holder in "abc"] == [None, b"b", b"c"]


def test_index_resource_is_a_keyed_hash() -> None:
    wanted = hmac.new(keys.index_key(), b"jane@example.com", hashlib.sha256).hexdigest()

    assert services.index_resource("jane@example.com") == "hmac-sha256:" + wanted
