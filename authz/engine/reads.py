"""What of the context a set of policies can read, so that nothing else is put to the engine.

Handing the context over costs more than judging by it, most of all what has to be constructed.
A policy's form in JSON shows every attribute that it names. One that uses the context, or a part
of it, in any other way reads all of that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from authz.engine.types import Json

CONTEXT = {"Var": "context"}

Path = tuple[str, ...]
# The first two names of each path that is read; one name alone is all that lies below it.
Reads = frozenset[Path]
_VALUES = frozenset({"__entity", "__extn"})
EVERYTHING: Reads = frozenset({()})


def reads_of(sources: Iterable[Json]) -> Reads:
    """What these statements read of the context."""
    found: set[Path] = set()
    waiting: list[Json] = list(sources)
    while waiting:
        node = waiting.pop()
        path = _path(node)
        if path is not None:
            found.add(path[:2])
        elif isinstance(node, Mapping):
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
    return frozenset(found)


def _path(node: Json) -> Path | None:
    """The names by which a node reaches into the context; None where it is something else."""
    if node == CONTEXT:
        return ()
    if not (isinstance(node, Mapping) and len(node) == 1):
        return None
    ((operator, operands),) = node.items()
    if operator not in (".", "has") or not isinstance(operands, Mapping):
        return None
    above, name = _path(operands.get("left")), operands.get("attr")
    return None if above is None or not isinstance(name, str) else (*above, name)


def names_read(reads: Reads, names: frozenset[str]) -> bool:
    """Whether any of these members of the context is read."""
    return () in reads or any(path[0] in names for path in reads)


def kept(record: Mapping[str, Json], reads: Reads) -> dict[str, Json]:
    """Of a record such as the context, what is read."""
    if () in reads:
        return dict(record)
    below = _below(reads)
    return {
        name: kept(value, below[name]) if _is_cut(value, below[name]) else value
        for name, value in record.items()
        if name in below
    }


@lru_cache(maxsize=4096)
def _below(reads: Reads) -> Mapping[str, Reads]:
    """What is read of each member."""
    names = {path[0] for path in reads}
    return {name: frozenset(path[1:] for path in reads if path[0] == name) for name in names}


def _is_cut(value: Json, within: Reads) -> bool:
    """Whether only some members are read. An entity or an instant has none of its own here."""
    return type(value) is dict and () not in within and _VALUES.isdisjoint(value)


def kept_type(record: Mapping[str, Json], reads: Reads) -> dict[str, Json]:
    """The same of a record's type in a schema."""
    if () in reads or record.get("type") != "Record":
        return dict(record)
    found: dict[str, Json] = {}
    for name, kind in record["attributes"].items():
        within = frozenset(path[1:] for path in reads if path[0] == name)
        if within:
            found[name] = kept_type(kind, within)
    return {**record, "attributes": found}
