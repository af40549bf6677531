"""Receipts: what a caller holds against us from the moment of the answer.

The leaves of the entries that were committed together make a small tree of their own, whose root
is signed once, under a key that the sealer's key vouches for. Each receipt is its entry's place
in that tree. An entry that is in no later checkpoint of the log is lost, and its receipt proves it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from audit.sealing import notes, tree
from audit.sealing.certificates import RECEIPTS
from audit.sealing.notes import BadNote, Checkpoint, Signer, Verifier
from governance.kernel import keys


@dataclass(frozen=True, slots=True)
class Receipt:
    """An entry's leaf, its place among those that were signed with it, and their signed root."""

    leaf: str
    index: int
    path: tuple[str, ...]
    note: str


def sign_batch(leaves: Sequence[str], at: str) -> list[Receipt]:
    """One receipt for each of these leaves (hexadecimal), under one signature."""
    if not leaves:
        return []
    signer = _signer()
    rows = _rows([bytes.fromhex(leaf) for leaf in leaves])
    checkpoint = Checkpoint(signer.name, len(leaves), rows[-1][0])
    note = notes.sign(f"{checkpoint.text}{at}\n", [signer])
    return [
        Receipt(leaf, index, tuple(part.hex() for part in _path(rows, index)), note)
        for index, leaf in enumerate(leaves)
    ]


def verify(receipt: Receipt, keys: Sequence[Verifier]) -> bool:
    """Whether one of `keys` signed this leaf into its batch."""
    try:
        signed = notes.open_checkpoint(receipt.note, keys)
        leaf, path = bytes.fromhex(receipt.leaf), [bytes.fromhex(part) for part in receipt.path]
    except (BadNote, ValueError):
        return False
    return tree.verify_inclusion(
        index=receipt.index, size=signed.size, leaf=leaf, proof=path, root=signed.root
    )


@cache
def _signer() -> Signer:
    return Signer.of_seed(keys.origin() + RECEIPTS, keys.receipt_key())


def _rows(leaves: Sequence[bytes]) -> list[Sequence[bytes]]:
    """The whole small tree, row by row; what has no neighbour stands in the row above as it is."""
    rows = [leaves]
    while len(row := rows[-1]) > 1:
        pairs = [tree.node_hash(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)]
        rows.append([*pairs, row[-1]] if len(row) % 2 else pairs)
    return rows


def _path(rows: Sequence[Sequence[bytes]], index: int) -> list[bytes]:
    found = []
    for row in rows[:-1]:
        if (beside := index ^ 1) < len(row):
            found.append(row[beside])
        index >>= 1
    return found
