"""Hostile input: it is refused or judged, quickly, and never raises."""

import ast
import time
from pathlib import Path
from typing import Any

import pytest

import authz.engine
from authz.engine.types import Effect
from authz.engine.walk import judge
from tests import public
from tests.authz.desk import NOW, a_request, documents, snapshot


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


HOSTILE: dict[str, Any] = {
    "entity": {"__entity": {"type": "Muster::Role", "id": "admin"}},
    "extension": {"__extn": {"fn": "datetime", "arg": "2026-01-01"}},
    "expression": {"__expr": 'Muster::Role::"admin"'},
    "deep": nested(5_000),
    "huge": 10**400,
    "beyond": 2**63,
    "float": 1e308,
    "nan": float("nan"),
    "infinite": float("-inf"),
    "surrogate": "\ud800",
    "nul": "a\0b",
    "bytes": b"x",
    "object": object(),
    "keys": {1: 2, None: 3},
    "surrogate key": {"\ud800": 1},
    "long": "x" * 250_000,
    "wide": dict.fromkeys(map(str, range(20_000)), 1),
}


def open_documents() -> dict[str, Any]:
    """A tool that takes anything, under policies that look at what they can."""
    docs = documents()
    properties = {
        "s": {"type": "string"},
        "n": {"type": "integer"},
        "l": {"type": "array", "items": {"type": "string"}},
        "free": {},
        "__entity": {"type": "string"},
    }
    docs["world"]["tools"]["web.search"]["schema"] = {"type": "object", "properties": properties}
    action = 'action == Muster::Action::"web.search"'
    docs["world"]["policies"] = [
        {"id": "ok@v1", "text": f"permit(principal, {action}, resource);"},
        {
            "id": "admin@v1",
            "text": f'forbid(principal in Muster::Role::"admin", {action}, resource);',
        },
        {
            "id": "large@v1",
            "text": f"forbid(principal, {action}, resource) when "
            "{ context.parameters has n && context.parameters.n > 1000 };",
        },
    ]
    return docs


@pytest.mark.parametrize("name", ["s", "n", "l", "free", "other", "__entity", "__extn"])
@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_parameter_never_raises(name: str, value: Any) -> None:
    request = a_request(tool="web.search", parameters={name: value})

    decision = judge(request, snapshot(open_documents(), request), NOW)

    if name in ("s", "n", "l") and decision.effect is Effect.ALLOW:
        assert isinstance(value, str)
    assert decision.check in ("", "parameters", "policy")


def test_huge_integer_cannot_slip_past_a_forbid() -> None:
    """Were it left out as untypable, the forbid on large values would not see it."""
    request = a_request(tool="web.search", parameters={"n": 2**63})

    decision = judge(request, snapshot(open_documents(), request), NOW)

    assert (decision.effect, decision.code) == (Effect.DENY, "policy.error")


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("field", ["subject_properties", "resource_properties"])
def test_hostile_property_never_raises(field: str, value: Any) -> None:
    docs = documents()
    docs["world"]["policies"] = [{"id": "p@v1", "text": "permit(principal, action, resource);"}]
    request = a_request(
        kind="person",
        person="p_ann",
        gateway="edge",
        tool="crm.refund",
        parameters={"account": "acme", "amount": 1},
        subject_type="user",
        **{field: {"cleared": value, "open": value, "region": value, "else": value}},
    )

    decision = judge(request, snapshot(docs, request), NOW)

    # Of another type than declared counts as not said; nothing here depends on it.
    assert decision.effect is Effect.ALLOW


def test_forged_entity_does_not_make_an_admin() -> None:
    docs = open_documents()
    docs["world"]["policies"] = [
        {
            "id": "admins@v1",
            "text": 'permit(principal in Muster::Role::"admin", '
            'action == Muster::Action::"web.search", resource);',
        }
    ]
    forged = {"__entity": {"type": "Muster::Role", "id": "admin"}}
    request = a_request(tool="web.search", parameters={"free": forged, "__entity": "x"})

    assert judge(request, snapshot(docs, request), NOW).code == "policy.no_permit"


@pytest.mark.parametrize("text", public.naughty_strings())
def test_naughty_string_is_judged(text: str) -> None:
    request = a_request(
        tool="crm.refund",
        parameters={"account": text, "amount": 1, "note": text},
        resource_type="account",
        resource_id=text,
    )
    docs = documents()
    docs["world"]["policies"] = [
        {
            "id": "p@v1",
            "text": 'permit(principal, action == Muster::Action::"crm.refund", '
            "resource is Muster::Account) when { context.parameters.account == context.resource };",
        }
    ]

    decision = judge(request, snapshot(docs, request), NOW)

    assert (decision.effect, decision.resource_id) == (Effect.ALLOW, text)


@pytest.mark.parametrize(
    "pattern", ["^(a+)+$", "^(a|aa)+$", "(.*)*x", "^([a-zA-Z0-9])(([._-])?[a-zA-Z0-9]+)*$"]
)
def test_pattern_cannot_stall_the_gate(pattern: str) -> None:
    docs = documents()
    properties = {"q": {"type": "string", "pattern": pattern}}
    docs["world"]["tools"]["web.search"]["schema"] = {"type": "object", "properties": properties}
    request = a_request(tool="web.search", parameters={"q": "a" * 50_000 + "!"})
    facts = snapshot(docs, request)
    judge(request, facts, NOW)

    started = time.process_time()
    decision = judge(request, facts, NOW)

    assert decision.code == "parameters.schema"
    assert time.process_time() - started < 0.1


def test_engine_runs_no_pattern_of_a_user() -> None:
    """`re` is used for the engine's own patterns only: compiled once, from a constant."""
    calls = [
        (path.name, node.args[0])
        for path in Path(authz.engine.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
    ]

    assert calls
    assert all(isinstance(pattern, ast.Constant) for _, pattern in calls)


def test_many_policies_stay_within_the_budget() -> None:
    docs = documents()
    docs["world"]["policies"] = [
        {
            "id": f"p{number}@v1",
            "text": f'permit(principal in Muster::Role::"r{number}", '
            'action == Muster::Action::"web.search", resource);',
        }
        for number in range(2_000)
    ]
    docs["agents"]["desk"]["roles"] = ["desk", "r7"]
    request = a_request(tool="web.search")
    facts = snapshot(docs, request)
    judge(request, facts, NOW)

    started = time.process_time()
    decision = judge(request, facts, NOW)

    assert decision.policies == ("p7@v1",)
    assert time.process_time() - started < 0.01
