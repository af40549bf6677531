"""What can be checked of one entry alone. Imports nothing but the standard library."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

VERSION = 1
# The columns that the body repeats: what Python wrote (line 1) and what the database did (line 2).
ASKED_COLUMNS = (
    "id", "version", "kind", "agent", "user", "gateway", "actor", "tool", "resource", "tier",
    "session", "parent", "mode",
)  # fmt: skip
SETTLED_COLUMNS = ("at", "effect", "check", "code")
COLUMNS = ASKED_COLUMNS + SETTLED_COLUMNS


class BadBody(ValueError):
    """The body is not two lines of JSON objects with unique keys."""


def leaf_of(body: bytes) -> bytes:
    """The RFC 6962 leaf hash of the stored bytes."""
    return hashlib.sha256(b"\x00" + body).digest()


def parse_body(body: bytes) -> dict[str, Any]:
    """Both lines of the body as one mapping. Raises `BadBody`."""
    lines = body.split(b"\n")
    if len(lines) != 2:
        raise BadBody(f"the body has {len(lines)} lines, not 2")
    try:
        first, second = (json.loads(line, object_pairs_hook=_unique) for line in lines)
    except (ValueError, RecursionError) as error:
        raise BadBody(f"the body is not JSON: {error}") from error
    if not (isinstance(first, dict) and isinstance(second, dict)):
        raise BadBody("a line of the body is not an object")
    if repeated := first.keys() & second.keys():
        raise BadBody(f"both lines say {sorted(repeated)}")
    return first | second


def faults(row: Mapping[str, Any]) -> list[str]:
    """What is wrong with an entry: its leaf, its body, or a column that says otherwise.

    `row` has the columns under their own names, `body` and `leaf` as bytes; `at` may be a text
    as in the body or a datetime, ids texts or UUIDs.
    """
    body, found = bytes(row["body"]), []
    if leaf_of(body) != bytes(row["leaf"]):
        found.append("the leaf is not the hash of the body")
    try:
        said = parse_body(body)
    except BadBody as error:
        return [*found, str(error)]
    for column in COLUMNS:
        if column not in said:
            found.append(f"the body lacks {column}")
        elif type(said[column]) is not type(_plain(row[column])) or said[column] != _plain(
            row[column]
        ):
            found.append(f"the column {column} differs from the body")
    return found


def instant(at: datetime) -> str:
    """`at` as the body writes it."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return instant(value)
    return str(value) if isinstance(value, UUID) else value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found
