"""What the pages show of a text, of two texts, and of what a policy may name."""

import copy

import pytest

from authz.engine.world import compile_world
from authz.models import Policy
from authz.pages import Change, case_difference, difference, shown_lines
from authz.vocabulary import named_tools, vocabulary
from tests.authz.desk import documents


def test_difference_counts_and_numbers_both_sides():
    found = difference("a\nb\nc\n", "a\nB\nc\nd\n")

    assert (found.added, found.removed, found.cut) == (2, 1, False)
    assert found.changes == (
        Change("same", 1, 1, "a"),
        Change("removed", 2, None, "b"),
        Change("added", None, 2, "B"),
        Change("same", 3, 3, "c"),
        Change("added", None, 4, "d"),
    )


def test_difference_leaves_out_what_is_the_same_and_says_from_where():
    before = "\n".join(map(str, range(50)))

    found = difference(before, before + "\nlast")

    assert found.changes[0] == Change("skipped", None, None, "from line 48")
    assert [change.text for change in found.changes[1:]] == ["47", "48", "49", "last"]


@pytest.mark.parametrize(
    ("before", "after", "added", "removed"),
    [("", "", 0, 0), ("", "x", 1, 0), ("x", "", 0, 1), ("-- a\n+++ b", "-- a", 0, 1)],
)
def test_difference_of_edges(before, after, added, removed):
    found = difference(before, after)

    assert (found.added, found.removed) == (added, removed)


def test_difference_of_very_long_texts_ends():
    found = difference("a\n" * 60_000, "b\n" * 60_000)

    assert found.cut is True


def test_lines_are_numbered_and_a_last_break_is_no_line():
    assert [line.number for line in shown_lines("a\r\nb\rc\n")] == [1, 2, 3]
    assert [line.number for line in shown_lines("")] == [1]


def test_cases_that_differ():
    def case(name, effect="allow"):
        return {"name": name, "effect": effect, "request": {}}

    before = Policy(cases=[case("kept"), case("gone"), case("turned")])
    after = Policy(cases=[case("kept"), case("turned", "deny"), case("new")])

    assert case_difference(before, after) == [
        ("removed", "gone"),
        ("added", "new"),
        ("changed", "turned"),
    ]
    assert case_difference(None, after)[0] == ("added", "kept")


def test_vocabulary_is_that_of_the_schema():
    world = compile_world(copy.deepcopy(documents()["world"]))
    text = 'permit(principal, action == Muster::Action::"crm.find", resource); // Action::"none"'

    named = named_tools(text, world)
    found = vocabulary(world, named)
    without = vocabulary(world, [])

    assert named == ["crm.find"]
    assert [tool.name for tool in found.tools] == ["crm.find"]
    assert {each.name for each in found.context} == {
        *("now", "local", "system", "effect", "tier", "resource", "gateway", "user")
    }
    assert {each.name: each.type for each in found.context}["local"] == (
        "record of hour (whole number), weekday (whole number), business (true or false)"
    )
    assert {each.name for each in found.types} >= {"Agent", "Person", "System"}
    assert (without.tools, without.context, without.types) == ((), found.context, found.types)
