"""The RFC 6962 tree over leaf hashes, and what can be proved by it. Pure.

A tree of `size` leaves falls into complete subtrees: `(level, index)` covers the leaves from
`index << level` to before `(index + 1) << level`. Nothing here holds more of a tree than a
proof needs: who asks gives a `Subtree`, which answers with the hash of a complete subtree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

HASH_BYTES = 32
EMPTY = hashlib.sha256(b"").digest()

Place = tuple[int, int]
Range = tuple[int, int]
Subtree = Callable[[int, int], bytes]


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def combined(hashes: Sequence[bytes]) -> bytes:
    """The hash of one complete subtree over a power of two of its parts."""
    row = list(hashes)
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def subtrees(begin: int, end: int) -> list[Place]:
    """The fewest complete subtrees that cover the leaves from `begin` to before `end`, in order."""
    found = []
    while begin < end:
        fits = (end - begin).bit_length() - 1
        level = min(fits, (begin & -begin).bit_length() - 1) if begin else fits
        found.append((level, begin >> level))
        begin += 1 << level
    return found


def folded(hashes: Sequence[bytes]) -> bytes:
    """The root over complete subtrees that grow smaller from left to right."""
    if not hashes:
        return EMPTY
    found = hashes[-1]
    for left in reversed(hashes[:-1]):
        found = node_hash(left, found)
    return found


def hash_of_range(within: Range, subtree: Subtree) -> bytes:
    """The hash of a range as it occurs in proofs: it begins where its largest subtree may."""
    return folded([subtree(*place) for place in subtrees(*within)])


def root(size: int, subtree: Subtree) -> bytes:
    return hash_of_range((0, size), subtree)


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """What an inclusion proof hashes, from the leaf's sibling up to the root's child."""
    if not 0 <= index < size:
        raise ValueError(f"There is no leaf {index} in a tree of {size}.")
    found, begin, end = [], 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((begin, middle))
            begin = middle
    return found[::-1]


def consistency_ranges(old: int, new: int) -> list[Range]:
    """What a consistency proof between two sizes hashes, in the order of RFC 6962."""
    if not 0 < old <= new:
        raise ValueError(f"There is no proof between trees of {old} and {new}.")
    found, begin, end = [], 0, new
    # `whole`: the old tree is still a subtree that begins at the first leaf.
    whole = True
    while old != end:
        middle = begin + _split(end - begin)
        if old <= middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((begin, middle))
            begin, whole = middle, False
    if not whole:
        found.append((begin, end))
    return found[::-1]


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)


# What a verifier does


def verify_inclusion(
    *, index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes
) -> bool:
    """Whether `leaf` stands at `index` in the tree of `size` under `root` (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size or not _are_hashes(leaf, root, *proof):
        return False
    at, last, found = index, size - 1, leaf
    for part in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(part, found)
            at, last = _up_while_even(at, last)
        else:
            found = node_hash(found, part)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(
    *, old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the tree of `new` leaves begins with the one of `old` (RFC 9162, 2.1.4.2)."""
    if not 0 < old <= new or not _are_hashes(old_root, new_root, *proof):
        return False
    if old == new:
        return not proof and old_root == new_root
    parts = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    return bool(proof) and _roots_of(old, new, parts) == (old_root, new_root)


def _roots_of(old: int, new: int, parts: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = parts[0]
    for part in parts[1:]:
        if last == 0:
            return None
        if at & 1 or at == last:
            first, second = node_hash(part, first), node_hash(part, second)
            at, last = _up_while_even(at, last)
        else:
            second = node_hash(second, part)
        at, last = at >> 1, last >> 1
    return (first, second) if last == 0 else None


def _up_while_even(at: int, last: int) -> tuple[int, int]:
    while at and not at & 1:
        at, last = at >> 1, last >> 1
    return at, last


def _are_hashes(*values: bytes) -> bool:
    return all(len(value) == HASH_BYTES for value in values)
