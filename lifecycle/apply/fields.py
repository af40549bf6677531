"""Readers: one node in, one plain value out, every problem noted where it stands.

A reader never raises. What it cannot read it notes in `Reading.problems`, and it answers None;
an inventory with a problem is never compared with the register, so that None goes nowhere.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from authz.cases import PolicyCase, read_cases
from authz.services.prices import plain_number
from governance.kernel import clock
from governance.kernel.errors import Invalid
from lifecycle.apply.nodes import Node
from lifecycle.apply.problems import Place, Problem, nearest, shown

MAX_POLICY_BYTES = 64 * 1024

Json = Any


@dataclass(frozen=True, slots=True)
class Reference:
    """The wish that `kind` holds something named `key`."""

    kind: str
    key: str
    place: Place


@dataclass(slots=True)
class Reading:
    """What came up while an inventory was read."""

    folder: Path
    problems: list[Problem] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)

    def refuse(self, place: Place, message: str) -> None:
        self.problems.append(Problem(place, message))


Reader = Callable[[Node, Reading], Json]


def column(model: type[models.Model], name: str) -> Reader:
    """A value that the model's field `name` takes, by that field's own rules."""
    return _by_rules_of(model._meta.get_field(name))


def columns(model: type[models.Model], name: str) -> Reader:
    """A list of values that the model's array field `name` takes."""
    wanted: Any = model._meta.get_field(name)
    return many(_by_rules_of(wanted.base_field))


def _by_rules_of(wanted: Any) -> Reader:
    def read(node: Node, reading: Reading) -> Json:
        if wanted.null and node.is_null:
            return None
        value = _of_type(wanted, node, reading)
        if value is None:
            return None
        try:
            cleaned = wanted.clean(value, None)
        except ValidationError as error:
            message = " ".join(error.messages)
            if wanted.choices and isinstance(value, str):
                message = _choices(value, [str(key) for key, _ in wanted.choices])
            reading.refuse(node.place, message)
            return None
        if isinstance(cleaned, Decimal):
            return plain_number(cleaned)
        return cleaned.isoformat() if isinstance(cleaned, datetime.date) else cleaned

    return read


def _of_type(wanted: Any, node: Node, reading: Reading) -> Json:
    """The scalar, if it has the field's type: a number is not silently taken for a text."""
    if isinstance(wanted, models.BooleanField):
        return boolean(node, reading)
    if isinstance(wanted, models.IntegerField):
        return integer(node, reading)
    if isinstance(wanted, models.DateField):
        return _date(node, reading)
    return text(node, reading)


def _choices(value: str, known: Sequence[str]) -> str:
    return f"{shown(value)} is none of: {', '.join(known)}.{nearest(value, known)}"


def text(node: Node, reading: Reading) -> str | None:
    if isinstance(node.scalar, str):
        return node.scalar
    hint = " Write it in quotes." if node.scalar is not None else ""
    reading.refuse(node.place, f"A text is wanted here.{hint}")
    return None


def boolean(node: Node, reading: Reading) -> bool | None:
    if isinstance(node.scalar, bool):
        return node.scalar
    reading.refuse(node.place, "true or false is wanted here.")
    return None


def integer(node: Node, reading: Reading) -> int | None:
    if isinstance(node.scalar, int) and not isinstance(node.scalar, bool):
        return node.scalar
    reading.refuse(node.place, "A whole number is wanted here, without quotes.")
    return None


def _date(node: Node, reading: Reading) -> str | None:
    if isinstance(node.scalar, str):
        try:
            day = datetime.date.fromisoformat(node.scalar)
            if len(node.scalar) == len("2026-11-23") and clock.is_usable(day):
                return day.isoformat()
        except ValueError:
            pass
    reading.refuse(node.place, "A date is wanted here, such as 2026-11-23.")
    return None


def one_of(known: Sequence[str], refused: Mapping[str, str] | None = None) -> Reader:
    """One of `known`; `refused` maps words that exist, but not here, to the reason."""

    def read(node: Node, reading: Reading) -> str | None:
        value = text(node, reading)
        if value is None or value in known:
            return value
        reason = (refused or {}).get(value) or _choices(value, known)
        reading.refuse(node.place, reason)
        return None

    return read


def to(kind: str, *, optional: bool = False) -> Reader:
    """The key of one thing of `kind`, on the register or elsewhere in the inventory."""

    def read(node: Node, reading: Reading) -> str | None:
        if optional and node.is_null:
            return None
        value = text(node, reading)
        if value is None:
            return None
        key = value.lower() if kind == "people" else value
        reading.references.append(Reference(kind, key, node.place))
        return key

    return read


def many(reader: Reader) -> Reader:
    """A list of words, each once; the order says nothing, so it is sorted."""

    def read(node: Node, reading: Reading) -> list[Json]:
        found: dict[Json, Place] = {}
        for item in _items(node, reading):
            value = reader(item, reading)
            if value is None:
                continue
            if value in found:
                reading.refuse(item.place, f"{shown(str(value))} stands twice in this list.")
            found[value] = item.place
        return sorted(found)

    return read


def _items(node: Node, reading: Reading) -> list[Node]:
    if node.items is None:
        reading.refuse(node.place, "A list is wanted here.")
        return []
    return node.items


def json(node: Node, reading: Reading) -> Json:
    """Any mapping, as JSON would have it."""
    if node.entries is None:
        reading.refuse(node.place, "A mapping is wanted here.")
        return None
    return node.plain()


def choices(node: Node, reading: Reading) -> dict[str, Json]:
    """What was chosen for each place of a template: a text, or a list of texts."""
    found: dict[str, Json] = {}
    if node.entries is None:
        reading.refuse(node.place, "A mapping is wanted here, from a choice to what was chosen.")
    for name, value in (node.entries or {}).items():
        found[name] = text(value, reading) if value.items is None else many(text)(value, reading)
    return found


def optional_text(node: Node, reading: Reading) -> str | None:
    return None if node.is_null else text(node, reading)


def mapping(fields: Mapping[str, Reader], required: Iterable[str] = ()) -> Reader:
    """A mapping of known keys; what it holds, no defaults."""

    def read(node: Node, reading: Reading) -> dict[str, Json]:
        return read_mapping(node, reading, fields, required)

    return read


def read_mapping(
    node: Node, reading: Reading, fields: Mapping[str, Reader], required: Iterable[str] = ()
) -> dict[str, Json]:
    """The values under known keys; unknown and missing keys are noted."""
    if node.entries is None:
        reading.refuse(node.place, f"A mapping is wanted here, with {', '.join(fields)}.")
        return {}
    for name in required:
        if name not in node.entries:
            reading.refuse(node.place, f"The key “{name}” is missing.")
    found: dict[str, Json] = {}
    for name, value in node.entries.items():
        if reader := fields.get(name):
            found[name] = reader(value, reading)
        else:
            message = f"{shown(name)} is not a key here.{nearest(name, list(fields))}"
            reading.refuse(node.keys[name], message)
    return found


def keyed(
    fields: Mapping[str, Reader],
    *,
    key: Sequence[str],
    defaults: Mapping[str, Json],
    required: Sequence[str] = (),
    removable: bool = True,
    short: str = "",
) -> Reader:
    """A list of entries that have a key of their own; each entry is written whole.

    An entry is removed by `absent: true`; one that is not listed is left alone. With `short`, a
    bare text stands for an entry that has only that field.
    """
    known = {**fields, "absent": boolean} if removable else dict(fields)
    named = [part for part in key if part not in defaults]

    def read_one(node: Node, reading: Reading) -> dict[str, Json]:
        if short and isinstance(node.scalar, str):
            return {**defaults, short: fields[short](node, reading)}
        absent = bool(node.entries and "absent" in node.entries)
        entry = read_mapping(node, reading, known, named if absent else [*named, *required])
        if entry.pop("absent", False):
            if extra := sorted(set(entry) - set(key)):
                reading.refuse(node.place, f"What is absent has no {', '.join(extra)}.")
            return {name: entry.get(name, defaults.get(name)) for name in key} | {"absent": True}
        return {**defaults, **entry}

    def read(node: Node, reading: Reading) -> list[dict[str, Json]]:
        found: dict[tuple[str, ...], dict[str, Json]] = {}
        for item in _items(node, reading):
            entry = read_one(item, reading)
            name = tuple(str(entry.get(part)) for part in key)
            if name in found:
                reading.refuse(item.place, f"{shown(' '.join(name))} stands twice in this list.")
            found[name] = entry
        return [found[name] for name in sorted(found)]

    return read


def policy_cases(node: Node, reading: Reading) -> list[Json] | None:
    """The cases of a policy, each in the one shape that is compared and stored."""
    read = [_policy_case(item, reading) for item in _items(node, reading)]
    found = [case.document() for case in read if case]
    try:
        if len(found) == len(read):
            read_cases(found)
    except Invalid as error:
        reading.refuse(node.place, error.message)
    return found


def _policy_case(node: Node, reading: Reading) -> PolicyCase | None:
    try:
        (case,) = read_cases([node.plain()])
    except Invalid as error:
        reading.refuse(node.place, error.message.removeprefix("Case 1: "))
        return None
    return replace(case, person=case.person.lower(), user=case.user.lower())


def file_text(node: Node, reading: Reading) -> str | None:
    """The text of a file beside the inventory: inside its folder, wherever links lead."""
    name = text(node, reading)
    if name is None:
        return None
    folder = reading.folder.resolve()
    try:
        path = (Path(node.place.file).parent / name).resolve()
        if not path.is_relative_to(folder):
            raise ValueError("it lies outside the folder that is applied")
        if not path.is_file():
            raise ValueError("there is no such file")
        raw = path.read_bytes() if path.stat().st_size <= MAX_POLICY_BYTES else None
        if raw is None:
            raise ValueError(f"it is larger than {MAX_POLICY_BYTES // 1024} KiB")
        return raw.decode()
    except (OSError, ValueError) as error:
        reading.refuse(node.place, f"The file {shown(name)} cannot be read: {_why(error)}.")
        return None


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    return (error.strerror or "") if isinstance(error, OSError) else str(error)
