"""A call whose parameters are not all known: judged as every call, and open where it must be."""

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from authz.engine.open_call import judge_open
from authz.engine.types import Effect, Request, Snapshot
from authz.engine.walk import judge
from tests.authz import specification
from tests.authz.desk import NOW, a_request, a_slice, documents, snapshot

REFUND = 'principal, action == Muster::Action::"crm.refund", resource'
ACCOUNT = 'principal, action == Muster::Action::"crm.refund", resource is Muster::Account'
ALL = f"permit({REFUND});"
SMALL = "context.parameters has amount && context.parameters.amount <= 5"


def judged(
    *texts: str, parameters: dict[str, Any] | None = None, **changed: Any
) -> tuple[str, str, list[str]]:
    """Effect, code and what is left open for a refund under these policies."""
    docs = documents()
    docs["world"] = docs["world"] | {
        "policies": [
            {"id": f"p{number}@v1", "log_only": False, "text": text}
            for number, text in enumerate(texts)
        ]
    }
    for place, value in changed.items():
        docs["world"]["tools"]["crm.refund"][place] = value
    request = a_request(tool="crm.refund", parameters=parameters or {})
    decision, lacking = judge_open(request, snapshot(docs, request), NOW)
    return decision.effect.value, decision.code, sorted(lacking)


BOTH = ["account", "amount"]


def test_required_parameters_that_were_not_given_are_open() -> None:
    assert judged() == ("allow", "", BOTH)


def test_a_complete_call_leaves_nothing_open() -> None:
    assert judged(parameters={"account": "acme", "amount": 5}) == ("allow", "", [])


@pytest.mark.parametrize(
    ("texts", "code"),
    [
        # A statement that reads an open parameter: a permit may permit, a forbid does not forbid.
        ([f"permit({REFUND}) when {{ context.parameters.amount <= 5 }};"], ""),
        ([f"permit({REFUND}) unless {{ context.parameters.amount > 5 }};"], ""),
        ([ALL, f"forbid({REFUND}) when {{ context.parameters.amount > 5 }};"], ""),
        ([ALL, f"forbid({REFUND}) unless {{ context.parameters.amount <= 5 }};"], ""),
        # It will be there, so asking whether it is there changes nothing.
        (
            [f"permit({REFUND}) when {{ {SMALL} }};"],
            "",
        ),
        (
            [
                ALL,
                f"forbid({REFUND}) unless {{ {SMALL} }};",
            ],
            "",
        ),
        ([ALL, f"forbid({REFUND}) unless {{ context.parameters has amount }};"], ""),
        # What else stands in such a statement is judged, where it comes first.
        (
            [f"permit({REFUND}) when {{ context.local.hour > 20 && {SMALL} }};"],
            "policy.no_permit",
        ),
        # An optional parameter that was not given is none.
        ([f"permit({REFUND}) when {{ context.parameters has note }};"], "policy.no_permit"),
        ([ALL, f"forbid({REFUND}) unless {{ context.parameters has note }};"], "policy.forbidden"),
        # Whatever needs no parameter decides.
        ([ALL, f"forbid({REFUND}) when {{ context.local.business }};"], "policy.forbidden"),
        (
            [
                f"permit({REFUND}) when {{ context.parameters.amount <= 5 }};",
                f"forbid({REFUND}) when {{ context.local.business }};",
            ],
            "policy.forbidden",
        ),
        ([f'permit({REFUND}) when {{ {{"has": 1}}["has"] == 1 }};'], ""),
        ([f"permit({REFUND}) when {{ [1, 2].contains(3) }};"], "policy.no_permit"),
        # Another failure than the want of a parameter is one.
        (
            [ALL, f"forbid({REFUND}) when {{ context.local.hour + 9223372036854775807 > 0 }};"],
            "policy.error",
        ),
        (
            [
                f"permit({REFUND}) when {{ context.parameters.amount <= 5 }};",
                f"permit({REFUND}) when {{ context.local.hour + 9223372036854775807 > 0 }};",
            ],
            "policy.error",
        ),
        (["permit(principal"], "policy.error"),
        # Without the resource's parameter it could be any resource.
        ([f"permit({ACCOUNT});"], ""),
        ([f'permit({ACCOUNT}) when {{ resource has region && resource.region == "EU" }};'], ""),
        ([f"permit({ACCOUNT}) when {{ context.local.hour > 20 }};"], "policy.no_permit"),
        ([ALL, f"forbid({ACCOUNT});"], ""),
        ([ALL, f'forbid({REFUND}) when {{ context.resource == "acme" }};'], ""),
        ([ALL, f"forbid({REFUND}) when {{ context.tier > 0 }};"], ""),
    ],
)
def test_policies_of_an_open_call(texts: list[str], code: str) -> None:
    assert judged(*texts) == ("deny" if code else "allow", code, BOTH)


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"account": "acme"}, ""),
        ({"account": 5}, "parameters.schema"),
        ({"amount": 0}, "parameters.schema"),
        ({"amount": 1, "extra": 1}, "parameters.schema"),
    ],
)
def test_what_was_given_has_to_be_right(parameters: dict[str, Any], code: str) -> None:
    effect, found, _ = judged(parameters=parameters)

    assert (effect, found) == ("deny" if code else "allow", code)


def test_what_was_given_has_to_meet_the_narrowing() -> None:
    docs = documents()
    request = a_request(tool="crm.find", parameters={"limit": 11})

    decision, lacking = judge_open(request, snapshot(docs, request), NOW)

    assert (decision.code, lacking) == ("parameters.narrowing", {"table"})


def test_what_only_the_narrowing_requires_is_open_as_well() -> None:
    docs = documents()
    docs["agents"]["desk"]["allowlist"]["crm.find"]["narrowing"] = {"required": ["limit"]}
    request = a_request(tool="crm.find", parameters={"table": "leads"})

    decision, lacking = judge_open(request, snapshot(docs, request), NOW)

    assert (decision.effect, lacking) == (Effect.ALLOW, {"limit"})


def test_one_of_several_required_parameters_is_open() -> None:
    schema = {"type": "object", "oneOf": [{"required": ["account"]}, {"required": ["pin"]}]}

    assert judged(schema=schema, resource="") == ("allow", "", ["account", "pin"])


def test_a_schema_that_no_parameter_could_meet_is_refused() -> None:
    schema = {"type": "object", "required": ["amount"], "properties": False, "minProperties": 3}

    assert judged(schema=schema)[:2] == ("deny", "parameters.error")


def test_the_named_resource_is_compared_in_an_open_call() -> None:
    docs = documents()
    request = a_request(
        tool="crm.refund",
        parameters={"account": "acme"},
        resource_type="account",
        resource_id="zeta",
    )

    decision, _ = judge_open(request, snapshot(docs, request), NOW)

    assert decision.code == "parameters.resource_mismatch"


def test_a_resource_that_the_parameter_will_name_is_not_compared_yet() -> None:
    docs = documents()
    request = a_request(tool="crm.refund", resource_type="account", resource_id="zeta")

    decision, lacking = judge_open(request, snapshot(docs, request), NOW)

    assert (decision.effect, sorted(lacking)) == (Effect.ALLOW, BOTH)


def test_a_known_resource_is_judged() -> None:
    forbid = f"forbid({ACCOUNT}) when {{ resource has score && resource.score > 5 }};"

    assert judged(ALL, forbid, parameters={"account": "acme"})[1] == "policy.forbidden"
    assert judged(ALL, forbid, parameters={"account": "zeta"})[1] == ""


def test_a_person_alone_has_no_narrowing() -> None:
    docs = documents()
    request = a_request(
        kind="person", tool="crm.refund", person="p_ann", gateway="edge", subject_type="user"
    )

    decision, lacking = judge_open(request, snapshot(docs, request), NOW)

    assert (decision.effect, sorted(lacking)) == (Effect.ALLOW, BOTH)


# Generated worlds: nothing is left out that some call could do


def questions() -> Iterator[tuple[int, Request, Snapshot]]:
    """Mostly calls that come as far as their parameters."""
    base = random.SystemRandom().randrange(2**32)
    for seed in range(base, base + 600):
        choose = random.Random(seed).choice
        world, policies = specification.generate_world(choose)
        world["roles"]["r1"] = sorted(world["tools"])
        # A decision asks them, an open call only says that it would.
        world["pdps"] = {}
        for tool in world["tools"].values():
            tool["schema"]["required"] = choose([[], ["n"], ["s"], ["n", "s"]])
        part = a_slice("global", world)
        assert part is not None
        for _ in range(20):
            case = specification.generate_request(choose, world, policies)
            # What an observing row is told depends on the tier of a resource that is open here.
            case.docs["agents"]["one"] |= {
                "observe_until": None,
                "pattern": "service",
                "roles": choose([["r1"], ["r1", "r2"], ["r2"]]),
            }
            case.docs["people"]["p1"]["roles"] = ["r1"]
            aside = ("mode", "token_for", "outside")
            asked = {name: value for name, value in case.request.items() if name not in aside}
            asked |= {"token": {"client_version": 1, "jti": "good"}, "user": "", "chain": []}
            if choose([True, True, False]):
                asked |= {"resource_type": "", "resource_id": ""}
            request = a_request(**asked)
            yield seed, request, replace(snapshot({**case.docs, "world": {}}, request), world=part)


def completed(request: Request, lacking: frozenset[str]) -> Iterator[Request]:
    values = {"n": [0, 1, 2], "s": ["a", "ab"]}
    names = sorted(lacking)
    for chosen in product(*(values[name] for name in names)):
        more = dict(zip(names, chosen, strict=True))
        yield replace(request, parameters={**request.parameters, **more})


def test_an_open_call_is_allowed_wherever_a_complete_one_is() -> None:
    counted = {"exact": 0, "open": 0, "callable": 0}

    for seed, request, facts in questions():
        decision, lacking = judge_open(request, facts, NOW)
        if not lacking:
            counted["exact"] += 1
            assert decision == judge(request, facts, NOW), seed
            continue
        counted["open"] += 1
        calls = [judge(each, facts, NOW).effect for each in completed(request, lacking)]
        if Effect.ALLOW in calls:
            counted["callable"] += 1
            assert decision.effect is Effect.ALLOW, (seed, request)

    assert min(counted.values()) > 30, counted


def test_a_denied_signature_in_what_was_given_is_found() -> None:
    docs = documents()
    docs["world"]["signatures"] = [{"slug": "acme", "pattern": "acme", "effects": [], "tools": []}]
    request = a_request(tool="crm.refund", parameters={"account": "ACME"})

    decision, lacking = judge_open(request, snapshot(docs, request), NOW)

    assert (decision.code, lacking) == ("parameters.denied_signature", {"amount"})
