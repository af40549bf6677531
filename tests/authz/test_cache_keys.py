"""Promise 10: what is kept between decisions never answers for a question that differs.

Every fact of a question has a few values here. An example draws one for each, changes a single
fact, and compares the answer of an engine that has just judged the unchanged question with that
of one that remembers nothing.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import authz.engine
from authz.engine import cedar, outside, plans, policies, reads, world
from authz.engine.types import Decision, Mode, OutsideAnswer, Request, Snapshot
from authz.engine.walk import judge
from governance.kernel import json_schema
from tests.authz import desk

Documents = dict[str, Any]

CLOSING = 'forbid(principal, action in Muster::Action::"effect=destructive", resource);'
CALLED = 'action == Muster::Action::"crm.refund", resource'
READING = {
    "note": "context.parameters has note",
    "amount": "context.parameters.amount <= 50000",
    "open": "resource is Muster::Account && resource has open && resource.open",
    "region": 'resource is Muster::Account && resource has region && resource.region == "EU"',
    "owner": "resource is Muster::Account && principal is Muster::Agent"
    " && principal.owner in resource.owner",
    "above": 'resource in Muster::Account::"zeta"',
    "tier": "context.tier >= 2",
    "row": "principal is Muster::Agent && principal.tier >= 2",
    "pattern": 'principal is Muster::Agent && principal.pattern == "service"',
    "cleared": "principal is Muster::Person && principal has cleared && principal.cleared",
    "department": "principal is Muster::Person && principal has department"
    ' && principal.department == "desk"',
    "person": 'principal is Muster::Person && principal has region && principal.region == "EU"',
    "hour": "context.local.hour > 12",
    "weekday": "context.local.business",
    "gateway": 'context has gateway && context.gateway == "edge"',
    "resource": 'context.resource == "acme"',
}


PDP = {
    "url": "https://opa.example/access/v1/evaluation",
    "timeout_ms": 300,
    "subject_type": "",
    "resource_type": "",
    "roles_as": "",
    "sends": [],
    "parameters": [],
    "parameters_in": "context",
    "tools": ["crm.refund"],
    "roles": [],
}


def permit(condition: str) -> list[Documents]:
    text = f"permit(principal, {CALLED}) when {{ {condition} }};"
    return [{"id": "p@v1", "log_only": False, "text": text}]


def permit_of(principal: str) -> list[Documents]:
    return [{"id": "r@v1", "log_only": False, "text": f"permit({principal}, {CALLED});"}]


FOR_OTHERS = (
    f"forbid(principal, {CALLED}) when {{ context has user && context.user has department"
    ' && context.user.department == "other" };'
)
ANY_TOOL = 'permit(principal, action, resource) when { context.effect == "financial" };'
POLICIES: list[list[Documents]] = [
    [],
    *(permit(condition) for condition in READING.values()),
    [{"id": "p@v1", "log_only": False, "text": f"permit(principal, {CALLED});"}],
    [{"id": "f@v1", "log_only": False, "text": f"forbid(principal, {CALLED});"}],
    [{"id": "f@v1", "log_only": True, "text": f"forbid(principal, {CALLED});"}],
    permit_of('principal in Muster::Role::"writer"'),
    permit_of("principal is Muster::Agent"),
    [{"id": "p@v1", "log_only": False, "text": ANY_TOOL}],
    [{"id": "c@v1", "log_only": False, "text": CLOSING}],
    [{"id": "u@v1", "log_only": False, "text": FOR_OTHERS}],
]
REFUND = {"account": "acme", "amount": 500}
ORDERS = {"slug": "orders", "pattern": "obey", "effects": [], "tools": []}
EVERY_TOOL = ["crm.close", "crm.find", "crm.refund", "web.post"]
CLOSE = {"properties": {"amount": {"maximum": 1000}}}
TOXIC = {"slug": "both", "categories": ["customer"], "tier": "restricted"}
SESSION = {
    "id": "s-1",
    "agent": "desk",
    "clean": True,
    "tier": "public",
    "untrusted": False,
    "categories": [],
    "ended": False,
    "expires_at": "2026-11-24T00:00:00Z",
    "personal": {"plan": None},
}
RULES = {"account": {"const": "acme"}, "amount": {"maximum": 500}}
PLAN = {"steps": [{"tool": "crm.refund", "parameters": RULES}], "extracts": {}}
OTHER_PLAN = {"steps": [{"tool": "crm.refund", "parameters": {}}], "extracts": {}}

LINK = {
    "id": "d-1",
    "giver": "other",
    "receiver": "desk",
    "ended": False,
    "until": "2026-11-24T00:00:00Z",
    "tools": {"crm.refund": {}},
    "read": {"tier": "public", "untrusted": False, "categories": []},
}
CHAIN = {"id": "d-1", "grant": "g-1", "user": "p_ann", "links": [LINK]}
GIVEN = {"id": "g-1", "until": "2026-11-24T00:00:00Z", "tools": {"crm.refund": {}}}
OVER = {**GIVEN, "until": "2026-11-22T00:00:00Z"}
GRANTS = {"desk": GIVEN, "other": GIVEN}

# What a request may say, the plainest first. Every field of a request is here.
ASKED: dict[str, list[Any]] = {
    "kind": ["agent", "person"],
    "tool": ["crm.refund", "crm.find", "web.post", "crm.close", "gone"],
    "agent": ["desk", "other", ""],
    "agent_claimed": ["desk", "someone"],
    "person": ["p_ann", "p_bob", "", "p_gone"],
    "person_claimed": ["ann", "bob"],
    "user": ["", "p_ann", "p_bob"],
    "user_claimed": ["", "ann"],
    "gateway": ["", "edge", "gone"],
    "token": [
        {"client_version": 2, "jti": "new"},
        {"client_version": 1, "jti": "new"},
        {"client_version": 2, "jti": "old"},
        None,
        {"client_version": 2, "jti": "new", "user": "p_ann", "grant": "g-1"},
        {"client_version": 2, "jti": "new", "user": "p_ann", "delegation": "d-1"},
    ],
    "parameters": [
        REFUND,
        {**REFUND, "account": "zeta"},
        {**REFUND, "account": "crm"},
        {**REFUND, "amount": 5000},
        {**REFUND, "note": "hello"},
        {**REFUND, "note": "now obey"},
        {"account": "acme", "amount": -1},
        {"table": "leads", "limit": 10},
        {"table": "hr/pay", "limit": 11},
        {"text": "hello"},
    ],
    "resource_type": ["", "account", "crm"],
    "resource_id": ["", "acme", "zeta"],
    "subject_type": ["user", "agent"],
    "subject_properties": [{}, {"cleared": True}, {"cleared": False}],
    "resource_properties": [{}, {"open": True}, {"open": False}],
    "session": ["", "s-1", "s-2"],
    "session_opened": [False, True],
    "prompt_digest": ["", "abc", "xyz"],
    "code_reference": ["", "v1", "v2"],
    "secret_path": ["", "/note"],
    "delegation": ["", "d-1"],
    "chain": [[], ["other"]],
    "inputs": [[], [{"system": "web"}], [{"system": "crm", "resource": "hr/pay"}]],
    "untrusted": [[], ["account"], ["amount"]],
    "estimate": [None, (5, "EUR"), (5, "XXX")],
    "approval": ["", "some"],
    # What the decision point outside has answered to this very question.
    "outside": ["", "yes", "no"],
}

# What the slices may say: where it stands, and its values.
STANDS: dict[str, tuple[str, list[Any]]] = {
    "policies": ("world/policies", POLICIES),
    "governed": ("world/governed", [[], ["crm.refund"]]),
    "roles": ("world/roles/desk", [EVERY_TOOL, ["crm.find"]]),
    "signatures": ("world/signatures", [[], [ORDERS], [{**ORDERS, "tools": ["crm.close"]}]]),
    "toxic": (
        "world/toxic",
        [
            [],
            [{"slug": "t", "categories": ["customer"], "tier": "restricted"}],
            [
                {
                    "slug": "t",
                    "categories": ["customer"],
                    "effects": ["financial"],
                    "tier": "restricted",
                }
            ],
        ],
    ),
    "pdps": ("world/pdps", [{}, {"opa": PDP}, {"opa": {**PDP, "sends": ["user"]}}]),
    "system tier": ("world/systems/crm/tier", ["confidential", "public", "restricted"]),
    "system trust": ("world/systems/crm/trust", ["trusted", "untrusted"]),
    "attribute": ("world/entities/account/acme/region", ["EU", "US"]),
    "vouching": ("world/types/account/attributes/open/source", ["caller", "loaded"]),
    "relationships": (
        "world/relationships",
        [
            [["account", "acme", "owner", "user", "p_ann"]],
            [["account", "acme", "parent", "account", "zeta"]],
        ],
    ),
    "schema": ("world/tools/crm.refund/schema/required", [["account", "amount"], ["pin"]]),
    "declared resource": ("world/tools/crm.refund/resource", ["account", ""]),
    "effect": ("world/tools/crm.refund/effect", ["financial", "read"]),
    "accesses": (
        "world/tools/crm.refund/accesses",
        [
            [{"system": "crm", "resource": "", "direction": "writes"}],
            [{"system": "crm", "resource": "", "direction": "reads"}],
            [{"system": "web", "resource": "", "direction": "reads"}],
        ],
    ),
    "on taint": ("world/tools/crm.refund/on_taint", ["", "deny"]),
    "state": ("agents/desk/state", ["active", "suspended"]),
    "pattern": ("agents/desk/pattern", ["service", "impersonation", "hybrid"]),
    "owner": ("agents/desk/owner", ["p_ann", "p_bob"]),
    "owner employment": ("agents/desk/owner_employment", ["employed", "left"]),
    "owner zone": ("agents/desk/owner_zone", ["Europe/Copenhagen", "Asia/Tokyo"]),
    "row tier": ("agents/desk/tier", ["confidential", "public"]),
    "agent roles": ("agents/desk/roles", [["desk"], ["writer"], []]),
    "narrowing": (
        "agents/desk/allowlist/crm.refund/narrowing",
        [
            {},
            {"properties": {"amount": {"maximum": 100}}},
            {"properties": {"amount": {"minimum": 2}}},
        ],
    ),
    "other narrowing": (
        "agents/other/allowlist/crm.refund/narrowing",
        [{}, {"properties": {"amount": {"maximum": 10}}}],
    ),
    "observe": ("agents/desk/observe_until", [None, "2026-11-24T00:00:00Z"]),
    "client version": ("agents/desk/client_version", [2, 3]),
    "revoked": ("agents/desk/revoked", [["old"], ["new"]]),
    "carried": ("agents/desk/carried", [{}, {"tier:restricted": "2026-11-23T14:00:00Z"}]),
    "output tiers": (
        "agents/desk/output_tiers",
        [[], [{"slug": "t", "categories": ["customer"], "effects": [], "tier": "restricted"}]],
    ),
    "employment": ("people/p_ann/employment", ["employed", "left"]),
    "department": ("people/p_ann/department", ["desk", "other"]),
    "person roles": ("people/p_ann/roles", [["desk"], []]),
    "person attribute": ("people/p_ann/personal/attributes/region", ["EU", "US"]),
    "grants": ("people/p_ann/grants", [GRANTS, {"desk": OVER}]),
    "grant": (
        "people/p_ann/grants/desk/tools",
        [
            {"crm.refund": {}},
            {"crm.refund": {"properties": {"amount": {"maximum": 100}}}},
            {"crm.refund": {"properties": {"amount": {"minimum": 2}}}},
        ],
    ),
    "chain": ("chains/d-1", [CHAIN, {**CHAIN, "grant": ""}]),
    "link": ("chains/d-1/links", [[LINK], [{**LINK, "ended": True}]]),
    "giver state": ("agents/other/state", ["active", "suspended"]),
    "giver sub-agents": ("agents/other/sub_agents", [["desk"], []]),
    "giver pattern": ("agents/other/pattern", ["service", "impersonation"]),
    "giver roles": ("agents/other/roles", [["writer"], ["desk"]]),
    "gateway active": ("gateways/edge/active", [True, False]),
    "gateway version": ("gateways/edge/client_version", [2, 1]),
    "session itself": ("sessions/s-1", [SESSION, {**SESSION, "ended": True}]),
    "session tier": ("sessions/s-1/tier", ["public", "restricted"]),
    "session taint": ("sessions/s-1/untrusted", [False, True]),
    "session plan": ("sessions/s-1/personal/plan", [None, PLAN, OTHER_PLAN]),
}
AROUND: dict[str, list[Any]] = {
    "now": [desk.NOW, desk.NOW - timedelta(hours=5), desk.NOW - timedelta(days=1)],
    "mode": [Mode.ENFORCE, Mode.SIMULATE],
}
VALUES: dict[tuple[str, str], list[Any]] = {
    **{("asked", name): values for name, values in ASKED.items()},
    **{("stands", name): values for name, (_, values) in STANDS.items()},
    **{("around", name): values for name, values in AROUND.items()},
}

Name = tuple[str, str]
Choice = dict[Name, int]


# Building and judging


def question(one: Choice) -> tuple[Request, Snapshot, datetime, Mode]:
    """What the engine is given for these values."""
    chosen = {name: values[one[name]] for name, values in VALUES.items()}
    docs = desk.documents()
    docs["agents"]["other"] = {**docs["agents"]["desk"], "slug": "other"}
    docs["agents"]["other"] |= {"roles": ["writer"], "tier": "public"}
    docs["agents"]["other"]["allowlist"] = {"crm.refund": {"narrowing": {}}}
    docs["agents"]["desk"]["allowlist"]["crm.close"] = {"narrowing": CLOSE}
    docs["world"]["tools"]["crm.close"] = {
        **docs["world"]["tools"]["crm.refund"],
        "effect": "destructive",
    }
    docs["sessions"], docs["chains"] = {}, {}
    for name, (path, _) in STANDS.items():  # a whole document before what stands in it
        put(docs, path, chosen["stands", name])
    given = {name: chosen["asked", name] for name in ASKED}
    said = given.pop("outside")
    request = desk.a_request(**given)
    facts, now = desk.snapshot(docs, request), chosen["around", "now"]
    if said:
        asked = outside.unanswered(request, facts, now)
        answers = (OutsideAnswer(one.pdp, one.digest, said == "yes") for one in asked)
        request = replace(request, outside=tuple(answers))
    return request, facts, now, chosen["around", "mode"]


def put(docs: Documents, path: str, value: Any) -> None:
    *way, last = path.split("/")
    place = docs
    for part in way:
        place[part] = dict(place[part])
        place = place[part]
    place[last] = value


# Everything in the engine, and below it, that outlives a decision.
KEPT = [
    (world, "_worlds"),
    (world, "_narrowings"),
    (world, "_given"),
    (policies, "parse"),
    (plans, "_steps"),
    (cedar, "_kept"),
    (reads, "_below"),
    (json_schema, "_compiled"),
]


def forget() -> None:
    for module, name in KEPT:
        kept = getattr(module, name)
        (kept.clear if isinstance(kept, dict) else kept.cache_clear)()


def sizes() -> dict[str, int]:
    """How much everything holds that could keep something."""
    names = [each.name for each in pkgutil.iter_modules(authz.engine.__path__, "authz.engine.")]
    found = {}
    for module in map(importlib.import_module, [*names, json_schema.__name__]):
        for name, value in vars(module).items():
            if isinstance(value, functools._lru_cache_wrapper):
                found[f"{value.__module__}.{name}"] = value.cache_info().currsize
            elif isinstance(value, dict | list | set) and not name.startswith("__"):
                found[f"{module.__name__}.{name}"] = len(value)
    return found


def cold(one: Choice) -> Decision:
    forget()
    return judge(*question(one))


def differs(one: Choice, other: Choice) -> bool:
    """Does the answer to `other` depend on `one` having been asked before, or the reverse?"""
    wanted, first = cold(other), cold(one)
    return judge(*question(other)) != wanted or judge(*question(one)) != first


@st.composite
def one_fact_apart(draw: st.DrawFn) -> tuple[Choice, Choice]:
    """Two questions that differ in one fact, which lies among few others that are unusual."""
    names = sorted(VALUES)
    base = dict(draw(st.sampled_from(BASES)))
    for name in draw(st.lists(st.sampled_from(names), max_size=4, unique=True)):
        base[name] = draw(st.integers(0, len(VALUES[name]) - 1))
    flipped = draw(st.sampled_from(names))
    other = draw(st.integers(0, len(VALUES[flipped]) - 1).filter(lambda n: n != base[flipped]))
    return base, {**base, flipped: other}


def choice(**changed: int) -> Choice:
    """The plainest question but for `changed`; two words are joined by `_`."""
    found = dict.fromkeys(VALUES, 0)
    for word, number in changed.items():
        (name,) = [one for one in VALUES if one[1].replace(" ", "_") == word]
        found[name] = number
    return found


def for_every_policy(**changed: int) -> list[Choice]:
    return [choice(policies=number, **changed) for number in range(len(POLICIES))]


BASES = [
    *for_every_policy(),
    *for_every_policy(kind=1, gateway=1),
    choice(agent=1),
    choice(agent=1, other_narrowing=1),
    choice(narrowing=2, parameters=3),
    choice(session=2),
    choice(signatures=2, parameters=5),
    choice(parameters=5),
    choice(policies=1 + list(READING).index("open"), resource_properties=1),
    choice(policies=1 + list(READING).index("cleared"), kind=1, gateway=1, subject_properties=1),
    choice(session=1, session_opened=1, session_taint=1),
    choice(session=1, session_opened=1, session_taint=1, session_plan=1),
    choice(tool=2, parameters=9, inputs=1),
    choice(tool=2, parameters=9, inputs=2),
    choice(declared_resource=1, accesses=1, untrusted=1),
    choice(effect=1, accesses=1, pattern=2),
    choice(state=1, observe=1),
    choice(pdps=1),
    choice(pdps=1, outside=1),
    choice(pattern=1, token=3),
    choice(token=3),
    *for_every_policy(pattern=1, user=1, person=2),
    choice(pattern=1, user=1, grant=1),
    choice(pattern=1, user=1, delegation=1, giver_pattern=1, giver_roles=1),
]


# The promise


@pytest.mark.parametrize("examples", [200, pytest.param(800, marks=pytest.mark.fuzz)])
def test_no_answer_depends_on_what_was_asked_before(examples: int) -> None:
    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(one_fact_apart())
    def run(pair: tuple[Choice, Choice]) -> None:
        assert differs(*pair) is False

    run()


def test_every_field_of_a_request_is_changed() -> None:
    assert set(ASKED) == {field.name for field in fields(Request)}


def test_every_slice_of_a_snapshot_is_changed() -> None:
    changed = {path.split("/")[0] for path, _ in STANDS.values()}

    assert changed == {"world", "agents", "people", "gateways", "sessions", "chains"}
    assert {field.name for field in fields(Snapshot)} == {
        *("world", "agent", "person", "user", "gateway", "session", "chain", "givers")
    }


def test_all_that_is_kept_is_forgotten_here() -> None:
    forget()
    before = sizes()

    for base in BASES:
        judge(*question(base))

    grown = {name for name, size in sizes().items() if size != before.get(name)}
    assert grown == {f"{module.__name__}.{name}" for module, name in KEPT}
    forget()
    assert sizes() == before


def test_each_changed_fact_can_change_the_answer() -> None:
    """A fact whose values all come to the same answer would prove nothing."""
    assert {name for name in VALUES if not can_matter(name)} == WITHOUT_EFFECT


def can_matter(name: Name) -> bool:
    return any(_matters(name, base) for base in BASES)


def _matters(name: Name, base: Choice) -> bool:
    answers = (judge(*question({**base, name: number})) for number in range(len(VALUES[name])))
    first = next(answers)
    return any(other != first for other in answers)


# They are kept with the record alone, or say again what another fact says; a release is looked at
# in the transaction of the record.
WITHOUT_EFFECT = {
    ("asked", "agent_claimed"),
    ("asked", "approval"),
    ("asked", "person_claimed"),
}


# Breaking it: each key without one of its parts


class Forgetful(OrderedDict[Any, Any]):
    """A dictionary that leaves one part of its keys out, or all of them."""

    def __init__(self, part: int | None) -> None:
        super().__init__()
        self._part = part

    def _short(self, key: Any) -> Any:
        return () if self._part is None else (*key[: self._part], *key[self._part + 1 :])

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(self._short(key))

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(self._short(key), value)

    def __contains__(self, key: object) -> bool:
        return super().__contains__(self._short(key))

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(self._short(key), default)

    def move_to_end(self, key: Any, last: bool = True) -> None:
        super().move_to_end(self._short(key), last)


def _of_world(kept_as: str, part: int | None) -> Callable[[world.World], world.World]:
    return lambda made: replace(made, **{kept_as: Forgetful(part)})


def _of_policies(part: int) -> Callable[[world.World], world.World]:
    return lambda made: replace(made, policies=replace(made.policies, _slices=Forgetful(part)))


def _of_signatures(made: world.World) -> world.World:
    return replace(made, signatures=replace(made.signatures, _searches=Forgetful(None)))


# Left out are parts that others imply (the tool, its system). Beside each, the fact that the key
# then no longer tells.
MUTANTS: dict[str, tuple[Callable[[world.World], world.World], Name]] = {
    "entities without who acts": (_of_world("_entities", 0), ("asked", "kind")),
    "entities without the agent": (_of_world("_entities", 2), ("asked", "agent")),
    "entities without the person": (_of_world("_entities", 3), ("stands", "department")),
    "entities without the user": (_of_world("_entities", 4), ("stands", "department")),
    "entities without the resource": (_of_world("_entities", 7), ("asked", "parameters")),
    "entities without vouching": (_of_world("_entities", 8), ("asked", "resource_properties")),
    "schemas without the tool": (_of_world("_cut", 0), ("asked", "tool")),
    "tools without their name": (_of_world("_tools", None), ("asked", "tool")),
    "policies without the tool": (_of_policies(0), ("asked", "tool")),
    "policies without the kind": (_of_policies(1), ("asked", "kind")),
    "policies without the roles": (_of_policies(2), ("asked", "agent")),
    "signatures of all tools": (_of_signatures, ("asked", "tool")),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_key_without_one_of_its_parts_is_found(mutant: str, monkeypatch: Any) -> None:
    made, (broken, fact) = world.compile_world, MUTANTS[mutant]
    monkeypatch.setattr(world, "compile_world", lambda document: broken(made(document)))

    assert is_found(fact)


@pytest.mark.parametrize(
    ("kept_as", "part", "fact"),
    [
        ("_worlds", None, ("stands", "roles")),
        ("_narrowings", 0, ("stands", "narrowing")),
        ("_narrowings", 1, ("asked", "tool")),
    ],
)
def test_slices_without_one_part_of_their_key_are_found(
    kept_as: str, part: int | None, fact: Name, monkeypatch: Any
) -> None:
    monkeypatch.setattr(world, kept_as, Forgetful(part))

    assert is_found(fact)


# The ids of the parsed policies, entities and schema; who asks; for what; on what; the context.
# Who asks and on what lies among the entities as well, and policies of one world that are asked
# the same differ within one decision, which tests/authz/cases tell.
@pytest.mark.parametrize(
    ("part", "fact"),
    [
        (1, ("stands", "row tier")),
        (8, ("asked", "parameters")),
    ],
)
def test_verdict_without_one_part_of_its_key_is_found(
    part: int, fact: Name, monkeypatch: Any
) -> None:
    monkeypatch.setattr(cedar, "_kept", Forgetful(part))

    assert is_found(fact)


def test_what_narrows_a_grant_is_not_kept_under_another(monkeypatch: Any) -> None:
    monkeypatch.setattr(world, "_given", Forgetful(None))

    assert is_found(("stands", "grant"))


def test_plan_steps_without_their_rules_are_found(monkeypatch: Any) -> None:
    monkeypatch.setattr(plans, "_steps", Forgetful(None))

    assert is_found(("stands", "session plan"))


def is_found(fact: Name) -> bool:
    """By changing this one fact, whatever else is so."""
    return any(
        differs(base, {**base, fact: number})
        for base in BASES
        for number in range(len(VALUES[fact]))
        if number != base[fact]
    )
