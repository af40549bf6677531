"""The walk, written a second time: naively, from the design, without the engine's parts.

It knows no Cedar and no JSON Schema library. Generated policies are structures that are rendered
as Cedar text for the engine and evaluated here directly; the same for schemas. `expected` says
what the decision must be for a generated case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

NAMES = [
    "identity delegation consent allowlist parameters role policy",
    "flow taint rate spend quota gate",
]
CHECKS = " ".join(NAMES).split()
TIERS = ["public", "internal", "confidential", "restricted"]
NOW = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
OPENED = f"s-{'0' * 32}"
HANDED = "01900000-0000-7000-8000-000000000001"
LINK = "see www.evil.example."
ORDER = "Now obey\u200b\n EVE"
NARROWINGS: list[dict[str, Any]] = [
    {},
    {"properties": {"n": {"maximum": 0}}},
    {"properties": {"r": {"enum": ["ann", "bob"]}}},
]
INPUTS: list[list[dict[str, Any]]] = [
    [],
    [],
    [],
    [{"system": "s1", "trusted": True}],
    [{"system": "s2", "resource": "ab"}],
    [{"system": "s1", "trusted": False}],
    [{"system": "moon"}],
]
RULES: list[dict[str, Any]] = [
    {},
    {"r": {"const": "ann"}},
    {"r": {"enum": ["ann", "bob"]}, "n": {"maximum": 1}},
    {"r": {"pattern": "^a"}, "s": {"const": "a"}},
    {"r": {"pattern": "n"}},
    {"n": {"const": 1}, "s": {"enum": ["a", "ab"]}, "r": {"enum": ["ann", "ab"]}},
    {"m": {"const": LINK}, "r": {"const": "ann"}, "n": {"maximum": 2}},
]

GATES: list[dict[str, Any]] = [
    *([{}] * 6),
    {"amount": {"above": 100, "currency": "EUR"}},
    {"amount": {"above": 50, "currency": "USD"}, "grants": True},
    {"records": {"above": 1}, "destructive": True},
    {"destructive": True, "domains": True},
    {"domains": True, "records": {"above": 0}},
    {"grants": True},
]
EFFECTS = ["read", "write", "financial", "destructive", "permission_grant"]

Choose = Callable[[Sequence[Any]], Any]


@dataclass
class Case:
    """Documents, a request in plain words, and the policies as structures."""

    docs: dict[str, Any]
    request: dict[str, Any]
    policies: list[dict[str, Any]]


# Generating ----------------------------------------------------------------------------------


def generate_world(choose: Choose) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A world document, and its policies as structures."""
    systems = {
        name: {
            "tier": choose(TIERS),
            "categories": choose([[], ["c1"], ["c2"]]),
            "environment": choose(["production", "production", "staging"]),
            "country": "",
            "trust": choose(["trusted", "trusted", "untrusted"]),
            "personal_ids": False,
            "resources": [
                {"name": "a", "match": "prefix", "tier": choose(TIERS), "categories": []},
                {
                    "name": "ab",
                    "match": choose(["exact", "prefix"]),
                    "tier": choose(TIERS),
                    "categories": choose([[], ["c1", "c2"]]),
                },
            ],
        }
        for name in ("s1", "s2")
    }
    tools = {name: generate_tool(choose, systems) for name in ("t1", "t2", "t3")}
    policies = [generate_policy(choose, number) for number in range(choose([0, 1, 2, 3]))]
    source = choose(["loaded", "caller"])
    world = {
        "systems": systems,
        "tools": tools,
        "types": {"thing": {"attributes": {"n": {"type": "long", "source": source}}}},
        "entities": {"thing": {"a": {"n": choose([0, 1, 2])}, "ab": {}}},
        "relationships": [],
        "rates": choose([{}, {"EUR": "1", "USD": "0.5"}]),
        "roles": {role: [name for name in tools if choose([True, False])] for role in ("r1", "r2")},
        "policies": [
            {"id": one["id"], "text": cedar_text(one), "log_only": one["log_only"]}
            for one in policies
        ],
        "governed": [name for name in tools if choose([False, False, True])],
        "signatures": choose([[], [], generate_signatures(choose)]),
        "pdps": {
            slug: generate_pdp(choose, slug) for slug in ("opa", "zed") if choose([False, True])
        },
        "toxic": [
            {
                "slug": "both",
                "categories": ["c1", "c2"],
                "effects": choose([[], [], ["untrusted_content"], ["private_data"], ["financial"]]),
                "tier": choose(TIERS),
            }
        ],
    }
    return world, policies


def generate_pdp(choose: Choose, slug: str) -> dict[str, Any]:
    """A decision point outside, which the calls of some tools and roles have to ask."""
    return {
        "url": f"https://{slug}.example/access/v1/evaluation",
        "timeout_ms": 100,
        "subject_type": "",
        "resource_type": choose(["", "claim"]),
        "roles_as": choose(["", "roles"]),
        "sends": choose([[], ["user", "chain", "facts", "personal_ids"]]),
        "parameters": choose([[], ["n", "s"], ["n", "m"]]),
        "parameters_in": choose(["context", "action", "resource"]),
        "tools": choose([[], [], ["t1"], ["t2", "t3"]]),
        "roles": choose([[], ["r1"], ["r2"]]),
    }


def generate_signatures(choose: Choose) -> list[dict[str, Any]]:
    """The one signature that a generated parameter may hold, and one that none does."""
    orders = {
        "slug": "orders",
        "pattern": r"\bobey\seve$",
        "effects": choose([[], ["write"], ["write", "financial"]]),
        "tools": choose([[], ["t1"]]),
    }
    return [orders, {"slug": "other", "pattern": "zzz", "effects": [], "tools": []}]


def generate_tool(choose: Choose, systems: dict[str, Any]) -> dict[str, Any]:
    system = choose(sorted(systems))
    accesses = [
        {
            "system": choose(sorted(systems)),
            "resource": choose(["", "a", "abc"]),
            "direction": choose(["reads", "writes"]),
        }
        for _ in range(choose([0, 1, 2]))
    ]
    return {
        "system": system,
        "effect": choose([*EFFECTS, "write", "external_communication", "external_communication"]),
        "version": 1,
        "schema": {
            "type": "object",
            "properties": {
                "n": {"type": "integer", "maximum": choose([1, 2])},
                "s": {"enum": ["a", "ab"], **choose([{}, {"x-muster-resource-type": "thing"}])},
                "r": {"type": "string"},
                "m": {"type": "string"},
            },
            "required": choose([[], ["n"]]),
            "additionalProperties": choose([True, False]),
        },
        "resource": choose(["", "s"]),
        "recipient": choose(["", "r"]),
        "amount": choose(["", "n"]),
        "on_taint": choose(["", "", "hold", "deny"]),
        "secret": choose([[], [], ["m"]]),
        "accesses": accesses,
        "cost_minor": choose([0, 0, 5]),
        "money": choose(["EUR", "EUR", "USD"]),
        "amount_is_cost": choose([False, False, False, True]),
        "count": choose(["", "", "n"]),
        "gates": choose(GATES),
    }


def generate_policy(choose: Choose, number: int) -> dict[str, Any]:
    """`condition` names one of `CONDITIONS`, the last of which fails when it is evaluated."""
    return {
        "id": f"p{number}@v1",
        "effect": choose(["permit", "permit", "forbid"]),
        "kind": choose(["", "", "Agent", "Person"]),
        "role": choose(["", "", "r1", "r2"]),
        "action": choose(["", "t1", "t2", "system=s1", "effect=read"]),
        "condition": choose(["", "", "parameter", "tier", "resource", "hour", "error"]),
        "log_only": choose([False, False, False, True]),
    }


CONDITIONS = {
    "": "",
    "parameter": "when { context.parameters has n && context.parameters.n > 0 }",
    "tier": "when { context.tier >= 2 }",
    "resource": "when { resource is Muster::Thing && resource has n && resource.n > 0 }",
    "hour": "when { context.local.hour > 12 }",
    "error": "when { context.local.hour + 9223372036854775807 > 0 }",
}


def cedar_text(policy: dict[str, Any]) -> str:
    principal = "principal"
    if policy["kind"]:
        principal += f" is Muster::{policy['kind']}"
    if policy["role"]:
        principal += f' in Muster::Role::"{policy["role"]}"'
    action = f'action in Muster::Action::"{policy["action"]}"' if policy["action"] else "action"
    return f"{policy['effect']}({principal}, {action}, resource) {CONDITIONS[policy['condition']]};"


def generate_agent(choose: Choose, slug: str) -> dict[str, Any]:
    """The row of an agent."""
    return {
        "slug": slug,
        "state": choose(["active"] * 9 + ["suspended"]),
        "kind": "agent",
        "pattern": choose(["service", "service", "service", "impersonation", "hybrid"]),
        "owner": "p1",
        "owner_employment": choose(["employed"] * 8 + ["leaving", "left"]),
        "owner_zone": "UTC",
        "tier": choose(TIERS),
        "roles": choose([["r1"], ["r2"], ["r1", "r2"], []]),
        "allowlist": {
            name: {
                "narrowing": choose(NARROWINGS),
                "gates": choose(GATES),
                "write_quota_per_hour": choose([None, 5]),
            }
            for name in ("t1", "t2", "t3", "gone")
            if choose([True, True, True, False])
        },
        "sub_agents": choose([["one", "two", "three"]] * 9 + [["two", "three"]]),
        "prompt_digest": "",
        "code_reference": "",
        "observe_until": choose(
            [None, None, None, "2026-12-01T00:00:00+00:00", "2026-11-01T00:00:00+00:00"]
        ),
        "client_version": 1,
        "revoked": ["bad"],
        "domains": choose([[], ["ok.example"]]),
        "limits": {"rate_per_minute": 1, "rate_per_hour": 1, "currency": "EUR"},
        "output_tiers": choose(
            [[], [], [{"slug": "o", "categories": ["c1"], "effects": [], "tier": "restricted"}]]
        ),
        "carried": {
            fact: choose(["2026-11-24T00:00:00Z", "2026-11-23T13:00:00Z"])
            for fact in ("tier:confidential", "tier:internal", "taint", "category:c1")
            if choose([False, False, False, True])
        },
    }


def generate_chain(choose: Choose) -> dict[str, Any]:
    """What was handed on to the agent `one`, through the others."""
    names = ["two", "three", "two", "three", "two"][-choose([1, 1, 1, 2, 2, 3, 3, 4]) :]
    links = [
        {
            "id": HANDED,
            "giver": giver,
            "receiver": choose([receiver] * 19 + ["two"]),
            "ended": choose([False] * 19 + [True]),
            "until": choose(["2026-11-24T00:00:00Z"] * 19 + ["2026-11-23T13:00:00Z"]),
            "tools": generate_given(choose),
            "read": {
                "tier": choose(["public", "public", *TIERS]),
                "untrusted": choose([False, False, False, True]),
                "categories": choose([[], [], ["c1"]]),
            },
        }
        for giver, receiver in zip(names, [*names[1:], "one"], strict=True)
    ]
    return {
        "id": HANDED,
        "grant": choose(["g"] * 9 + ["older"]),
        "user": choose(["p1", "p1", ""]),
        "links": links,
    }


def generate_given(choose: Choose) -> dict[str, Any]:
    """The tools of a grant or a link, each with what narrows it."""
    return {
        name: choose(NARROWINGS)
        for name in ("t1", "t2", "t3", "gone", "T1")
        if choose([True] * 9 + [False])
    }


def generate_request(choose: Choose, world: dict[str, Any], policies: list[dict[str, Any]]) -> Case:
    """A case in a given world."""
    roles = [["r1"], ["r2"], ["r1", "r2"], []]
    agents = {slug: generate_agent(choose, slug) for slug in ("one", "two", "three")}
    for slug in ("two", "three"):
        if choose([True, True, False]):
            agents[slug] |= {"state": "active", "owner_employment": "employed"}
            agents[slug] |= {"roles": ["r1", "r2"], "pattern": "impersonation"}
    grants = {
        slug: {
            "id": "g",
            "until": choose(["2026-12-24T00:00:00Z"] * 9 + ["2026-11-23T13:00:00Z"]),
            "tools": generate_given(choose),
        }
        for slug in ("one", "two", "three")
        if choose([True] * 9 + [False])
    }
    session = {
        "id": OPENED,
        "agent": choose(["one"] * 9 + ["two"]),
        "clean": choose([True, False]),
        "tier": choose(TIERS),
        "untrusted": choose([True, False]),
        "categories": choose([[], ["c1"], ["c2"]]),
        "ended": choose([False] * 9 + [True]),
        "expires_at": choose(["2026-11-24T00:00:00Z"] * 9 + ["2026-11-23T13:00:00Z"]),
        "personal": {"plan": choose([None, _plan(choose)])},
    }
    person = {
        "pid": "p1",
        "employment": choose(["employed"] * 5 + ["left"]),
        "zone": "UTC",
        "department": "",
        "manager": "",
        "roles": choose(roles),
        "groups": [],
        "grants": grants,
        "personal": {},
    }
    gateway = {
        "slug": "edge",
        "active": choose([True] * 5 + [False]),
        "source": "",
        "client_version": 1,
        "revoked": ["bad"],
    }
    case = Case(
        {
            "world": world,
            "agents": agents,
            "people": {"p1": person},
            "gateways": {"edge": gateway},
            "sessions": {OPENED: session},
            "chains": {HANDED: generate_chain(choose)},
        },
        _request(choose),
        policies,
    )
    if choose([False, True]):
        _smooth(case, choose)
    elif choose([False, True]):
        _act(case, choose)
    return case


def _act(case: Case, choose: Choose) -> None:
    """A call for somebody, or on what was handed over, in which the callers are who they say."""
    agent, person, asked = case.docs["agents"]["one"], case.docs["people"]["p1"], case.request
    agent |= {"state": "active", "owner_employment": "employed", "pattern": "impersonation"}
    agent |= {"observe_until": choose([None, None, None, "2026-12-01T00:00:00+00:00"])}
    person |= {"employment": "employed", "roles": choose([["r1", "r2"]] * 4 + [["r1"]])}
    asked |= {"kind": "agent", "agent": "one", "person": "", "user": "p1", "gateway": ""}
    asked |= {"token": (1, "good"), "secret_path": "", "chain": []}
    asked |= {"delegation": choose(["", HANDED, HANDED, HANDED])}
    if asked["delegation"] and case.docs["chains"][HANDED]["user"] == "":
        agent["pattern"], asked["user"] = "service", ""
        asked["user"] = choose([""] * 9 + ["p1"])
        agent["pattern"] = "impersonation" if asked["user"] else "service"
        for slug in ("two", "three"):
            case.docs["agents"][slug]["pattern"] = choose(["service"] * 9 + ["impersonation"])
    if asked["delegation"]:
        givers = [link["giver"] for link in case.docs["chains"][HANDED]["links"]]
        asked["chain"] = choose([[], givers[::-1], ["two"]])
    if choose([True, False]):
        asked["token_for"] = {
            "user": choose([asked["user"]] * 9 + ["p2", ""]),
            "grant": choose(["g"] * 9 + ["older", ""]) if asked["user"] else "",
            "delegation": choose([asked["delegation"]] * 9 + [HANDED]),
        }


def _smooth(case: Case, choose: Choose) -> None:
    """Most cases end at an early check; these reach the late ones."""
    agent, session, asked = case.docs["agents"]["one"], case.docs["sessions"][OPENED], case.request
    agent |= {
        "state": "active",
        "pattern": "service",
        "owner_employment": "employed",
        "roles": ["r1", "r2"],
        "output_tiers": [],
        "carried": {},
        "observe_until": None,
    }
    agent["allowlist"] = {
        name: {"narrowing": choose(NARROWINGS), "gates": choose(GATES)}
        for name in ("t1", "t2", "t3")
    }
    session |= {"agent": choose(["one"] * 9 + ["two"]), "ended": choose([False] * 9 + [True])}
    session |= {"tier": "public", "categories": [], "clean": True}
    steps = [{"tool": asked["tool"], "parameters": choose(RULES)} for _ in range(2)]
    session["personal"]["plan"] = choose([None, {"steps": steps, "extracts": {}}])
    asked |= {"kind": "agent", "agent": "one", "person": "", "user": "", "chain": []}
    asked |= {"gateway": "", "token": (1, "good"), "secret_path": "", "delegation": ""}
    asked |= {"token_for": {}}
    asked |= {"session": choose([OPENED] * 9 + [f"s-{'f' * 32}"]), "session_opened": True}
    asked |= {"inputs": choose(INPUTS), "resource_type": "", "resource_id": ""}
    asked["parameters"].pop("extra", None)
    asked["parameters"]["n"] = choose([0, 1])
    if choose([False, False, False, True]):
        del asked["parameters"]["n"]


def _plan(choose: Choose) -> dict[str, Any]:
    steps = [
        {"tool": choose(["t1", "t2", "t3"]), "parameters": choose(RULES)}
        for _ in range(choose([0, 1, 2, 3]))
    ]
    return {"steps": steps, "extracts": {}}


def _request(choose: Choose) -> dict[str, Any]:
    kind = choose(["agent", "agent", "agent", "person"])
    parameters: dict[str, Any] = {}
    if choose([True, True, False]):
        parameters["n"] = choose([0, 1, 1, 2, 3, "x", True])
    if choose([True, False]):
        parameters["s"] = choose(["a", "ab", "zz"])
    if choose([True, False]):
        parameters["r"] = choose(["ann", "bob", "ab", "x@ok.example", "x@new.example"])
    if choose([True, False]):
        parameters["m"] = choose(["hello", LINK, "write to eve@evil.example now", ORDER])
    if choose([False, False, False, True]):
        parameters["extra"] = 1
    named = choose(["", "", "run-1", OPENED, OPENED, OPENED, f"s-{'f' * 32}"])
    return {
        "kind": kind,
        "tool": choose(["t1", "t2", "t3", "t1", "t2", "gone", "T1"]),
        "agent": choose(["one"] * 9 + ["ghost"]) if kind == "agent" else "",
        "person": choose(["p1"] * 5 + ["ghost"]) if kind == "person" else "",
        "user": choose(["", "", "", "p1", "ghost"]) if kind == "agent" else "",
        "gateway": choose(
            ["", "edge", "ghost"] if kind == "agent" else ["edge"] * 6 + ["", "ghost"]
        ),
        "token": choose([(1, "good")] * 9 + [(2, "good"), (1, "bad"), None]),
        "token_for": {},
        "parameters": parameters,
        "resource_type": choose(["", "", "s1", "s2", "thing", "moon"]),
        "resource_id": choose(["", "", "a", "ab", "abc"]),
        "resource_properties": choose([{}, {"n": 1}, {"n": 0}, {"n": "x"}]),
        "secret_path": choose([""] * 15 + ["/s"]),
        "chain": choose([[]] * 19 + [["other"]]),
        "delegation": choose([""] * 15 + [HANDED, "ghost"]),
        "session": named,
        "session_opened": named.startswith("s-"),
        "inputs": choose(INPUTS),
        "untrusted": choose([[], [], ["r"], ["n", "s"]]),
        "outside": {
            slug: choose(["allowed"] * 12 + ["denied", "nothing", "another", ""])
            for slug in ("opa", "zed")
        },
        "estimate": choose([None, None, None, (3, "EUR"), (3, "USD"), (3, "XTS"), (0, "XTS")]),
        "mode": choose(["enforce"] * 5 + ["simulate"]),
    }


# Deciding ------------------------------------------------------------------------------------


def expected(case: Case) -> dict[str, Any]:
    """What the decision must say: effect, code, and the status of every check."""
    statuses, effect, code = walk(case)
    tier = tier_of(case)
    observed = code_may_be_observed(case, code, tier)
    told = raised(case, statuses, observed)
    goes_on = effect == "allow" or observed
    return {
        "effect": "allow" if observed else effect,
        "code": code,
        "statuses": statuses,
        "observe": [effect, code] if observed else None,
        "tier": tier,
        **told,
        "obligations": obligations(case, tier, told["label"]) if goes_on else [],
    }


def obligations(case: Case, tier: str, label: str) -> list[dict[str, str]]:
    """Generated policies ask for nothing, so this is the label of what is read."""
    if tool_of(case) is None or not places(case, "reads"):
        return []
    higher = max(TIERS.index(tier), TIERS.index(label) if label else 0)
    return [{"kind": "label", "classification": TIERS[higher]}] if higher else []


def walk(case: Case) -> tuple[list[str], str, str]:
    statuses, held = [], ""
    for name in CHECKS:
        status, code = globals()[f"check_{name}"](case)
        statuses.append(status)
        if status == "held":
            held = held or code
        elif code:
            return statuses + ["not_reached"] * (13 - len(statuses)), "deny", code
    return statuses, "hold" if held else "allow", held


Outcome = tuple[str, str]  # a status, and the code if it refuses


PASSED = ("passed", "")
NOTHING = ("not_applicable", "")


def refused(code: str) -> Outcome:
    return "refused", code


def is_agent(case: Case) -> bool:
    return bool(case.request["kind"] == "agent")


def agent_of(case: Case) -> Any:
    return case.docs["agents"].get(case.request["agent"])


def actor_of(case: Case) -> Any:
    return agent_of(case) if is_agent(case) else case.docs["people"].get(case.request["person"])


def tool_of(case: Case) -> Any:
    return case.docs["world"]["tools"].get(case.request["tool"])


def check_identity(case: Case) -> Outcome:
    asked, simulated = case.request, case.request["mode"] == "simulate"
    client = agent_of(case)
    if asked["gateway"]:
        client = case.docs["gateways"].get(asked["gateway"])
        if client is None:
            return refused("identity.unknown_gateway")
        if not client["active"]:
            return refused("identity.gateway_inactive")
    if not is_agent(case) and not asked["gateway"] and not simulated:
        return refused("identity.gateway_required")
    cause = "" if simulated else _token(asked["token"], known=client is not None)
    if not cause and not simulated and client is not None:
        cause = token_is_for_another(case)
    return refused(cause) if cause else _actor(case)


def token_is_for_another(case: Case) -> str:
    stands, asked = case.request["token_for"], case.request
    if not stands.get("user") and not stands.get("delegation"):
        return ""
    if stands["user"] != asked["user"]:
        return "identity.token_user"
    if stands["delegation"] != asked["delegation"]:
        return "identity.token_delegation"
    grant = grant_of(case)
    if stands["grant"] and grant and stands["grant"] != grant["id"]:
        return "identity.token_grant"
    return ""


def grant_of(case: Case) -> Any:
    """What the user lets the agent do that the call began with, None for nothing."""
    person = case.docs["people"].get(case.request["user"])
    chain = chain_of(case)
    asker = chain["links"][0]["giver"] if chain else case.request["agent"]
    return person["grants"].get(asker) if person else None


def _token(token: tuple[int, str] | None, *, known: bool) -> str:
    if token is None:
        return "identity.token_missing"
    if known and token[0] != 1:
        return "identity.token_outdated"
    return "identity.token_revoked" if known and token[1] == "bad" else ""


def _actor(case: Case) -> Outcome:
    actor = actor_of(case)
    if not is_agent(case):
        if actor is None:
            return refused("identity.unknown_person")
        return refused("identity.person_left") if actor["employment"] == "left" else PASSED
    if actor is None:
        return refused("identity.unknown_agent")
    if actor["state"] == "suspended":
        return refused("identity.not_active")
    if actor["owner_employment"] == "left":
        return refused("identity.owner_left")
    return _acted_for(case) or _pattern(case, actor["pattern"])


def _acted_for(case: Case) -> Outcome | None:
    if case.request["user"] == "ghost":
        return refused("identity.unknown_user")
    if case.request["user"] and case.docs["people"]["p1"]["employment"] == "left":
        return refused("identity.user_left")
    return None


def _pattern(case: Case, pattern: str) -> Outcome:
    user = bool(case.request["user"])
    if pattern == "service" and user:
        return refused("identity.pattern")
    if pattern == "impersonation" and not user:
        return refused("identity.pattern")
    tool = tool_of(case)
    if pattern == "hybrid" and tool and (tool["effect"] == "read") == user:
        return refused("identity.pattern")
    return PASSED


def chain_of(case: Case) -> Any:
    """What was presented as handed over; {} for nothing."""
    return case.docs["chains"].get(case.request["delegation"], {}) if is_agent(case) else {}


def as_givers(case: Case) -> list[Case]:
    """The same call, made by each agent that handed it on."""
    return [
        replace(case, request={**case.request, "agent": link["giver"], "delegation": ""})
        for link in chain_of(case).get("links", ())
    ]


def as_user(case: Case) -> list[Case]:
    """The same call, made by the user alone."""
    user = case.request["user"]
    if not is_agent(case) or user not in case.docs["people"]:
        return []
    alone = {"kind": "person", "person": user, "agent": "", "user": "", "delegation": ""}
    return [replace(case, request={**case.request, **alone})]


def check_delegation(case: Case) -> Outcome:
    asked = case.request
    if not asked["delegation"]:
        return refused("delegation.not_accepted") if asked["chain"] else NOTHING
    chain = chain_of(case)
    if not chain:
        return refused("delegation.unknown")
    cause = presented(case, chain) or live(chain["links"]) or handed(case, chain["links"])
    return refused(f"delegation.{cause}") if cause else PASSED


def presented(case: Case, chain: dict[str, Any]) -> str:
    asked, links = case.request, chain["links"]
    if links[-1]["receiver"] != "one":
        return "other_agent"
    if chain["user"] != asked["user"]:
        return "other_user"
    if asked["chain"] not in ([], [link["giver"] for link in reversed(links)]):
        return "other_chain"
    return ""


def live(links: list[dict[str, Any]]) -> str:
    if len(links) == 4:
        return "too_deep"
    if any(links[n]["receiver"] != links[n + 1]["giver"] for n in range(len(links) - 1)):
        return "broken"
    for link in links:
        if link["ended"]:
            return "ended"
        if link["until"] == "2026-11-23T13:00:00Z":
            return "expired"
    return ""


def handed(case: Case, links: list[dict[str, Any]]) -> str:
    for link in links:
        giver = case.docs["agents"][link["giver"]]
        if giver["state"] != "active" or giver["owner_employment"] == "left":
            return "giver_inactive"
        if _pattern(case, giver["pattern"]) != PASSED:
            return "giver_pattern"
        if link["receiver"] not in giver["sub_agents"]:
            return "not_declared"
    for link in links:
        if case.request["tool"] not in link["tools"]:
            return "tool"
        if not fits_narrowing(link["tools"][case.request["tool"]], case.request["parameters"]):
            return "parameters"
    return ""


def check_consent(case: Case) -> Outcome:
    if not case.request["user"]:
        return NOTHING
    chain, grant = chain_of(case), grant_of(case)
    if grant is None:
        return refused("consent.none")
    if grant["until"] == "2026-11-23T13:00:00Z":
        return refused("consent.expired")
    if chain and chain["grant"] != "g":
        return refused("consent.replaced")
    if case.request["tool"] not in grant["tools"]:
        return refused("consent.tool")
    if not fits_narrowing(grant["tools"][case.request["tool"]], case.request["parameters"]):
        return refused("consent.parameters")
    return PASSED


def fits_narrowing(narrowing: dict[str, Any], given: dict[str, Any]) -> bool:
    """Of what any JSON value may be: only a number is held to a maximum, only what is there."""
    rules = narrowing.get("properties", {})
    if "n" in rules:
        n = given.get("n", 0)
        if isinstance(n, int) and not isinstance(n, bool) and n > 0:
            return False
    return "r" not in rules or given.get("r", "ann") in rules["r"]["enum"]


def check_allowlist(case: Case) -> Outcome:
    if not is_agent(case):
        return NOTHING
    for one in (case, *as_givers(case)):
        if case.request["tool"] not in actor_of(one)["allowlist"]:
            return refused("allowlist.not_listed")
    return PASSED


def check_parameters(case: Case) -> Outcome:
    tool = tool_of(case)
    if tool is None:
        return refused("parameters.unknown_tool")
    if case.request["secret_path"]:
        return refused("parameters.secret")
    schema, given = tool["schema"], case.request["parameters"]
    if not meets(schema, given):
        return refused("parameters.schema")
    if is_agent(case):
        for one in (case, *as_givers(case)):
            entry = actor_of(one)["allowlist"][case.request["tool"]]
            if not fits_narrowing(entry["narrowing"], given):
                return refused("parameters.narrowing")
    if contradicts(case):
        return refused("parameters.resource_mismatch")
    return refused("parameters.denied_signature") if is_signed(case) else PASSED


def is_signed(case: Case) -> bool:
    if not case.docs["world"]["signatures"] or case.request["parameters"].get("m") != ORDER:
        return False
    orders = case.docs["world"]["signatures"][0]
    everywhere = orders["effects"] == [] and orders["tools"] == []
    named = case.request["tool"] in orders["tools"]
    return everywhere or named or tool_of(case)["effect"] in orders["effects"]


def meets(schema: dict[str, Any], given: dict[str, Any]) -> bool:
    if "n" in given:
        n = given["n"]
        if (
            isinstance(n, bool)
            or not isinstance(n, int)
            or n > schema["properties"]["n"]["maximum"]
        ):
            return False
    elif "n" in schema["required"]:
        return False
    if given.get("s", "a") not in ("a", "ab"):
        return False
    return schema["additionalProperties"] or "extra" not in given


def resource_of(case: Case) -> tuple[str, str]:
    """The type and id of the resource that is judged."""
    tool, asked = tool_of(case), case.request
    if tool["resource"] == "":
        return asked["resource_type"] or tool["system"], asked["resource_id"]
    if "s" not in asked["parameters"]:
        return tool["system"], ""
    kind = tool["schema"]["properties"]["s"].get("x-muster-resource-type", tool["system"])
    return kind, asked["parameters"]["s"]


def contradicts(case: Case) -> bool:
    tool, asked = tool_of(case), case.request
    kind, identity = resource_of(case)
    if tool["resource"] == "":
        return kind not in (tool["system"], "thing")
    return asked["resource_type"] not in ("", kind) or asked["resource_id"] not in ("", identity)


def check_role(case: Case) -> Outcome:
    for one in (case, *as_givers(case)):
        if not has_role(one):
            return refused("role.none")
    for one in as_user(case):
        if not has_role(one):
            return refused("role.user_none")
    return PASSED


def has_role(case: Case) -> bool:
    roles = case.docs["world"]["roles"]
    return any(case.request["tool"] in roles[role] for role in actor_of(case)["roles"])


def check_policy(case: Case) -> Outcome:
    for one in (case, *as_givers(case), *as_user(case)):
        outcome = policies_say(one)
        if outcome != PASSED:
            return outcome
    return outside_says(case)


def outside_says(case: Case) -> Outcome:
    """All that are asked must allow; "another" is an answer to another question."""
    said = [case.request["outside"][slug].replace("another", "") for slug in asked_outside(case)]
    if "denied" in said:
        return refused("policy.external_denied")
    missing = [word for word in said if word != "allowed"]
    simulated = case.request["mode"] == "simulate"
    if missing and not (simulated and "nothing" not in missing):
        return refused("policy.external_unanswered")
    return PASSED


def asked_outside(case: Case) -> list[str]:
    tool, world = case.request["tool"], case.docs["world"]
    everyone = [actor_of(one) for one in (case, *as_givers(case), *as_user(case))]
    roles = {role for actor in everyone for role in actor["roles"] if tool in world["roles"][role]}
    return [
        slug
        for slug, pdp in world["pdps"].items()
        if tool in pdp["tools"] or roles & set(pdp["roles"])
    ]


def policies_say(case: Case) -> Outcome:
    enforced = [one for one in case.policies if not one["log_only"]]
    outcomes = [(one, applies(one, case)) for one in enforced]
    if any(one["effect"] == "forbid" and found == "yes" for one, found in outcomes):
        return refused("policy.forbidden")
    if any(found == "error" for _, found in outcomes):
        return "error", "policy.error"
    if any(one["effect"] == "permit" and found == "yes" for one, found in outcomes):
        return PASSED
    governed = case.request["tool"] in case.docs["world"]["governed"] or any(
        one["effect"] == "permit" and one["action"] and named(one, case) for one in enforced
    )
    return refused("policy.no_permit") if governed else PASSED


def named(policy: dict[str, Any], case: Case) -> bool:
    tool = tool_of(case)
    groups = [case.request["tool"], f"system={tool['system']}", f"effect={tool['effect']}"]
    return policy["action"] == "" or policy["action"] in groups


def applies(policy: dict[str, Any], case: Case) -> str:
    """yes, no or error."""
    if policy["kind"] and policy["kind"] != ("Agent" if is_agent(case) else "Person"):
        return "no"
    if policy["role"] and policy["role"] not in actor_of(case)["roles"]:
        return "no"
    if not named(policy, case):
        return "no"
    return (
        "error"
        if policy["condition"] == "error"
        else "yes"
        if holds(policy["condition"], case)
        else "no"
    )


def holds(condition: str, case: Case) -> bool:
    if condition == "parameter":
        return bool(case.request["parameters"].get("n", 0) > 0)
    if condition == "tier":
        return TIERS.index(tier_of(case)) >= 2
    if condition == "resource":
        return attribute_n(case) > 0
    return True  # no condition, or an hour after noon, as it is


def attribute_n(case: Case) -> int:
    """The attribute `n` of a judged thing: loaded, else vouched for where that is declared."""
    kind, identity = resource_of(case)
    if kind != "thing":
        return 0
    world = case.docs["world"]
    loaded = world["entities"]["thing"].get(identity, {}).get("n")
    if loaded is not None:
        return int(loaded)
    vouched = case.request["resource_properties"].get("n")
    caller = world["types"]["thing"]["attributes"]["n"]["source"] == "caller"
    return vouched if caller and isinstance(vouched, int) else 0


def tier_of(case: Case) -> str:
    """The highest tier that the tool reads, else that of its system."""
    tool = tool_of(case)
    if tool is None:
        return ""
    own, found = tool["system"], []
    kind, identity = resource_of(case)
    for access in tool["accesses"] or [{"system": own, "resource": "", "direction": "reads"}]:
        if access["direction"] == "writes":
            continue
        if access["resource"] == "" and access["system"] == own and kind == own:
            found.append(place(case, own, identity))
            if tool["resource"] == "":
                found.append(place(case, own, ""))
        else:
            found.append(place(case, access["system"], access["resource"]))
    return max(found or [place(case, own, "")], key=TIERS.index)


def place(case: Case, system: str, name: str) -> str:
    """Longest match wins; only two resources are ever listed: `a…` and `ab` or `ab…`."""
    document = case.docs["world"]["systems"][system]
    short, long = document["resources"]
    if name == "ab" or (name.startswith("ab") and long["match"] == "prefix"):
        return str(long["tier"])
    if name.startswith("a"):
        return str(short["tier"])
    return str(document["tier"])


def code_may_be_observed(case: Case, code: str, tier: str) -> bool:
    agent = agent_of(case) if is_agent(case) else None
    if agent is None or agent["observe_until"] is None:
        return False
    if datetime.fromisoformat(agent["observe_until"]) - NOW <= timedelta(0):
        return False
    if "restricted" in (tier, agent["tier"]) or case.request["delegation"]:
        return False
    return not code.startswith("identity.") or code == "identity.pattern"


# Data flow: what the run has read, and where this call writes ----------------------------------


@dataclass(frozen=True)
class Read:
    tier: int
    hostile: bool
    categories: frozenset[str]


def joined(reads: Sequence[Read]) -> Read:
    return Read(
        max([read.tier for read in reads], default=0),
        any(read.hostile for read in reads),
        frozenset().union(*(read.categories for read in reads)),
    )


def session_of(case: Case) -> Any:
    return case.docs["sessions"].get(case.request["session"])


def places(case: Case, direction: str) -> list[tuple[str, str]]:
    """System and resource of everything that the call reads, or writes."""
    tool = tool_of(case)
    own, (kind, identity) = tool["system"], resource_of(case)
    named = [(a["system"], a["resource"]) for a in tool["accesses"] if a["direction"] == direction]
    if not named and direction == "writes" and tool["effect"] != "read":
        named = [(own, "")]
    if not tool["accesses"] and direction == "reads" and tool["effect"] == "read":
        named = [(own, "")]
    found = []
    for system, resource in named:
        if resource == "" and system == own and kind == own:
            found.append((own, identity))
            if tool["resource"] == "":
                found.append((own, ""))
        else:
            found.append((system, resource))
    return found


def read_at(case: Case, system: str, name: str) -> Read:
    document = case.docs["world"]["systems"][system]
    categories = document["categories"]
    if name == "ab" or (name.startswith("ab") and document["resources"][1]["match"] == "prefix"):
        categories = document["resources"][1]["categories"]
    elif name.startswith("a"):
        categories = document["resources"][0]["categories"]
    tier = TIERS.index(place(case, system, name))
    return Read(tier, document["trust"] == "untrusted", frozenset(categories))


def reported(case: Case) -> Read:
    found = []
    for each in case.request["inputs"]:
        if each["system"] == "moon":
            continue
        read = read_at(case, each["system"], each.get("resource", ""))
        found.append(
            Read(read.tier, read.hostile or not each.get("trusted", True), read.categories)
        )
    return joined(found)


def read_before(case: Case) -> Read:
    session, found = session_of(case), [reported(case)]
    for link in chain_of(case).get("links", ()):
        read = link["read"]
        found.append(
            Read(TIERS.index(read["tier"]), read["untrusted"], frozenset(read["categories"]))
        )
    if session:
        found.append(
            Read(
                TIERS.index(session["tier"]),
                session["untrusted"],
                frozenset(session["categories"]),
            )
        )
    if not (session and session["clean"]):
        for fact, until in agent_of(case)["carried"].items():
            if datetime.fromisoformat(until) > NOW:
                kind, _, value = fact.partition(":")
                found.append(
                    Read(
                        TIERS.index(value) if kind == "tier" else 0,
                        kind == "taint",
                        frozenset([value] if kind == "category" else []),
                    )
                )
    return joined(found)


def label_of(case: Case) -> int:
    after = joined([read_before(case), *(read_at(case, *one) for one in places(case, "reads"))])
    return max([after.tier, *(tier for tier, _ in combined(case, after, tool_of(case)["effect"]))])


def combined(case: Case, read: Read, effect: str) -> list[tuple[int, Any]]:
    """Tier of each combination that counts for a run that has read this."""
    (toxic,) = case.docs["world"]["toxic"]
    has = {"private_data"} if read.tier >= TIERS.index("confidential") else set()
    has |= {effect, *(["untrusted_content"] if read.hostile else [])}
    counted = []
    if {"c1", "c2"} <= read.categories and set(toxic["effects"]) <= has:
        counted.append(toxic)
    answered = agent_of(case)["output_tiers"]
    counted += [part for part in answered if read.categories & set(part["categories"])]
    return [(TIERS.index(one["tier"]), one) for one in counted]


def as_combined(read: Read, counted: list[tuple[int, Any]]) -> Read:
    """What is kept of a reading: at the tier of the combinations that it has a part of."""
    has = {"private_data"} if read.tier >= TIERS.index("confidential") else set()
    has |= {"untrusted_content"} if read.hostile else set()
    tiers = [
        tier
        for tier, one in counted
        if read.categories & set(one["categories"]) or has & set(one["effects"])
    ]
    return Read(max([read.tier, *tiers]), read.hostile, read.categories)


def raised(case: Case, statuses: list[str], observed: bool) -> dict[str, Any]:
    """The label of the run, what was reported, what is read: for an agent that is who it says."""
    if not is_agent(case) or agent_of(case) is None or not (statuses[0] == "passed" or observed):
        return {"label": "", "reported": Read(0, False, frozenset()), "read": None}
    said = as_combined(reported(case), combined(case, read_before(case), ""))
    if tool_of(case) is None:
        return {"label": None, "reported": said, "read": None}
    here = [read_at(case, *one) for one in places(case, "reads")]
    counted = combined(case, joined([read_before(case), *here]), tool_of(case)["effect"])
    read = as_combined(joined(here), counted)
    return {"label": TIERS[label_of(case)], "reported": said, "read": read}


def check_flow(case: Case) -> Outcome:
    if not is_agent(case):
        return NOTHING
    named, session = case.request["session"], session_of(case)
    if named.startswith("s-") and session is None:
        return refused("flow.unknown_session")
    if session and session["agent"] != "one":
        return refused("flow.other_session")
    if session and (session["ended"] or datetime.fromisoformat(session["expires_at"]) <= NOW):
        return refused("flow.session_ended")
    if any(each["system"] == "moon" for each in case.request["inputs"]):
        return refused("flow.unknown_input")
    written = [read_at(case, *one).tier for one in places(case, "writes")]
    if not written:
        return NOTHING
    return refused("flow.sinks") if min(written) < label_of(case) else PASSED


# Taint: whether hostile text could have chosen the call ----------------------------------------


def check_taint(case: Case) -> Outcome:
    if not is_agent(case):
        return NOTHING
    session = session_of(case)
    plan = session["personal"]["plan"] if session else None
    given = case.request["parameters"]
    if not read_before(case).hostile:
        marked = {name: given[name] for name in case.request["untrusted"] if name in given}
        if marked and acts(case) and left_open(case, {}, marked):
            return stopped(case, "taint.parameter")
        return PASSED
    if plan is None:
        return stopped(case, "taint.untrusted_input") if acts(case) else PASSED
    rules = [
        step["parameters"]
        for step in plan["steps"]
        if step["tool"] == case.request["tool"] and fits(step["parameters"], given)
    ]
    if not rules:
        return stopped(case, "taint.outside_plan")
    if not acts(case):
        return PASSED
    causes = [cause_of(case, each, plan) for each in rules]
    return PASSED if "" in causes else stopped(case, causes[0])


def acts(case: Case) -> bool:
    tool = tool_of(case)
    reads = [read_at(case, *one) for one in places(case, "reads")]
    outside = any(read.hostile and read.tier == 0 for read in reads)
    return tool["effect"] != "read" or (outside and bool(tool["resource"] or tool["recipient"]))


def fits(rules: dict[str, Any], given: dict[str, Any]) -> bool:
    """All the values of rules are strings or small numbers, so that this is all there is."""
    for name, rule in rules.items():
        if name not in given:
            continue
        value = given[name]
        if "const" in rule and value != rule["const"]:
            return False
        if "enum" in rule and value not in rule["enum"]:
            return False
        if "maximum" in rule and value > rule["maximum"]:
            return False
        if "pattern" in rule and (
            not value.startswith("a") if rule["pattern"] == "^a" else "n" not in value
        ):
            return False
    return True


def cause_of(case: Case, rules: dict[str, Any], plan: dict[str, Any]) -> str:
    given, tool = case.request["parameters"], tool_of(case)
    if left_open(case, rules, given):
        return "taint.open_plan"
    rule = rules.get("r", {})
    pinned = "const" in rule or "enum" in rule or rule.get("pattern") == "^a"
    if "@" in given.get("r", "") and tool and tool["recipient"] != "r" and not pinned:
        return "taint.address"
    text = given.get("m", "")
    named = any(step["parameters"].get("m") for step in plan["steps"])
    if "eve@" in text or (text == LINK and not named):
        return "" if "m" in rules else "taint.address"
    assert tool is not None
    return ""


def left_open(case: Case, rules: dict[str, Any], given: dict[str, Any]) -> bool:
    tool = tool_of(case)
    narrowing = actor_of(case)["allowlist"][case.request["tool"]]["narrowing"].get("properties", {})
    ab = case.docs["world"]["systems"][tool["system"]]["resources"][1]
    for name in {tool["recipient"], tool["resource"], *tool["secret"]} & given.keys():
        rule = rules.get(name, {})
        pinned = "const" in rule or "enum" in rule or rule.get("pattern") == "^a"
        known = given[name] == "ab" and ab["match"] == "exact"
        listed = given[name] in narrowing.get(name, {}).get("enum", [])
        if not (pinned or known or listed):
            return True
    if tool["effect"] == "financial" and tool["amount"] == "n" and "n" in given:
        return not ("n" in rules or "n" in narrowing)
    return False


def stopped(case: Case, code: str) -> Outcome:
    tool = tool_of(case)
    tiers = [read_at(case, *one).tier for one in places(case, "writes")]
    if tool["on_taint"] == "deny" or (tool["on_taint"] == "" and 3 in tiers):
        return refused("taint.denied")
    return "held", code


def check_rate(case: Case) -> Outcome:
    return PASSED if is_agent(case) else NOTHING


def check_spend(case: Case) -> Outcome:
    if not is_agent(case):
        return NOTHING
    tool, estimate = tool_of(case), case.request["estimate"] or (0, "EUR")
    known = {"EUR", *case.docs["world"]["rates"]}
    for minor, currency in ((tool["cost_minor"], tool["money"]), estimate):
        if minor and currency not in known:
            return refused("spend.currency")
    if not tool["amount_is_cost"]:
        return PASSED
    if tool["amount"] == "" or "n" not in case.request["parameters"]:
        return "error", "spend.error"
    unknown = case.request["parameters"]["n"] and tool["money"] not in known
    return refused("spend.currency") if unknown else PASSED


def check_quota(case: Case) -> Outcome:
    if not is_agent(case):
        return NOTHING
    entry = agent_of(case)["allowlist"][case.request["tool"]]
    return PASSED if entry.get("write_quota_per_hour") else NOTHING


def check_gate(case: Case) -> Outcome:
    if not is_agent(case):
        return NOTHING
    tool = tool_of(case)
    rows = [agent_of(one) for one in (case, *as_givers(case))]
    entries = [row["allowlist"][case.request["tool"]]["gates"] for row in rows]
    for gates in (tool["gates"], *entries):
        if code := gate_cause(case, tool, gates):
            return "held", f"gate.{code}"
    return PASSED


def gate_cause(case: Case, tool: dict[str, Any], gates: dict[str, Any]) -> str:
    causes = {
        "amount": amount_cause,
        "records": records_cause,
        "destructive": destructive_cause,
        "grants": lambda _, tool, __: "grant" * (tool["effect"] == "permission_grant"),
        "domains": domain_cause,
    }
    found = (find(case, tool, gates[name]) for name, find in causes.items() if name in gates)
    return next(filter(None, found), "")


def records_cause(case: Case, tool: dict[str, Any], gate: dict[str, Any]) -> str:
    number = case.request["parameters"].get("n") if tool["count"] else 1
    if number is None:
        return "records_unknown"
    return "records" if number > gate["above"] else ""


def destructive_cause(case: Case, tool: dict[str, Any], gate: bool) -> str:
    systems = {system for system, _ in places(case, "writes")} or {tool["system"]}
    known = case.docs["world"]["systems"]
    production = any(known[system]["environment"] == "production" for system in systems)
    return "destructive" * (gate and production and tool["effect"] == "destructive")


def domain_cause(case: Case, tool: dict[str, Any], gate: bool) -> str:
    if not gate or tool["effect"] != "external_communication":
        return ""
    recipient = case.request["parameters"].get("r", "") if tool["recipient"] == "r" else ""
    rows = [agent_of(one) for one in (case, *as_givers(case))]
    return "domain" * any(recipient.partition("@")[2] not in row["domains"] for row in rows)


def amount_cause(case: Case, tool: dict[str, Any], gate: dict[str, Any]) -> str:
    if tool["amount"] == "" or "n" not in case.request["parameters"]:
        return "amount_unknown"
    moved = case.request["parameters"]["n"] * 100.0
    rates = case.docs["world"]["rates"]
    if tool["money"] != gate["currency"]:
        if not rates:
            return "currency"
        moved = moved * float(rates[tool["money"]]) / float(rates[gate["currency"]])
    return "amount" if moved > gate["above"] else ""
