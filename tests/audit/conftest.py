"""Ways to look at the record from the outside, and to break it on purpose."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from audit import services
from registry.enums import GroupName
from tests.factories.registry import make_person

AsOwner = Callable[[], AbstractContextManager[Any]]

TABLES = (
    *("record", "payload", "wrap", "holder", "slice", "mark"),
    *("leaf_index", "node", "checkpoint", "sealing_key", "alarm", "anchored"),
    *("legal_hold", "hold_lifted", "laid_aside", "erasure"),
    *("drop_order", "dropped"),
)


@pytest.fixture(autouse=True)
def fresh_holder_keys() -> Iterator[None]:
    services.forget_holder_keys()
    yield
    services.forget_holder_keys()


@pytest.fixture
def auditor(client: Client) -> Client:
    """A browser in which an auditor is signed in."""
    client.force_login(make_person(GroupName.AUDITOR))
    return client


@pytest.fixture
def as_owner() -> AsOwner:
    """`with as_owner() as cursor:` acts as the record's owner, who may do what no login may."""

    @contextlib.contextmanager
    def act() -> Iterator[Any]:
        with connection.cursor() as cursor:
            cursor.execute("SET ROLE muster_audit")
            yield cursor
            cursor.execute("SET ROLE muster_web")

    return act


@pytest.fixture
def unmarked(as_owner: AsOwner) -> None:
    """No mark is set, whatever other tests have committed."""
    with as_owner() as cursor:
        cursor.execute("ALTER TABLE audit.mark DISABLE TRIGGER no_change")
        cursor.execute("DELETE FROM audit.mark")
        cursor.execute("ALTER TABLE audit.mark ENABLE ALWAYS TRIGGER no_change")


@pytest.fixture
def dump() -> Callable[[], bytes]:
    """Every byte of every table of schema audit, binary columns as they are."""

    def read() -> bytes:
        parts: list[bytes] = []
        with connection.cursor() as cursor:
            for table in TABLES:
                cursor.execute(f"SELECT * FROM audit.{table}")
                parts += [_raw(value) for row in cursor.fetchall() for value in row]
        return b"\n".join(parts)

    return read


def _raw(value: object) -> bytes:
    return bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
