"""What real directories send that is not quite the standard, told in the standard's words. Pure.

Entra ID names whom a group loses in `value`, writes a manager as a bare id, and puts paths where
names belong; what it adds to an address of a type makes that address. Refused, each of these
would leave someone in a group or in a job that they are out of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lifecycle.scim.protocol import ENTERPRISE

Operation = dict[str, Any]
_OF_TYPE = re.compile(r'(\w{1,60})\[\s*type\s+eq\s+"([^"\\]{1,60})"\s*\]\.\w{1,60}', re.I)
_MANAGER = {f"{ENTERPRISE}:manager".lower(), "manager"}


def standard(body: dict[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """The same PATCH by RFC 7644; `said` is what is kept of its resource until now."""
    name = next((each for each in body if each.lower() == "operations"), "")
    found = body.get(name)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        return body
    plain = [part for each in found for part in _parts(each)]
    return {**body, name: list(_with_what_they_need(plain, said))}


def _parts(operation: Operation) -> Iterator[Operation]:
    """One operation as those that the standard has for it."""
    word, value = str(operation.get("op", "")).lower(), operation.get("value")
    if word == "remove" and _names_members(operation):
        yield from _removals(operation, value)
    elif word in {"add", "replace"} and not operation.get("path") and isinstance(value, dict):
        yield from _spread(operation, value)
    else:
        yield _with_manager(operation, word)


def _names_members(operation: Operation) -> bool:
    """Whether it says in `value` whom a group loses: with none of them, it loses nobody."""
    path = operation.get("path")
    return (
        isinstance(path, str) and path.lower() == "members" and operation.get("value") is not None
    )


def _removals(operation: Operation, value: Any) -> Iterator[Operation]:
    rest = {name: each for name, each in operation.items() if name not in {"value", "path"}}
    for each in value if isinstance(value, list) else [value]:
        one = each.get("value") if isinstance(each, dict) else each
        if not isinstance(one, str):
            # The protocol says what is wrong with it.
            yield operation
            return
        yield {**rest, "path": f"members[value eq {json.dumps(one)}]"}


def _spread(operation: Operation, value: Mapping[str, Any]) -> Iterator[Operation]:
    """What stands under a name as it is; what stands under a path as an operation of its own."""
    names = {name: _manager_in(name, each) for name, each in value.items() if not _is_path(name)}
    if names or not value:
        yield {**operation, "value": names}
    for name, each in value.items():
        if _is_path(name):
            yield _with_manager({**operation, "path": name, "value": each}, "add")


def _is_path(name: str) -> bool:
    """An attribute of an extension, a part of an attribute, or one of several; no schema's URN."""
    if name.lower().startswith("urn:"):
        return not re.fullmatch(r"urn:[^\[\]]*:\d+\.\d+:\w+", name, re.I)
    return "." in name or "[" in name


def _manager_in(name: str, value: Any) -> Any:
    if name.lower() != ENTERPRISE.lower() or not isinstance(value, dict):
        return value
    return {
        each: {"value": said} if each.lower() == "manager" and isinstance(said, str) else said
        for each, said in value.items()
    }


def _with_manager(operation: Operation, word: str) -> Operation:
    """A manager is named by an id in `value`; an empty one is nobody."""
    path, value = str(operation.get("path", "")).lower(), operation.get("value")
    if path not in _MANAGER or word not in {"add", "replace"} or not isinstance(value, str):
        return operation
    if not value.strip():
        return {"op": "remove", "path": operation["path"]}
    return {**operation, "value": {"value": value}}


def _with_what_they_need(
    operations: list[Operation], said: Mapping[str, Any]
) -> Iterator[Operation]:
    """Before something is added to a value of a type that there is none of, that value."""
    kept = {name.lower(): value for name, value in said.items()}
    there = {
        (name, str(each.get("type", "")).lower())
        for name, value in kept.items()
        if isinstance(value, list)
        for each in value
        if isinstance(each, dict)
    }
    for operation in operations:
        wanted = _OF_TYPE.fullmatch(str(operation.get("path", "")))
        if wanted and str(operation.get("op", "")).lower() == "add":
            key = (wanted[1].lower(), wanted[2].lower())
            if key not in there:
                there.add(key)
                yield {"op": "add", "path": wanted[1], "value": [{"type": wanted[2]}]}
        yield operation
