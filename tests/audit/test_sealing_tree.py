"""The tree, held against RFC 6962's own recursive words."""

import hashlib
import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.sealing import tree
from audit.sealing.stored import LEAVES, Grown, Incomplete, Stored

LEAVES_OF = [hashlib.sha256(b"%d" % n).digest() for n in range(70_000)]


def mth(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: Sequence[bytes], *, whole: bool = True) -> list[bytes]:
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], whole=whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], whole=False), mth(leaves[:k])]


def split(n: int) -> int:
    return 1 << ((n - 1).bit_length() - 1)


class Kept:
    """The tables `leaf_index` and `node` in memory."""

    def __init__(self) -> None:
        self.leaves: list[bytes] = []
        self.nodes: dict[tuple[int, int], bytes] = {}

    def rows(self, query: str, params: Sequence[int]) -> list[tuple[bytes]]:
        begin, end, *level = params
        if query == LEAVES:
            return [(leaf,) for leaf in self.leaves[begin:end]]
        places = [(level[0], index) for index in range(begin, end)]
        return [(self.nodes[place],) for place in places if place in self.nodes]

    def grow(self, many: int) -> bytes:
        begin = len(self.leaves)
        grown = Grown(self.rows, begin, LEAVES_OF[begin : begin + many])
        root = grown.root(grown.size)
        for level, index, found in grown.nodes:
            assert (level, index) not in self.nodes
            self.nodes[level, index] = found
        self.leaves += LEAVES_OF[begin : begin + many]
        return root


def in_memory(size: int) -> Kept:
    kept = Kept()
    kept.grow(size)
    return kept


def test_every_proof_in_small_trees_is_that_of_the_rfc_and_verifies() -> None:
    for size in range(1, 66):
        stored, leaves = Stored(in_memory(size).rows), LEAVES_OF[:size]
        root = stored.root(size)
        assert root == mth(leaves)
        for index in range(size):
            proof = stored.inclusion_proof(index, size)
            assert proof == path(index, leaves)
            assert tree.verify_inclusion(
                index=index, size=size, leaf=leaves[index], proof=proof, root=root
            )
        for old in range(1, size + 1):
            proof = stored.consistency_proof(old, size)
            assert proof == subproof(old, leaves)
            assert tree.verify_consistency(
                old=old, new=size, old_root=stored.root(old), new_root=root, proof=proof
            )


@given(st.lists(st.sampled_from([1, 2, 255, 256, 257, 700, 9000]), min_size=1, max_size=7))
def test_a_tree_that_grows_in_steps_is_the_tree_built_at_once(steps: list[int]) -> None:
    kept = Kept()
    roots = [kept.grow(many) for many in steps]

    for size, root in zip(itertools.accumulate(steps), roots, strict=True):
        assert root == mth(LEAVES_OF[:size])
        assert Stored(kept.rows).root(size) == root


def test_a_tree_of_three_stored_levels_proves_what_lies_at_its_edges() -> None:
    size = 66_000
    stored, leaves = Stored(in_memory(size).rows), LEAVES_OF[:size]

    for index in (0, 255, 256, 65_535, 65_536, size - 1):
        assert stored.inclusion_proof(index, size) == path(index, leaves)
    for old in (1, 256, 65_535, 65_536, 65_537, size - 1):
        assert stored.consistency_proof(old, size) == subproof(old, leaves)


@given(st.integers(0, 2000), st.integers(0, 2000))
def test_a_compact_range_completes_the_root(begin: int, end: int) -> None:
    size, (begin, end) = 2000, sorted((begin, end))
    stored = Stored(in_memory(size).rows)
    parts = [
        *tree.subtrees(0, begin),
        *((0, index) for index in range(begin, end)),
        *tree.subtrees(end, size),
    ]

    stack: list[tuple[int, int, bytes]] = []
    for place in parts:
        stack.append((*place, stored.subtree(*place)))
        while len(stack) > 1 and stack[-1][0] == stack[-2][0] and stack[-1][1] % 2:
            (level, index, left), (_, _, right) = stack[-2:]
            stack[-2:] = [(level + 1, index // 2, tree.node_hash(left, right))]

    assert tree.folded([found for _, _, found in stack]) == stored.root(size)


def test_a_tree_with_a_hole_proves_nothing() -> None:
    kept = in_memory(600)
    del kept.nodes[8, 1]

    with pytest.raises(Incomplete, match="Level 8 of the tree ends before 2"):
        Stored(kept.rows).root(600)


@given(st.integers(1, 300), st.data())
def test_no_changed_leaf_place_or_proof_verifies(size: int, data: st.DataObject) -> None:
    stored = Stored(in_memory(size).rows)
    index = data.draw(st.integers(0, size - 1))
    proof, root = stored.inclusion_proof(index, size), stored.root(size)
    other = data.draw(st.integers(0, size + 5).filter(lambda n: n != index))
    flipped = [bytes([part[0] ^ 1]) + part[1:] for part in proof]

    def verifies(**changed: object) -> bool:
        given_proof = {"index": index, "size": size, "leaf": LEAVES_OF[index], "proof": proof}
        return tree.verify_inclusion(**{**given_proof, "root": root, **changed})  # type: ignore[arg-type]

    assert verifies()
    assert not verifies(leaf=LEAVES_OF[index + 1])
    assert not verifies(index=other)
    assert not verifies(proof=[*proof, root])
    assert not any(verifies(proof=proof[:at] + proof[at + 1 :]) for at in range(len(proof)))
    assert not any(
        verifies(proof=[*proof[:at], flipped[at], *proof[at + 1 :]]) for at in range(len(proof))
    )


def test_a_rewritten_past_is_not_consistent() -> None:
    for size, old in ((7, 3), (300, 256), (300, 299)):
        leaves = [*LEAVES_OF[:size]]
        signed = mth(leaves[:old])
        leaves[old // 2] = hashlib.sha256(b"another").digest()
        proof = subproof(old, leaves)

        assert not tree.verify_consistency(
            old=old, new=size, old_root=signed, new_root=mth(leaves), proof=proof
        )


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 3)])
def test_no_inclusion_without_a_leaf(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="There is no leaf"):
        tree.inclusion_ranges(index, size)
    assert not tree.verify_inclusion(
        index=index, size=size, leaf=LEAVES_OF[0], proof=[], root=LEAVES_OF[0]
    )


@pytest.mark.parametrize(("old", "new"), [(0, 3), (4, 3), (-1, 3)])
def test_no_consistency_between_no_trees(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="There is no proof"):
        tree.consistency_ranges(old, new)
    assert not tree.verify_consistency(
        old=old, new=new, old_root=mth([]), new_root=LEAVES_OF[0], proof=[]
    )
