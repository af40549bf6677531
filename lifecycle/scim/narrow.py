"""Changes of a large group that name each member they are about.

Such a change says nothing of the other members, so these need not be read, checked and written
again: ten thousand of them take a second, the one that joins takes as long as in a group of ten.
What names no member by its id, such as a replacement of all of them, takes the long way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import re2

from lifecycle.scim.protocol import uuid_of

# Up to this size a group is read whole.
LARGE = 200
MEMBERS = "members"
_ONE = re2.compile(r'(?i)^members\[\s*value\s+eq\s+"([0-9a-f-]{36})"\s*\]$')

Json = Any


def named_members(patch: Json) -> frozenset[UUID] | None:
    """The members whom the operations of a PATCH are about; None where it may be about others."""
    operations = _lowered(patch).get("operations")
    if not isinstance(operations, list):
        return None
    named = [found for each in operations for found in _named_by(_lowered(each))]
    return None if None in named else frozenset(pk for pk in named if pk)


def _lowered(value: Json) -> dict[str, Json]:
    """An object by its names as SCIM compares them; empty where one is said twice."""
    if not isinstance(value, dict):
        return {}
    found = {name.lower(): each for name, each in value.items()}
    return found if len(found) == len(value) else {}


def _named_by(operation: Mapping[str, Json]) -> Iterator[UUID | None]:
    """None stands for members who are not named."""
    op, path = str(operation.get("op", "")).lower(), str(operation.get("path") or "")
    value = operation.get("value")
    if one := _ONE.match(path):
        yield uuid_of(one[1]) if op == "remove" else None
    elif path.lower() == MEMBERS and op in ("add", "remove"):
        yield from _listed(value)
    elif MEMBERS in path.lower():
        yield None
    elif not path:
        yield from _in_whole(op, value)


def _in_whole(op: str, value: Json) -> Iterator[UUID | None]:
    """An operation without a path names attributes in its value."""
    for name, said in _lowered(value).items() or [(MEMBERS, None)]:
        if name == MEMBERS and op == "add":
            yield from _listed(said)
        elif MEMBERS in name:
            yield None


def _listed(value: Json) -> Iterator[UUID | None]:
    for each in value if isinstance(value, list) else [value]:
        yield uuid_of(_lowered(each).get("value"))
