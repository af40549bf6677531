"""What an inventory would change: a comparison of two descriptions, no database."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lifecycle.apply.current import Register
from lifecycle.apply.document import Inventory, Item, Key
from lifecycle.apply.kinds import KINDS, Kind
from lifecycle.apply.problems import Problem

Json = Any
Entry = Mapping[str, Json]


class Verb(StrEnum):
    CREATE = "create"
    CHANGE = "change"
    REMOVE = "remove"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Difference:
    """One field, or one entry of a field, before and after; None is nothing at all."""

    field: str
    before: Json
    after: Json


@dataclass(slots=True)
class Step:
    """What becomes of one item. `waits` and `notes` are filled in while it is carried out."""

    item: Item
    verb: Verb
    current: Mapping[str, Json]
    differences: tuple[Difference, ...] = ()
    waits: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def differs(self, name: str) -> bool:
        """Whether the field `name` is wanted otherwise than it is."""
        return any(
            one.field == name or one.field.startswith(f"{name} ") for one in self.differences
        )

    def changed(self, names: Sequence[str]) -> dict[str, Json]:
        """Those of the plain fields `names` that differ, with the wanted values."""
        return {name: self.item.fields[name] for name in names if self.differs(name)}

    def entries(self, name: str) -> list[tuple[Entry, Entry | None]]:
        """The entries of `name` that differ: what is wanted, what is there."""
        key = KINDS[self.item.kind].entries[name]
        return list(_differing(key, self.item.fields.get(name, ()), self.current.get(name, ())))


def make_plan(inventory: Inventory, register: Register) -> list[Step]:
    """A step for every item, in the order of the kinds."""
    return [_step(item, register.get(item.kind, {}).get(item.key)) for item in inventory]


def incomplete(plan: Sequence[Step]) -> list[Problem]:
    """What new items must say and do not."""
    return [
        Problem(step.item.place, f"The key “{name}” is missing for what is new: {_label(step)}.")
        for step in plan
        if step.verb == Verb.CREATE
        for name in KINDS[step.item.kind].required
        if name not in step.item.fields
    ]


def _label(step: Step) -> str:
    return f"{step.item.kind} {step.item.label}"


def _step(item: Item, current: Mapping[str, Json] | None) -> Step:
    if item.absent:
        return Step(item, Verb.KEEP if current is None else Verb.REMOVE, current or {})
    if current is None:
        return Step(item, Verb.CREATE, {}, tuple(_differences(item, {})))
    found = tuple(_differences(item, current))
    return Step(item, Verb.CHANGE if found else Verb.KEEP, current, found)


def _differences(item: Item, current: Mapping[str, Json]) -> Iterator[Difference]:
    kind = KINDS[item.kind]
    for name in kind.fields:
        if name not in item.fields or (name in kind.key and not current):
            continue
        wanted, there = item.fields[name], current.get(name)
        if name in kind.entries:
            yield from _entry_differences(kind, name, wanted, there or ())
        elif not current or not same(wanted, there):
            yield Difference(name, there, wanted)


def _entry_differences(
    kind: Kind, name: str, wanted: Sequence[Entry], there: Sequence[Entry]
) -> Iterator[Difference]:
    key = kind.entries[name]
    for after, before in _differing(key, wanted, there):
        label = " ".join(str(after[part]) for part in key)
        yield Difference(
            f"{name} {label}",
            _rest(before, key) if before is not None else None,
            None if after.get("absent") else _rest(after, key),
        )


def _differing(
    key: Sequence[str], wanted: Sequence[Entry], there: Sequence[Entry]
) -> Iterator[tuple[Entry, Entry | None]]:
    known = {_entry_key(one, key): one for one in there}
    for after in wanted:
        before = known.get(_entry_key(after, key))
        if after.get("absent"):
            if before is not None:
                yield after, before
        elif before is None or not same(after, before):
            yield after, before


def _entry_key(entry: Entry, key: Sequence[str]) -> Key:
    return tuple(str(entry[part]) for part in key)


def _rest(entry: Entry, key: Sequence[str]) -> dict[str, Json]:
    """What an entry says besides its key; what says nothing is left out."""
    return {name: one for name, one in entry.items() if name not in key and not _empty(one)}


def _empty(value: Json) -> bool:
    return value is None or value in ("", [], {})


def same(one: Json, other: Json) -> bool:
    """Equal as JSON: `true` is not 1, and the order of keys says nothing."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
