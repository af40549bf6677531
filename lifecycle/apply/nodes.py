"""YAML into plain nodes that know where they stand.

Read from the event stream and never through a constructor: no tag can name a type, no alias can
grow beyond the budget, no nesting can exhaust the stack. Plain scalars follow the core schema of
YAML 1.2, so that `NO` is a country and 2026-11-23 a text; quote a number to have it as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from governance.kernel.strict_json import MAX_INTEGER
from lifecycle.apply.problems import Place, Problem, shown

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 32
MAX_KEYS = 1_000
MAX_VALUES = 500_000

Scalar = str | int | float | bool | None

_INTEGER = re.compile(r"[-+]?[0-9]{1,17}\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?\Z")
_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_Loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


@dataclass(slots=True, eq=False)
class Node:
    """One value. `entries` is set for a mapping, `items` for a list, else it is `scalar`."""

    place: Place
    scalar: Scalar = None
    items: list[Node] | None = None
    entries: dict[str, Node] | None = None
    keys: dict[str, Place] = field(default_factory=dict)
    size: int = 1

    def plain(self) -> Any:
        """The value without its places: what `json` would have given."""
        if self.entries is not None:
            return {key: value.plain() for key, value in self.entries.items()}
        if self.items is not None:
            return [item.plain() for item in self.items]
        return self.scalar

    @property
    def is_null(self) -> bool:
        """Whether nothing was written here."""
        return self.scalar is None and self.items is None and self.entries is None


class _Stop(Exception):
    """The file cannot be read any further."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(place, message)


def read_yaml(raw: bytes, file: str) -> tuple[Node | None, list[Problem]]:
    """The one document in `raw`, and everything that is wrong with it as YAML."""
    reader = _Reader(file)
    try:
        return reader.read(_decode(raw, file)), reader.problems
    except _Stop as stop:
        return None, [*reader.problems, stop.problem]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
        sentence = f"This is not YAML: {error.problem or error.context}."
        return None, [*reader.problems, Problem(place, sentence)]
    except yaml.YAMLError as error:
        return None, [*reader.problems, Problem(Place(file), f"This is not YAML: {error}.")]


def _decode(raw: bytes, file: str) -> str:
    if len(raw) > MAX_BYTES:
        raise _Stop(Place(file), f"The file is larger than {MAX_BYTES // 1024**2} MiB.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _Stop(Place(file, line), "The file is not UTF-8.") from error
    if found := _UNPRINTABLE.search(text):
        line = text.count("\n", 0, found.start()) + 1
        column = found.start() - text.rfind("\n", 0, found.start())
        code = f"U+{ord(found[0]):04X}"
        raise _Stop(Place(file, line, column), f"The character {code} is not allowed in YAML.")
    return text


class _Reader:
    """Builds nodes from events, with a stack of its own instead of recursion."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.values = 0
        self.anchors: dict[str, Node] = {}
        self.open: list[tuple[Node, str]] = []
        self.key: list[tuple[str, Place] | None] = []
        self.root: Node | None = None

    def read(self, text: str) -> Node | None:
        documents = 0
        for event in _events(text):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Stop(self._place(event), "A file holds one document, this is a second.")
            elif isinstance(event, yaml.NodeEvent):
                self._begin(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._end()
        return self.root

    def _place(self, event: yaml.Event) -> Place:
        mark: Any = event.start_mark
        return Place(self.file, mark.line + 1, mark.column + 1)

    def _refuse(self, place: Place, message: str) -> None:
        self.problems.append(Problem(place, message))

    def _begin(self, event: yaml.NodeEvent) -> None:
        place = self._place(event)
        if isinstance(event, yaml.AliasEvent):
            node = self._aliased(event.anchor or "", place)
        else:
            node = self._fresh(event, place)
        self._spend(node.size, place)
        if isinstance(event, yaml.CollectionStartEvent):
            self._open(node, event.anchor or "", place)
        else:
            if event.anchor and not isinstance(event, yaml.AliasEvent):
                self.anchors[event.anchor] = node
            self._attach(node)

    def _fresh(self, event: yaml.NodeEvent, place: Place) -> Node:
        tag = getattr(event, "tag", None)
        if tag and tag != "!":
            self._refuse(place, f"Tags such as {shown(str(tag))} are not read. Leave it out.")
        if isinstance(event, yaml.MappingStartEvent):
            return Node(place, entries={})
        if isinstance(event, yaml.SequenceStartEvent):
            return Node(place, items=[])
        return Node(place, scalar=self._scalar(event, place))

    def _scalar(self, event: Any, place: Place) -> Scalar:
        text: str = event.value
        if "\0" in text:
            self._refuse(place, "The character NUL is not allowed.")
        if not event.implicit[0]:
            return text
        if text in _WORDS:
            return _WORDS[text]
        try:
            return _number(text)
        except ValueError:
            self._refuse(place, "The number is too large. Write it in quotes, as text.")
            return text

    def _aliased(self, anchor: str, place: Place) -> Node:
        if anchor not in self.anchors:
            raise _Stop(place, f"The alias {shown(anchor)} has no complete anchor before it.")
        return self.anchors[anchor]

    def _spend(self, size: int, place: Place) -> None:
        """Aliases cost what they stand for, so that a few lines cannot mean billions."""
        self.values += size
        if self.values > MAX_VALUES:
            raise _Stop(place, f"There are more than {MAX_VALUES:,} values, aliases counted in.")

    def _open(self, node: Node, anchor: str, place: Place) -> None:
        if len(self.open) >= MAX_DEPTH:
            raise _Stop(place, f"The nesting is deeper than {MAX_DEPTH} levels.")
        if self._wants_key():
            raise _Stop(place, "A key must be a word, not a list or a mapping.")
        self.open.append((node, anchor))
        self.key.append(None)

    def _end(self) -> None:
        node, anchor = self.open.pop()
        self.key.pop()
        if anchor:
            self.anchors[anchor] = node
        self._attach(node)

    def _wants_key(self) -> bool:
        return bool(self.open) and self.open[-1][0].entries is not None and self.key[-1] is None

    def _attach(self, node: Node) -> None:
        if not self.open:
            self.root = node
            return
        parent = self.open[-1][0]
        if parent.items is not None:
            parent.items.append(node)
            parent.size += node.size
        elif self._wants_key():
            self._take_key(parent, node)
        else:
            self._take_value(parent, node)

    def _take_key(self, parent: Node, node: Node) -> None:
        if not isinstance(node.scalar, str):
            self._refuse(node.place, "A key must be a word. Write it in quotes.")
        if len(parent.keys) >= MAX_KEYS:
            raise _Stop(node.place, f"A mapping holds more than {MAX_KEYS:,} keys.")
        self.key[-1] = (str(node.scalar), node.place)

    def _take_value(self, parent: Node, node: Node) -> None:
        key, place = self.key[-1] or ("", node.place)
        self.key[-1] = None
        parent.size += node.size + 1
        assert parent.entries is not None  # noqa: S101 (only mappings take keys)
        if key in parent.entries:
            first = parent.keys[key]
            self._refuse(place, f"The key {shown(key)} stands twice, first in line {first.line}.")
            return
        parent.entries[key] = node
        parent.keys[key] = place


def _events(text: str) -> Iterator[yaml.Event]:
    events: Iterator[yaml.Event] = yaml.parse(text, Loader=_Loader)
    return events


def _number(text: str) -> Scalar:
    """`text` as a number where it is one by YAML 1.2, else itself; ValueError beyond ±(2⁵³−1)."""
    if _INTEGER.match(text):
        value: int | float = int(text)
    elif _FLOAT.match(text):
        value = float(text)
    else:
        return text
    if abs(value) > MAX_INTEGER:
        raise ValueError(text)
    return value


def reads_as_text(text: str) -> bool:
    """Whether the plain scalar `text` would be read as the same text."""
    try:
        return text not in _WORDS and _number(text) == text
    except ValueError:
        return False
