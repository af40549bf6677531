"""What several agents come to together, and where one is cut in two. No queries, no writes.

A member is what a combination is made of: a category, or an effect written `effect:<name>`
(`registry.reach.members_of`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

# A system and a resource in it; "" for the whole system.
Spot = tuple[str, str]
Members = frozenset[str]


@dataclass(frozen=True, slots=True)
class Party:
    """One agent in a set of them: what it has, where it takes from, where it leaves things."""

    agent: str
    members: Members
    reads: frozenset[Spot] = frozenset()
    writes: frozenset[Spot] = frozenset()


def contributing(parties: Iterable[Party], wanted: Members) -> list[Party]:
    """Those that have a part of `wanted`; () where all of them together lack something.

    One that has all of it by itself is left out: that is its own finding.
    """
    having = [one for one in parties if one.members & wanted and not one.members >= wanted]
    whole = frozenset[str]().union(*(one.members for one in having))
    return having if whole >= wanted else []


def is_connected(parties: Sequence[Party], wanted: Members) -> bool:
    """Whether all of `wanted` can come together in one of them, by what others leave for it."""
    return any(members >= wanted for members in gathered(parties).values())


def gathered(parties: Sequence[Party]) -> dict[str, Members]:
    """What each one has, with what it can take over from others, however many lie between."""
    known = {one.agent: one.members for one in parties}
    handed = {
        one.agent: [each.agent for each in parties if each is not one and _hands_to(each, one)]
        for one in parties
    }
    while True:
        more = {
            agent: known[agent].union(*(known[source] for source in sources))
            for agent, sources in handed.items()
        }
        if more == known:
            return known
        known = more


def _hands_to(source: Party, target: Party) -> bool:
    return any(_meet(left, taken) for left in source.writes for taken in target.reads)


def _meet(left: Spot, taken: Spot) -> bool:
    return left[0] == taken[0] and (left[1] == taken[1] or not left[1] or not taken[1])


def sides(gives: Mapping[str, Set[str]], wanted: Members) -> tuple[list[str], list[str]] | None:
    """The tools in two halves of which neither has all of `wanted`; None where there are none.

    Tools that give the same member, or one tool that gives two, stay on one side. What gives
    none of it stays with the first.
    """
    groups = _groups(gives, wanted)
    if len(groups) < 2:
        return None
    second = set().union(*groups[1:])
    return sorted(set(gives) - second), sorted(second)


def _groups(gives: Mapping[str, Set[str]], wanted: Members) -> list[set[str]]:
    """Tools that cannot be parted, the largest group first."""
    groups: list[tuple[set[str], set[str]]] = []
    for tool, members in sorted(gives.items()):
        part = set(members & wanted)
        if not part:
            continue
        joined = [group for group in groups if group[1] & part]
        groups = [group for group in groups if not group[1] & part]
        tools = {tool}.union(*(group[0] for group in joined))
        groups.append((tools, part.union(*(group[1] for group in joined))))
    found = sorted(groups, key=lambda group: (-len(group[0]), sorted(group[0])))
    return [tools for tools, _ in found]
