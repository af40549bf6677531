"""What real directories send, told in the words of the standard. Without a database."""

from typing import Any

import pytest

from lifecycle.scim.dialects import standard
from tests.factories.scim import ENTERPRISE


def told(*operations: Any, said: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    found = standard({"Operations": list(operations)}, said or {})["Operations"]
    assert isinstance(found, list)
    return found


WORK = 'emails[type eq "work"].value'
ADD_WORK = {"op": "Add", "path": WORK, "value": "a@x.example"}


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        # Entra ID: whom a group loses.
        (
            {"op": "Remove", "path": "members", "value": [{"value": 'a"b'}, {"value": "c"}]},
            [
                {"op": "Remove", "path": 'members[value eq "a\\"b"]'},
                {"op": "Remove", "path": 'members[value eq "c"]'},
            ],
        ),
        ({"op": "remove", "path": "members", "value": []}, []),
        ({"op": "remove", "path": "members"}, [{"op": "remove", "path": "members"}]),
        # A manager as a bare id, and none.
        (
            {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": "m1"},
            [{"op": "Add", "path": f"{ENTERPRISE}:manager", "value": {"value": "m1"}}],
        ),
        (
            {"op": "Replace", "path": f"{ENTERPRISE}:manager", "value": ""},
            [{"op": "remove", "path": f"{ENTERPRISE}:manager"}],
        ),
        (
            {"op": "add", "value": {ENTERPRISE: {"manager": "m1", "division": "D"}}},
            [{"op": "add", "value": {ENTERPRISE: {"manager": {"value": "m1"}, "division": "D"}}}],
        ),
        # Paths where names belong.
        (
            {"op": "replace", "value": {"active": "False", "name.givenName": "A"}},
            [
                {"op": "replace", "value": {"active": "False"}},
                {"op": "replace", "path": "name.givenName", "value": "A"},
            ],
        ),
        (
            {"op": "Add", "value": {f"{ENTERPRISE}:department": "D"}},
            [{"op": "Add", "path": f"{ENTERPRISE}:department", "value": "D"}],
        ),
        # A value of a type that there is none of.
        (ADD_WORK, [{"op": "add", "path": "emails", "value": [{"type": "work"}]}, ADD_WORK]),
        # What is the standard's already.
        ({"op": "replace", "value": {"active": False}},) * 2,
        ({"op": "replace", "path": WORK, "value": "a@x.example"},) * 2,
        ({"op": 7, "path": 7, "value": None},) * 2,
        ({"op": "remove", "path": "members", "value": [7]},) * 2,
        ({"op": "replace", "path": "", "value": "x"},) * 2,
    ],
)
def test_each_is_told_in_the_words_of_the_standard(sent: Any, wanted: Any) -> None:
    assert told(sent) == (wanted if isinstance(wanted, list) else [wanted])


def test_a_value_of_a_type_is_made_once_and_only_where_there_is_none() -> None:
    primary = {"op": "add", "path": 'EMAILS[type eq "Work"].primary', "value": True}

    twice = told(ADD_WORK, primary)
    known = told(ADD_WORK, said={"emails": [{"type": "work", "value": "old@x.example"}]})

    assert (len(twice), known) == (3, [ADD_WORK])


@pytest.mark.parametrize("body", [{}, {"Operations": 7}, {"Operations": [7]}])
def test_what_is_no_patch_stays_as_it_is(body: dict[str, Any]) -> None:
    assert standard(body, {}) == body
