"""What several agents come to together, and how one is cut in two."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lifecycle.toxic.rules import Party, contributing, gathered, is_connected, sides

LETTERS = st.frozensets(st.sampled_from("abcd"))
SPOTS = st.frozensets(st.tuples(st.sampled_from(["x", "y"]), st.sampled_from(["", "1", "2"])))
PARTIES = st.lists(
    st.builds(Party, agent=st.uuids().map(str), members=LETTERS, reads=SPOTS, writes=SPOTS),
    max_size=5,
    unique_by=lambda one: one.agent,
)
WANTED = LETTERS.filter(lambda one: len(one) > 1)


def test_two_that_have_a_half_each_are_found() -> None:
    one, other = Party("one", frozenset("a")), Party("other", frozenset("bc"))

    assert contributing([one, other], frozenset("ab")) == [one, other]
    assert contributing([one], frozenset("ab")) == []


def test_one_that_has_all_of_it_is_not_found_again_with_others() -> None:
    whole, part = Party("whole", frozenset("ab")), Party("part", frozenset("a"))

    assert contributing([whole, part], frozenset("ab")) == []


def test_what_one_leaves_where_another_reads_connects_them_over_a_third() -> None:
    source = Party("source", frozenset("a"), writes=frozenset({("drive", "out")}))
    carrier = Party(
        "carrier",
        frozenset(),
        reads=frozenset({("drive", "")}),
        writes=frozenset({("chat", "room")}),
    )
    end = Party("end", frozenset("b"), reads=frozenset({("chat", "room")}))

    assert is_connected([source, carrier, end], frozenset("ab")) is True
    assert is_connected([source, end], frozenset("ab")) is False


def test_another_resource_of_the_system_does_not_connect() -> None:
    left = Party("left", frozenset("a"), writes=frozenset({("drive", "1")}))
    right = Party("right", frozenset("b"), reads=frozenset({("drive", "2")}))

    assert is_connected([left, right], frozenset("ab")) is False


@given(PARTIES, WANTED)
def test_contributing_has_all_of_it_and_nobody_who_has_all(
    parties: list[Party], wanted: frozenset[str]
) -> None:
    found = contributing(parties, wanted)

    whole = frozenset[str]().union(*(one.members for one in found))
    assert not found or whole >= wanted
    assert all(one.members & wanted and not one.members >= wanted for one in found)


@given(PARTIES)
def test_gathered_only_adds_and_never_more_than_there_is(parties: list[Party]) -> None:
    found = gathered(parties)

    everything = frozenset[str]().union(*(one.members for one in parties))
    assert all(one.members <= found[one.agent] <= everything for one in parties)


@given(PARTIES, SPOTS, WANTED)
def test_fewer_ways_never_connect_more(
    parties: list[Party], closed: frozenset[tuple[str, str]], wanted: frozenset[str]
) -> None:
    fewer = [Party(p.agent, p.members, p.reads, p.writes - closed) for p in parties]

    assert is_connected(parties, wanted) or not is_connected(fewer, wanted)


@given(st.dictionaries(st.sampled_from("stuvwxyz"), LETTERS), WANTED)
def test_neither_side_of_a_split_has_all_and_no_tool_is_lost(
    gives: dict[str, frozenset[str]], wanted: frozenset[str]
) -> None:
    found = sides(gives, wanted)

    if found is None:
        return
    first, second = found
    had = [frozenset[str]().union(*(gives[tool] for tool in side)) for side in found]
    assert sorted([*first, *second]) == sorted(gives)
    assert all(members & wanted and not members >= wanted for members in had)
    assert not had[0] & had[1] & wanted


def test_a_tool_that_gives_both_cannot_be_split() -> None:
    assert sides({"hr.report": frozenset("ab")}, frozenset("ab")) is None
    assert sides({"one": frozenset("a"), "both": frozenset("ab")}, frozenset("ab")) is None


def test_a_split_leaves_what_gives_nothing_with_the_first() -> None:
    gives = {"hr.find": frozenset("a"), "pay.find": frozenset("b"), "mail.send": frozenset[str]()}

    assert sides(gives, frozenset("ab")) == (["hr.find", "mail.send"], ["pay.find"])
