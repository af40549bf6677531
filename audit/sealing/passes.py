"""One pass of the sealer: what is settled goes into the tree, under a signed checkpoint.

Each step is one transaction over one snapshot. Before anything is signed, the stored tree is
held against every checkpoint that is known from outside the database: a tree that does not
begin with each of them is not continued.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg

from audit.sealing.notes import Checkpoint
from audit.sealing.stored import Grown, Incomplete, Stored

# The advisory lock that the one sealer holds for as long as it is connected.
LOCK = 0x6D75_7374_6572
MOST = 5_000
BEGINNING = "0"

_LAST = """
SELECT one.seen, c.size, c.root,
       CASE WHEN c.system = (SELECT s.system_identifier FROM pg_control_system() AS s)
            THEN c.seen::text END
FROM (SELECT pg_current_snapshot()::text AS seen) AS one
LEFT JOIN (SELECT * FROM audit.checkpoint ORDER BY size DESC LIMIT 1) AS c ON true
"""
_UNSEALED = """
SELECT record, to_json(at) #>> '{}', xid::text, leaf
FROM audit.unsealed(%s::pg_snapshot, %s::xid8, %s)
"""
_SEAL = "SELECT audit.seal(%s, %s::jsonb, %s::jsonb, %s, %s, %s::pg_snapshot)"

Opened = psycopg.Connection[Any]
Sign = Callable[[Checkpoint], str]


class Inconsistent(Exception):
    """The stored tree does not go on from what was signed; `cause` is the word for it."""

    def __init__(self, cause: str, **detail: Any) -> None:
        self.cause, self.detail = cause, detail
        super().__init__(f"{cause}: {detail}")


class Last(NamedTuple):
    """What the database holds: `now` is this transaction's snapshot, `seen` what is sealed."""

    now: str
    size: int
    root: bytes | None
    seen: str | None


class Waiting(NamedTuple):
    """An entry that goes into the tree next."""

    record: Any
    at: str
    xid: str
    leaf: bytes


@dataclass(frozen=True, slots=True)
class Sealed:
    """A checkpoint that is committed."""

    checkpoint: Checkpoint
    note: str


class Sealer:
    """Seals over one connection of the sealer's login, whose transactions are REPEATABLE READ.

    `known` gives the checkpoints that lie outside of the database.
    """

    def __init__(
        self,
        opened: Opened,
        *,
        origin: str,
        sign: Sign,
        known: Callable[[], Iterable[Checkpoint]] = tuple,
        most: int = MOST,
    ) -> None:
        self._opened, self._origin, self._sign = opened, origin, sign
        self._known, self._most = known, most
        self._seen: str | None = None

    def seal(self) -> Sealed | None:
        """Seal all that is settled by now, in as many steps as it takes; the last checkpoint.

        Raises `Inconsistent`, and then nothing was signed.
        """
        begun, after, sealed = "", BEGINNING, None
        while True:
            with self._opened.transaction():
                last = self._last()
                begun = begun or last.now
                waiting = self._unsealed(last, after)
                done = len(waiting) < self._most
                if waiting:
                    sealed = self._put(last, waiting, begun if done else last.seen)
            if done:
                self._seen = begun
                return sealed
            after = waiting[-1].xid

    def check(self) -> None:
        """Hold the stored tree against what is known. Raises `Inconsistent`."""
        with self._opened.transaction():
            last = self._last()
            self._hold_against(last, Stored(self._rows))

    def _last(self) -> Last:
        (row,) = self._rows(_LAST)
        now, size, root, seen = row
        # What this process saw itself is newer than what the last checkpoint says.
        return Last(now, size or 0, root and bytes(root), self._seen or seen)

    def _unsealed(self, last: Last, after: str) -> list[Waiting]:
        rows = self._rows(_UNSEALED, [last.seen, after, self._most])
        return [Waiting(*row) for row in rows]

    def _put(self, last: Last, waiting: Sequence[Waiting], seen: str | None) -> Sealed:
        grown = Grown(self._rows, last.size, [bytes(each.leaf) for each in waiting])
        self._hold_against(last, grown)
        checkpoint = Checkpoint(self._origin, grown.size, grown.root(grown.size))
        note = self._sign(checkpoint)
        leaves = [
            {"record": str(each.record), "at": each.at, "leaf": bytes(each.leaf).hex()}
            for each in waiting
        ]
        nodes = [
            {"level": level, "index": index, "hash": found.hex()}
            for level, index, found in grown.nodes
        ]
        self._rows(
            _SEAL,
            [last.size, json.dumps(leaves), json.dumps(nodes), checkpoint.root, note, seen],
        )
        return Sealed(checkpoint, note)

    def _hold_against(self, last: Last, tree: Stored) -> None:
        for each in self._known():
            if each.size > last.size:
                raise Inconsistent("behind", size=last.size, signed=each.size)
            if _root(tree, each.size) != each.root:
                raise Inconsistent("forked", size=last.size, signed=each.size)
        if last.root is not None and _root(tree, last.size) != last.root:
            raise Inconsistent("damaged", size=last.size)

    def _rows(self, query: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._opened.execute(query.encode(), params).fetchall()


def _root(tree: Stored, size: int) -> bytes | None:
    try:
        return tree.root(size)
    except Incomplete:
        return None
