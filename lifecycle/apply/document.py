"""An inventory: one file or a folder of them, read whole, checked whole, before anything else."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lifecycle.apply.fields import Reading, Reference, read_mapping
from lifecycle.apply.kinds import KINDS, PERSON_WORDS, RELATIONSHIPS, VERSION, Kind
from lifecycle.apply.nodes import MAX_BYTES, Node, read_yaml
from lifecycle.apply.problems import BadInventory, Place, Problem, nearest, shown

MAX_FILES = 1_000
MOST_GUESSED = 20
STDIN = "-"

Key = tuple[str, ...]
Json = Any


@dataclass(frozen=True, slots=True)
class Item:
    """One thing as the inventory wants it: only the fields that it names."""

    kind: str
    key: Key
    place: Place
    fields: Mapping[str, Json]
    orders: Mapping[str, Json] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)
    absent: bool = False

    @property
    def label(self) -> str:
        """How the item is called in plans and messages."""
        if self.kind == "relationships":
            return "{}:{}#{}@{}:{}".format(*self.key)
        return self.key[0]


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything that was read: kind → key → item, in the order of the files."""

    items: Mapping[str, Mapping[Key, Item]]
    references: tuple[Reference, ...]

    def of(self, kind: str) -> Mapping[Key, Item]:
        return self.items.get(kind, {})

    def __iter__(self) -> Iterator[Item]:
        for items in self.items.values():
            yield from items.values()


def read_inventory(path: str | Path) -> Inventory:
    """The inventory in the file or folder `path` (`-`: standard input).

    Raises BadInventory with every problem that there is.
    """
    path = str(path)
    reading = Reading(_folder(path))
    items: dict[str, dict[Key, Item]] = {name: {} for name in KINDS}
    for name, raw in _files(path):
        node, problems = read_yaml(raw, name)
        reading.problems.extend(problems)
        if node is not None:
            _read_document(node, reading, items)
        elif not problems:
            reading.refuse(Place(name), f"The file is empty. Start with `muster: {VERSION}`.")
    if reading.problems:
        raise BadInventory(reading.problems)
    return Inventory(items, tuple(reading.references))


def _folder(path: str) -> Path:
    if path == STDIN:
        return Path.cwd()
    return Path(path) if Path(path).is_dir() else Path(path).parent


def _files(path: str) -> Iterator[tuple[str, bytes]]:
    if path == STDIN:
        yield "<stdin>", sys.stdin.buffer.read(MAX_BYTES + 1)
        return
    for each in _names(Path(path)):
        try:
            with each.open("rb") as file:
                yield str(each), file.read(MAX_BYTES + 1)
        except OSError as error:
            problem = Problem(Place(str(each)), f"The file cannot be read: {error.strerror}.")
            raise BadInventory([problem]) from error


def _names(path: Path) -> list[Path]:
    """The file itself, or every *.yaml and *.yml below the folder, hidden ones left out."""
    if not path.is_dir():
        return [path]
    found = sorted(
        each
        for each in path.rglob("*")
        if each.suffix in {".yaml", ".yml"} and each.is_file() and not _hidden(each, path)
    )
    if not found:
        raise BadInventory([Problem(Place(str(path)), "The folder holds no *.yaml file.")])
    if len(found) > MAX_FILES:
        message = f"The folder holds more than {MAX_FILES:,} files."
        raise BadInventory([Problem(Place(str(path)), message)])
    return found


def _hidden(each: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in each.relative_to(folder).parts)


def _read_document(node: Node, reading: Reading, items: dict[str, dict[Key, Item]]) -> None:
    if node.entries is None:
        reading.refuse(node.place, f"An inventory is a mapping that starts with muster: {VERSION}.")
        return
    _check_version(node, reading)
    for name, value in node.entries.items():
        if kind := KINDS.get(name):
            _read_kind(kind, value, reading, items[name])
        elif name != "muster":
            message = f"{shown(name)} is not a kind.{nearest(name, [*KINDS, 'muster'])}"
            reading.refuse(node.keys[name], message)


def _check_version(node: Node, reading: Reading) -> None:
    version = (node.entries or {}).get("muster")
    if version is None:
        reading.refuse(node.place, f"The key “muster” is missing. Start with `muster: {VERSION}`.")
    elif version.scalar is True or version.scalar != VERSION:
        reading.refuse(version.place, f"Only version {VERSION} of the format can be read.")


def _read_kind(kind: Kind, node: Node, reading: Reading, found: dict[Key, Item]) -> None:
    if node.items is None:
        if not node.is_null:
            reading.refuse(node.place, f"A list of {kind.name} is wanted here.")
        return
    folded = {_fold(key): key for key in found}
    for each in node.items:
        item = _read_item(kind, each, reading)
        if item is None:
            continue
        if twin := folded.get(_fold(item.key)):
            _refuse_twin(item, found[twin], reading)
            continue
        folded[_fold(item.key)] = item.key
        found[item.key] = item


def _fold(key: Key) -> Key:
    """Names that differ in case alone are one name, but for ids that come from elsewhere."""
    return key if len(key) > 1 else (key[0].casefold(),)


def _refuse_twin(item: Item, first: Item, reading: Reading) -> None:
    where = f"{first.place.file}:{first.place.line}"
    reading.refuse(item.place, f"{shown(item.label)} stands twice, first in {where}.")


def _read_item(kind: Kind, node: Node, reading: Reading) -> Item | None:
    """The item, or None when it has no key to go by."""
    before = len(reading.problems)
    values = read_mapping(node, reading, kind.readers, kind.key)
    absent = bool(values.pop("absent", False))
    orders = {name: values.pop(name) for name in kind.orders if name in values}
    places = {name: value.place for name, value in (node.entries or {}).items()}
    _take_file(orders, values, places, reading)
    if kind is RELATIONSHIPS and values.get("subject_type") in PERSON_WORDS:
        _take_person(values, places, reading)
    key = tuple(str(values.get(name) or "") for name in kind.key)
    if kind.name == "people":
        key = (key[0].lower(),)
        values["email"] = key[0]
    item = Item(kind.name, key, node.place, values, orders, places, absent)
    _check_item(kind, item, reading)
    return item if len(reading.problems) == before or all(key) else None


def _check_item(kind: Kind, item: Item, reading: Reading) -> None:
    if item.absent:
        if kind.stays:
            reading.refuse(item.places["absent"], kind.stays)
        elif extra := sorted(set(item.fields) - set(kind.key)):
            reading.refuse(item.place, f"What is absent has no {', '.join(extra)}.")


def _take_person(values: dict[str, Json], places: Mapping[str, Place], reading: Reading) -> None:
    """A relationship's subject who is a person goes by e-mail address."""
    if values.get("subject_id"):
        values["subject_id"] = values["subject_id"].lower()
        reading.references.append(Reference("people", values["subject_id"], places["subject_id"]))


def _take_file(
    orders: dict[str, Json], values: dict[str, Json], places: dict[str, Place], reading: Reading
) -> None:
    """A policy's text may lie in a file of its own."""
    if "file" not in orders:
        return
    if "text" in values:
        reading.refuse(places["file"], "A policy has either a text or a file, not both.")
    values["text"] = orders.pop("file")
    places["text"] = places["file"]


def dangling(inventory: Inventory, known: Mapping[str, Iterable[str]]) -> list[Problem]:
    """References to what is neither in the inventory nor in `known` (kind → keys)."""
    names = {
        kind: {key[0] for key in inventory.of(kind)} | set(keys) for kind, keys in known.items()
    }
    missing = [one for one in inventory.references if one.key not in names[one.kind]]
    return [
        Problem(
            one.place,
            f"There is no {_SINGULAR[one.kind]} {shown(one.key)}, here or on the register."
            # Looking for the most alike is slow: enough for a slip, not for a wrong file.
            + (nearest(one.key, sorted(names[one.kind])) if number < MOST_GUESSED else ""),
        )
        for number, one in enumerate(missing)
    ]


REFERRED = ("people", "systems", "tools", "roles", "agents")
_SINGULAR = {
    "people": "person",
    "systems": "system",
    "tools": "tool",
    "roles": "role",
    "agents": "agent",
}
