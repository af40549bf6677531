"""The tree as it is stored: leaves, and complete subtrees at every eighth level.

What a proof needs besides is hashed anew, out of tiles: the 256 hashes of one stored level
that lie under one of the next. A `Stored` keeps the tiles that it has read, so one of them
serves many proofs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from audit.sealing import tree

HEIGHT = 8
TILE = 1 << HEIGHT
MAX_TILES = 1024
LEAVES = "SELECT leaf FROM audit.leaf_index WHERE index >= %s AND index < %s ORDER BY index"
NODES = "SELECT hash FROM audit.node WHERE index >= %s AND index < %s AND level = %s ORDER BY index"

Rows = Callable[[str, Sequence[Any]], Iterable[Sequence[Any]]]
Node = tuple[int, int, bytes]


class Incomplete(Exception):
    """A part of the tree that must be stored is not there."""


class Stored:
    """Proofs over the stored tree; `rows` runs a query and gives what it finds."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._tiles: OrderedDict[tuple[int, int], list[bytes]] = OrderedDict()

    def subtree(self, level: int, index: int) -> bytes:
        """The hash of a complete subtree."""
        base = level - level % HEIGHT
        many = 1 << (level - base)
        return tree.combined(self.hashes(base, index * many, many))

    def root(self, size: int) -> bytes:
        return tree.root(size, self.subtree)

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        return self._proof(tree.inclusion_ranges(index, size))

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        return self._proof(tree.consistency_ranges(old, new))

    def compact_range(self, begin: int, end: int) -> list[bytes]:
        """The hashes of the fewest complete subtrees over this range, left to right."""
        return [self.subtree(*place) for place in tree.subtrees(begin, end)]

    def hashes(self, level: int, first: int, many: int) -> list[bytes]:
        """Neighbours of one stored level, all within one tile. Raises `Incomplete`."""
        tile, offset = divmod(first, TILE)
        found = self._tile(level, tile, offset + many)[offset : offset + many]
        if len(found) != many:
            raise Incomplete(f"Level {level} of the tree ends before {first + many}.")
        return found

    def _proof(self, ranges: Iterable[tree.Range]) -> list[bytes]:
        return [tree.hash_of_range(each, self.subtree) for each in ranges]

    def _tile(self, level: int, tile: int, needed: int) -> list[bytes]:
        """A tile; the last one of a level may have grown since it was read."""
        found = self._tiles.get((level, tile), [])
        if len(found) >= needed:
            return found
        within = [tile * TILE, (tile + 1) * TILE]
        rows = self._rows(NODES, [*within, level]) if level else self._rows(LEAVES, within)
        found = [bytes(row[0]) for row in rows]
        self._tiles[level, tile] = found
        while len(self._tiles) > MAX_TILES:
            self._tiles.popitem(last=False)
        return found


class Grown(Stored):
    """The stored tree of `size` with more leaves behind it, which are not stored yet."""

    def __init__(self, rows: Rows, size: int, leaves: Sequence[bytes]) -> None:
        super().__init__(rows)
        self.size = size + len(leaves)
        self._new: dict[int, tuple[int, Sequence[bytes]]] = {0: (size, leaves)}
        self.nodes: list[Node] = []
        level = HEIGHT
        while new := range(size >> level, self.size >> level):
            found = [tree.combined(self.hashes(level - HEIGHT, at * TILE, TILE)) for at in new]
            self._new[level] = (new.start, found)
            self.nodes += [(level, at, each) for at, each in zip(new, found, strict=True)]
            level += HEIGHT

    def hashes(self, level: int, first: int, many: int) -> list[bytes]:
        begin, new = self._new.get(level, (first + many, ()))
        stored = min(max(begin - first, 0), many)
        old = super().hashes(level, first, stored) if stored else []
        at = first + stored - begin
        return [*old, *new[at : at + many - stored]]
