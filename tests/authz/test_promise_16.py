"""Promise 16: an agent acting for Jane never has more than Jane, however long the chain.

Worlds, chains and calls are drawn at random. Of each call that goes on: everybody behind it may
make it themselves, and taking away any part that it rests on refuses it. Of each that is refused:
taking a right away does not let it go on.
"""

import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from authz.engine import acting, gate
from authz.engine.case import Case
from authz.engine.types import Decision, Effect, Mode, Snapshot, Status
from authz.engine.walk import judge
from tests.authz import specification
from tests.authz.desk import NOW, a_request, a_slice, snapshot
from tests.authz.specification import HANDED, Choose

NAMES = ["a1", "a2", "a3", "a4", "a5"]
CALLS = 50
NARROWED = {"properties": {"n": {"maximum": 0}}}
NEVER_MET = {"properties": {"n": {"maximum": -1}}}

Documents = dict[str, Any]
Asked = dict[str, Any]


# Drawing


def draw(choose: Choose, world: Documents) -> tuple[Documents, Asked]:
    """Documents and a call that goes through up to four agents before the last makes it."""
    names = NAMES[: 1 + choose([0, 0, 1, 1, 2, 2, 3, 3, 4])]
    user = choose(["p1", "p1", "p1", ""])
    docs = {
        "world": world,
        "agents": {name: an_agent(choose, name, user) for name in names},
        "people": {"p1": a_person(choose)},
        "gateways": {"edge": a_gateway()},
        "chains": {HANDED: a_chain(choose, names, user)},
    }
    asked = {
        "kind": "agent",
        "tool": choose(["t1", "t2", "t3"]),
        "agent": names[-1],
        "user": user,
        "token": {"client_version": 1, "jti": "good"},
        "parameters": {"n": choose([0, 1]), "r": choose(["ann", "bob", "x@ok.example"])},
        "delegation": HANDED if len(names) > 1 else "",
    }
    return docs, asked


def an_agent(choose: Choose, slug: str, user: str) -> Documents:
    found = specification.generate_agent(choose, slug)
    found |= {"state": choose(["active"] * 19 + ["suspended"]), "owner_employment": "employed"}
    found |= {"roles": choose([["r1", "r2"]] * 4 + [["r1"]]), "observe_until": None}
    found |= {"carried": {}, "output_tiers": [], "domains": ["ok.example"]}
    found["sub_agents"] = [*NAMES, "thief"]
    found["pattern"] = choose(["impersonation" if user else "service"] * 19 + ["hybrid"])
    found["allowlist"] = {
        name: {"narrowing": choose([{}, {}, NARROWED]), "gates": choose(GATES)}
        for name in ("t1", "t2", "t3")
        if choose([True] * 9 + [False])
    }
    return found


GATES: list[Documents] = [*([{}] * 8), {"records": {"above": 0}}, {"domains": True}]


def a_person(choose: Choose) -> Documents:
    grant = {
        "id": "g",
        "until": choose(["2026-12-24T00:00:00Z"] * 19 + ["2026-11-20T00:00:00Z"]),
        "tools": given(choose),
    }
    return {
        "pid": "p1",
        "employment": "employed",
        "zone": "UTC",
        "department": "",
        "manager": "",
        "roles": choose([["r1", "r2"]] * 4 + [["r1"], ["r2"]]),
        "groups": [],
        "grants": dict.fromkeys(NAMES, grant),
        "personal": {},
    }


def a_gateway() -> Documents:
    return {"slug": "edge", "active": True, "source": "", "client_version": 1, "revoked": []}


def a_chain(choose: Choose, names: list[str], user: str) -> Documents:
    links = [
        {
            "id": HANDED,
            "giver": giver,
            "receiver": receiver,
            "ended": choose([False] * 19 + [True]),
            "until": choose(["2026-11-24T00:00:00Z"] * 19 + ["2026-11-20T00:00:00Z"]),
            "tools": given(choose),
            "read": {"tier": "public", "untrusted": False, "categories": []},
        }
        for giver, receiver in pairwise(names)
    ]
    return {"id": HANDED, "grant": "g" if user else "", "user": user, "links": links}


def given(choose: Choose) -> Documents:
    return {
        name: choose([{}, {}, {}, NARROWED])
        for name in ("t1", "t2", "t3")
        if choose([True] * 19 + [False])
    }


# Asking


def decide(docs: Documents, asked: Asked, mode: Mode = Mode.ENFORCE) -> Decision:
    request = a_request(**asked)
    shared = docs.get("_slice") or a_slice("global", docs["world"])
    assert shared is not None
    facts: Snapshot = replace(snapshot({**docs, "world": {}}, request), world=shared)
    return judge(request, facts, NOW, mode)


def goes_on(docs: Documents, asked: Asked) -> bool:
    return decide(docs, asked).effect is Effect.ALLOW


def each_alone(docs: Documents, asked: Asked) -> Iterator[tuple[str, Documents, Asked]]:
    """The same call as each agent of the chain would make it on what was handed to it."""
    links = docs["chains"][HANDED]["links"] if asked["delegation"] else []
    for number, link in enumerate(links):
        chain = {**docs["chains"][HANDED], "links": links[:number]}
        alone = {**asked, "agent": link["giver"], "delegation": HANDED if number else ""}
        yield link["giver"], {**docs, "chains": {HANDED: chain}}, alone


def the_user_alone(docs: Documents, asked: Asked) -> Decision:
    """The same call by the user through a gateway, without any agent."""
    alone = {**asked, "kind": "person", "person": asked["user"], "agent": "", "user": ""}
    return decide(docs, {**alone, "delegation": "", "gateway": "edge", "subject_type": "user"})


Taking = Callable[[Documents], None]


def takings(docs: Documents, asked: Asked) -> Iterator[tuple[str, Documents]]:
    """What is left when any one right is taken away that the call could rest on."""
    tool, agents = asked["tool"], list(docs["agents"])
    for name in agents:
        yield f"{name}: row", changed(docs, "agents", name, state="suspended")
        yield f"{name}: roles", changed(docs, "agents", name, roles=[])
        listed = docs["agents"][name]["allowlist"]
        rest = {one: entry for one, entry in listed.items() if one != tool}
        yield f"{name}: tool", changed(docs, "agents", name, allowlist=rest)
        if tool in listed:
            rest = {**listed, tool: {**listed[tool], "narrowing": NEVER_MET}}
            yield f"{name}: values", changed(docs, "agents", name, allowlist=rest)
    if asked["user"]:
        yield "user: roles", changed(docs, "people", "p1", roles=[])
        yield "user: employed", changed(docs, "people", "p1", employment="left")
        yield "user: grants", changed(docs, "people", "p1", grants={})
        yield "grant: tool", changed(docs, "people", "p1", grants=without(docs, tool))
        yield "grant: values", changed(docs, "people", "p1", grants=narrower(docs, tool))
    for number, link in enumerate(docs["chains"][HANDED]["links"]):
        rest = {one: narrow for one, narrow in link["tools"].items() if one != tool}
        changes: Documents = {"ended": {"ended": True}, "tool": {"tools": rest}}
        if tool in link["tools"]:
            changes["values"] = {"tools": {**rest, tool: NEVER_MET}}
        for what, change in changes.items():
            left = copy.deepcopy(docs["chains"])
            left[HANDED]["links"][number] |= change
            yield f"link {number}: {what}", {**docs, "chains": left}
        yield f"{link['giver']}: declared", changed(docs, "agents", link["giver"], sub_agents=[])


def changed(docs: Documents, kind: str, name: str, **change: Any) -> Documents:
    return {**docs, kind: {**docs[kind], name: {**docs[kind][name], **change}}}


def without(docs: Documents, tool: str) -> Documents:
    grants: Documents = copy.deepcopy(docs["people"]["p1"]["grants"])
    for grant in grants.values():
        grant["tools"].pop(tool, None)
    return grants


def narrower(docs: Documents, tool: str) -> Documents:
    grants: Documents = copy.deepcopy(docs["people"]["p1"]["grants"])
    for grant in grants.values():
        if tool in grant["tools"]:
            grant["tools"][tool] = NEVER_MET
    return grants


# The promise


def broken_in(seed: int) -> tuple[list[str], int]:
    """What of the promise does not hold in the calls of one seed, and how many went on."""
    choose = random.Random(seed).choice
    world, _ = specification.generate_world(choose)
    # Whom the call as a whole asks outside says nothing of who is behind it.
    world["pdps"] = {}
    found, allowed = [], 0
    shared = a_slice("global", world)
    for number in range(CALLS):
        docs, asked = draw(choose, world)
        docs["_slice"] = shared
        if goes_on(docs, asked):
            allowed += 1
            found += [f"seed {seed}, call {number}: {fault}" for fault in faults_of(docs, asked)]
        else:
            found += [
                f"seed {seed}, call {number}: allowed without {name}"
                for name, left in takings(docs, asked)
                if goes_on(left, asked)
            ]
    return found, allowed


def faults_of(docs: Documents, asked: Asked) -> Iterator[str]:
    """What is wrong with a call that goes on."""
    if len(docs["agents"]) > 4:
        yield "deeper than three"
    for name, left in takings(docs, asked):
        if goes_on(left, asked):
            yield f"goes on without {name}"
    for name, facts, alone in each_alone(docs, asked):
        if not goes_on(facts, alone):
            yield f"{name} alone may not"
    if asked["user"] and the_user_alone(docs, asked).effect is not Effect.ALLOW:
        yield "the user alone may not"
    if asked["delegation"] and is_stolen(docs, asked):
        yield "another agent may use it"


def is_stolen(docs: Documents, asked: Asked) -> bool:
    """Whether an agent with the same rights could use what was handed to another."""
    agents = {**docs["agents"], "thief": {**docs["agents"][asked["agent"]], "slug": "thief"}}
    grants = {**docs["people"]["p1"]["grants"], "thief": docs["people"]["p1"]["grants"]["a1"]}
    stolen = changed({**docs, "agents": agents}, "people", "p1", grants=grants)
    return goes_on(stolen, {**asked, "agent": "thief"})


def holds(seeds: range) -> None:
    allowed = 0
    for seed in seeds:
        found, went_on = broken_in(seed)
        assert found == []
        allowed += went_on
    # Calls that are all refused would prove nothing.
    assert allowed > len(seeds)


def test_nobody_behind_a_call_has_less_than_the_call() -> None:
    base = random.SystemRandom().randrange(2**32)

    holds(range(base, base + 100))


@pytest.mark.fuzz
def test_nobody_behind_a_call_has_less_in_a_hundred_thousand_calls() -> None:
    base = random.SystemRandom().randrange(2**32)

    holds(range(base, base + 2000))


# Breaking it


def passes(check: Callable[[Case], Any], code: str) -> Callable[[Case], Any]:
    """The check without one of its refusals."""

    def broken(case: Case) -> Any:
        step = check(case)
        return None if step is not None and step.code == code else step

    return broken


def _unasked(name: str) -> Callable[[Any], None]:
    return lambda patch: patch.setattr(Case, name, property(lambda _: ()), raising=False)


def _without(name: str, code: str) -> Callable[[Any], None]:
    return lambda patch: patch.setattr(acting, name, passes(getattr(acting, name), code))


def _any_consent(patch: Any) -> None:
    patch.setattr(acting, "_grant_fault", lambda *_: "")
    patch.setattr(acting, "_unmet", lambda *_: [])


MUTANTS: dict[str, Callable[[Any], None]] = {
    "givers are not asked": _unasked("giving"),
    "the user is not asked": _unasked("alone"),
    "any depth": _without("_link_refusal", "delegation.too_deep"),
    "ended links": _without("_link_refusal", "delegation.ended"),
    "inactive givers": _without("_giver_refusal", "delegation.giver_inactive"),
    "undeclared": _without("_giver_refusal", "delegation.not_declared"),
    "givers of any pattern": _without("_giver_refusal", "delegation.giver_pattern"),
    "tools not handed over": _without("_handed_over", "delegation.tool"),
    "anybody's delegation": _without("_presenter_refusal", "delegation.other_agent"),
    "any consent": _any_consent,
    "what narrows a link": lambda patch: patch.setattr(acting, "_unmet", lambda *_: []),
    "gates of givers": lambda patch: patch.setattr(gate, "_agents", lambda case: (case,)),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_rule_that_is_missing_is_found(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTANTS[mutant](monkeypatch)

    assert any(broken_in(seed)[0] for seed in range(400))


def test_a_fourth_link_is_refused() -> None:
    world, _ = specification.generate_world(random.Random(1).choice)
    plain = lambda options: options[0]  # noqa: E731
    docs, asked = draw(plain, world)
    names = NAMES
    docs["agents"] = {name: an_agent(plain, name, "p1") for name in names}
    docs["chains"] = {HANDED: a_chain(plain, names, "p1")}
    asked |= {"agent": names[-1], "delegation": HANDED, "user": "p1"}

    decision = decide(docs, asked)

    assert decision.code == "delegation.too_deep"
    assert decision.walk[1].status is Status.REFUSED
