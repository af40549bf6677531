"""The check of one entry alone."""

import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from audit import leaf

BODY = (
    b'{"actor":"desk","agent":"desk","asked":{},"gateway":"","id":'
    b'"01a208b8-16d7-71c2-b7d0-9e1a11e8d65a","judged":{},"kind":"decision","mode":"enforce",'
    b'"parent":null,"resource":"","session":"","tier":"","tool":"mail.send","user":"","version":1}\n'
    b'{"at": "2026-11-23T14:03:31.939321Z", "code": "", "check": "", "effect": "allow",'
    b' "settled": {}}'
)


def a_row(**changes: Any) -> dict[str, Any]:
    return {
        "id": UUID("01a208b8-16d7-71c2-b7d0-9e1a11e8d65a"),
        "at": datetime(2026, 11, 23, 14, 3, 31, 939321, tzinfo=UTC),
        "version": 1,
        "kind": "decision",
        "agent": "desk",
        "user": "",
        "gateway": "",
        "actor": "desk",
        "tool": "mail.send",
        "resource": "",
        "effect": "allow",
        "check": "",
        "code": "",
        "tier": "",
        "session": "",
        "parent": None,
        "mode": "enforce",
        "body": BODY,
        "leaf": bytes.fromhex("60e8c1a2e23874000066a77a4fdd2c16e5aa2b86986cdcfa79d6dac3405eea90"),
        **changes,
    }


def with_body(body: bytes) -> dict[str, Any]:
    return a_row(body=body, leaf=leaf.leaf_of(body))


def test_the_leaf_of_the_first_release_never_changes() -> None:
    assert (
        leaf.leaf_of(BODY).hex()
        == "60e8c1a2e23874000066a77a4fdd2c16e5aa2b86986cdcfa79d6dac3405eea90"
    )
    assert leaf.leaf_of(b"") == hashlib.sha256(b"\x00").digest()


def test_a_true_row_has_no_faults_however_its_time_is_written() -> None:
    elsewhere = a_row()["at"].astimezone(timezone(timedelta(hours=5, minutes=30)))

    rows = [a_row(), a_row(at=elsewhere), a_row(at="2026-11-23T14:03:31.939321Z")]

    assert [leaf.faults(row) for row in rows] == [[], [], []]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", UUID("01a208b8-16d7-71c2-b7d0-9e1a11e8d65b")),
        ("at", datetime(2026, 11, 23, 14, 3, 31, 939322, tzinfo=UTC)),
        ("version", 2),
        ("version", True),
        ("version", "1"),
        ("kind", "outcome"),
        ("agent", "other"),
        ("user", "p-1"),
        ("gateway", "edge"),
        ("actor", "p-1"),
        ("tool", "mail.sent"),
        ("resource", "x"),
        ("effect", "deny"),
        ("check", "policy"),
        ("code", "x"),
        ("tier", "public"),
        ("session", "s"),
        ("parent", UUID("01a208b8-16d7-71c2-b7d0-9e1a11e8d65a")),
        ("parent", ""),
        ("mode", "observe"),
    ],
)
def test_a_changed_column_is_named(column: str, value: Any) -> None:
    assert leaf.faults(a_row(**{column: value})) == [f"the column {column} differs from the body"]


def test_every_changed_byte_of_the_body_is_noticed() -> None:
    for place in range(len(BODY)):
        changed = BODY[:place] + bytes([BODY[place] ^ 1]) + BODY[place + 1 :]
        assert leaf.faults(a_row(body=changed))[0] == "the leaf is not the hash of the body"


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", "the body has 1 lines, not 2"),
        (BODY + b"\n", "the body has 3 lines, not 2"),
        (b"[]\n{}", "a line of the body is not an object"),
        (b'{"a":1}\n{"a":1}', "both lines say ['a']"),
        (b'{"a":1,"a":2}\n{}', "the body is not JSON: a key stands twice in one object"),
    ],
)
def test_a_body_of_another_shape_is_refused(body: bytes, fault: str) -> None:
    assert leaf.faults(with_body(body)) == [fault]


def test_a_body_that_lacks_a_column_is_named() -> None:
    first, second = BODY.split(b"\n")
    said = json.loads(first)
    del said["tier"]

    assert leaf.faults(with_body(json.dumps(said).encode() + b"\n" + second)) == [
        "the body lacks tier"
    ]


def test_it_needs_neither_django_nor_settings() -> None:
    code = "import sys, audit.leaf; print(sorted(m for m in sys.modules if 'django' in m))"

    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={}
    )

    assert told.stdout == "[]\n"
