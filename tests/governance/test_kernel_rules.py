"""The plain rules that the register and the decision share."""

import time

import pytest

from governance.kernel import json_schema, row, tiers
from registry.enums import AgentState, Employment, Tier


@pytest.mark.parametrize("state", [*AgentState, "", "ACTIVE", "active "])
@pytest.mark.parametrize("employment", [*Employment, "", "retired"])
def test_only_active_rows_of_people_who_are_here(state: str, employment: str) -> None:
    refusal = row.row_refusal(state, employment)

    if state != "active":
        assert refusal == "identity.not_active"
    elif employment in {"employed", "leaving"}:
        assert refusal is None
    else:
        assert refusal == "identity.owner_left"


def test_tiers_are_those_of_the_register_in_order() -> None:
    assert tuple(tier.value for tier in Tier) == tiers.TIERS
    assert [tiers.rank(tier) for tier in (*Tier, "", "secret")] == [0, 1, 2, 3, 3, 3]
    assert (tiers.highest([]), tiers.highest(["public", "confidential"])) == (
        "public",
        "confidential",
    )


def test_a_place_without_a_tier_is_restricted() -> None:
    system = {"tier": "", "categories": ["a"], "resources": []}

    assert tiers.place_of(system, "x") == ("restricted", ("a",))


def test_a_pattern_takes_linear_time() -> None:
    validator = json_schema.compile_schema({"type": "string", "pattern": "^(a+)+$"})

    began = time.monotonic()
    valid = validator.is_valid("a" * 50_000 + "!")

    assert (valid, time.monotonic() - began < 1) == (False, True)


def test_formats_are_asserted() -> None:
    validator = json_schema.compile_schema({"format": "email"})

    assert [validator.is_valid(text) for text in ("a@b.example", "nobody")] == [True, False]


@pytest.mark.parametrize(
    ("outer", "inner", "covered"),
    [
        ({}, {"maximum": 3}, True),
        ({"maximum": 3}, {}, False),
        ({"maximum": 3}, {"type": "number", "maximum": 2}, True),
        ({"enum": ["a", "b"]}, {"enum": ["a"]}, True),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}, False),
        ({"pattern": "^a"}, {"pattern": "(?=x)"}, False),
    ],
)
def test_covers_only_what_is_sure(outer: dict, inner: dict, covered: bool) -> None:
    assert json_schema.covers(outer, inner) is covered


def test_satisfiable_refuses_only_what_is_sure() -> None:
    assert json_schema.satisfiable({"type": "object"}, {"type": "string"}) is False
    assert json_schema.satisfiable({"type": "object"}, {"minProperties": 1}) is True
    assert json_schema.satisfiable({"type": "object"}, {"pattern": "(?=x)"}) is True
