"""A call whose parameters are not all known yet, judged as far as it can be.

It is the walk of every decision. Only where that walk is refused because required parameters were
not given are they left open: each parameter that was given must still be a good one, and policies
judge by what is there (`policy_so_far`). Nothing is enforced by this; it answers questions such
as "who may call it at all?".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial

from authz.engine.case import Case, passed, refused
from authz.engine.checks import unsigned
from authz.engine.gate import gate
from authz.engine.policy import lacks_resource, policy_so_far, policy_unasked
from authz.engine.schema import parameter_schema
from authz.engine.spend import spend
from authz.engine.types import Check, Decision, Effect, Json, Mode, Request, Snapshot, Step
from authz.engine.walk import CHECKS, conclude, take_walk

SCHEMA, NARROWING = "parameters.schema", "parameters.narrowing"
NOTHING: frozenset[str] = frozenset()

# What a schema says of each parameter by itself, and what that needs. The rest ties parameters
# together, so it cannot be judged before all are there.
_NEEDED = ("$schema", "$defs", "definitions", "type")
_OF_EACH = ("properties", "patternProperties", "additionalProperties", "propertyNames", *_NEEDED)
_BRANCHES = ("allOf", "anyOf", "oneOf")

Schema = Mapping[str, Json]

# Where the call would read and write is not known before the resource is.
_PLACELESS = {Check.FLOW: lambda _: passed(Check.FLOW), Check.TAINT: lambda _: passed(Check.TAINT)}


def judge_open(
    request: Request, snapshot: Snapshot, now: datetime
) -> tuple[Decision, frozenset[str]]:
    """The decision, and the parameters that it leaves open: none where `judge` could decide."""
    case = Case(request, snapshot, now, Mode.ENFORCE)
    decision = conclude(case, take_walk(case, {**CHECKS, Check.POLICY: policy_unasked}))
    if decision.effect is Effect.ALLOW or decision.code not in (SCHEMA, NARROWING):
        return decision, NOTHING
    lacking = _lacking(case)
    if not lacking:
        return decision, NOTHING
    checks = {
        **CHECKS,
        Check.PARAMETERS: partial(_given_parameters, lacking=lacking),
        Check.POLICY: partial(policy_so_far, lacking=lacking),
        Check.SPEND: partial(spend, lacking=lacking),
        Check.GATE: partial(gate, lacking=lacking),
        **(_PLACELESS if lacks_resource(case, lacking) else {}),
    }
    return conclude(case, take_walk(case, checks)), lacking


def _lacking(case: Case) -> frozenset[str]:
    required = {name for _, schema in _schemas(case) for name in _required(schema)}
    return frozenset(required - case.request.parameters.keys())


def _schemas(case: Case) -> Iterator[tuple[str, Schema]]:
    """What the parameters have to meet, each under the code of its refusal."""
    yield SCHEMA, case.world.tool(case.request.tool).document.get("schema") or {}
    if case.is_agent:
        yield NARROWING, case.subject["allowlist"][case.request.tool].get("narrowing") or {}


def _required(schema: Schema) -> Iterator[str]:
    yield from schema.get("required") or ()
    for word in _BRANCHES:
        for branch in schema.get(word) or ():
            if isinstance(branch, Mapping):
                yield from _required(branch)


def _given_parameters(case: Case, lacking: frozenset[str]) -> Step:
    """The parameters check on what was given: unknown tools and secrets were refused before."""
    for code, schema in _schemas(case):
        of_each = {word: said for word, said in schema.items() if word in _OF_EACH}
        if parameter_schema(of_each).findings(case.request.parameters):
            return refused(case, code)
    if case.target.problem and not lacks_resource(case, lacking):
        return refused(case, f"parameters.{case.target.problem}")
    return unsigned(case, case.world.tools[case.request.tool])
