"""What policies can read of the context; nothing that could change a verdict is left out."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.engine import cedar, policies, policy, reads
from authz.engine.case import Case
from authz.engine.reads import EVERYTHING, kept, kept_type, reads_of
from authz.engine.types import Mode
from tests.authz.desk import a_request, documents, snapshot

NOW = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
TERMS = [
    "context.local.hour < 24",
    "context.local.business",
    'context.now > datetime("2020-01-01")',
    'context.parameters has table && context.parameters.table == "leads"',
    "context.parameters has limit && context.parameters.limit <= 20",
    "context.system.tier > 0",
    "context.system == context.system",
    "context.local == context.local",
    "context.parameters == context.parameters",
    "context == context",
    'context has gateway && context.gateway == "edge"',
    "context has user",
    'context.effect == "read"',
    "context.tier >= 1",
    'context["tier"] >= 1',
    'context.resource like "le*"',
    "if context.tier > 0 then context.local.weekday == 1 else false",
    "[context.tier, 3].contains(2)",
    "{a: context.tier}.a == 1",
    "!(context.local.hour == 3)",
]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('principal in Muster::Role::"a"', set()),
        ("context.tier == 1", {("tier",)}),
        ('context["tier"] == 1', {("tier",)}),
        ("context.local.hour == 1", {("local", "hour")}),
        ("context.parameters.a.b == 1", {("parameters", "a")}),
        ("context.parameters has a", {("parameters", "a")}),
        ("context has user", {("user",)}),
        ("context.system.tier == 1", {("system", "tier")}),
        ("context == {a: 1}", {()}),
        ("context.local == {hour: 1}", {("local",)}),
        ("resource.tier == 1 && context.tier == resource.tier", {("tier",)}),
    ],
)
def test_reads(text: str, wanted: set[Any]) -> None:
    found = policies.parse(f"permit(principal, action, resource) when {{ {text} }};")

    assert reads_of(found) == wanted


def test_kept_leaves_values_whole() -> None:
    context = {
        "now": {"__extn": {"fn": "datetime", "arg": "2026-11-23T13:00:00Z"}},
        "system": {"__entity": {"type": "Muster::System", "id": "crm"}},
        "local": {"hour": 1, "weekday": 2},
        "tier": 1,
    }

    found = kept(context, frozenset({("system", "tier"), ("now", "x"), ("local", "hour")}))

    assert found == {
        "now": context["now"],
        "system": context["system"],
        "local": {"hour": 1},
    }
    assert kept(context, EVERYTHING) == context
    assert kept(context, frozenset()) == {}


def test_kept_type_keeps_what_is_kept() -> None:
    local = {
        "type": "Record",
        "attributes": {"hour": {"type": "Long"}, "weekday": {"type": "Long"}},
    }
    whole = {"type": "Record", "attributes": {"local": local, "tier": {"type": "Long"}}}

    found = kept_type(whole, frozenset({("local", "hour")}))

    assert found == {
        "type": "Record",
        "attributes": {"local": {"type": "Record", "attributes": {"hour": {"type": "Long"}}}},
    }
    assert kept_type(whole, EVERYTHING) == whole


def _verdict(case: Case, sources: dict[str, Any], read: reads.Reads) -> tuple[Any, ...]:
    answer = cedar.put(policy._question(case, read), policies.policy_set(sources))
    return answer.allowed, answer.denied, sorted(answer.reasons), bool(answer.errors)


@given(
    terms=st.lists(st.sampled_from(TERMS), min_size=1, max_size=4),
    effects=st.lists(st.sampled_from(["permit", "forbid"]), min_size=4, max_size=4),
    gateway=st.sampled_from(["", "edge"]),
    table=st.sampled_from(["leads", "deals"]),
    hour=st.integers(0, 23),
)
def test_a_verdict_is_the_same_with_all_of_the_context(
    terms: list[str], effects: list[str], gateway: str, table: str, hour: int
) -> None:
    request = a_request(gateway=gateway, parameters={"table": table})
    case = Case(request, snapshot(documents(), request), NOW.replace(hour=hour), Mode.ENFORCE)
    sources = {
        f"p{number}": policies.parse(f"{effect}(principal, action, resource) when {{ {term} }};")[0]
        for number, (term, effect) in enumerate(zip(terms, effects, strict=False))
    }

    short = _verdict(case, sources, reads_of(sources.values()))

    assert short == _verdict(case, sources, EVERYTHING)
