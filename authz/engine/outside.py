"""What other decision points are asked, and what their answers come to.

The question is an Access Evaluation of AuthZEN 1.0. It is put when Muster's own policies allow and
nothing before them refused, so an answer can turn an allow into a refusal and nothing else. One
that is missing, or that was given to another question, refuses.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from authz.engine.case import Case, refused
from authz.engine.types import Json, Mode, Request, Snapshot, Step, SubjectKind
from authz.engine.world import Facts

DENIED, UNANSWERED = "policy.external_denied", "policy.external_unanswered"
UNASKED = "not asked"
SYSTEM = "system"
# What may be sent besides: who acts, what is to be done, on what.
USER, CHAIN, FACTS, PERSONAL_IDS = "user", "chain", "facts", "personal_ids"
# Where the parameters stand.
CONTEXT, ACTION, RESOURCE = "context", "action", "resource"
# Of a step that allowed, what its refusal says as well.
_KEPT = ("log_only", "flags")


@dataclass(frozen=True, slots=True)
class Question:
    """What one decision point is asked. `digest` names the question and whom it is put to."""

    pdp: str
    url: str
    timeout_ms: int
    body: Mapping[str, Json]
    digest: str


def judged(case: Case, step: Step, *, left_open: bool = False) -> Step:
    """The step of the policy check, once the answers from outside are looked at.

    `step` is one that lets the call through. Where nobody asks outside, because nothing is
    decided (`left_open`, a simulation), it stays, and says whom a decision would ask.
    """
    given = {one.digest: one for one in case.request.outside}
    answers = [(each, given.get(each.digest)) for each in questions(case)]
    denied = [each.pdp for each, answer in answers if answer and answer.allows is False]
    if denied:
        return refused(case, DENIED, pdps=denied, **_kept(step))
    lacking = [
        (each.pdp, answer) for each, answer in answers if not answer or answer.allows is not True
    ]
    if not lacking:
        return step
    pdps = [pdp for pdp, _ in lacking]
    if (left_open or case.mode is Mode.SIMULATE) and not any(answer for _, answer in lacking):
        return replace(step, detail={**step.detail, "would_ask": pdps})
    causes = [answer.cause or UNASKED if answer else UNASKED for _, answer in lacking]
    return refused(case, UNANSWERED, pdps=pdps, causes=list(dict.fromkeys(causes)), **_kept(step))


def _kept(step: Step) -> dict[str, Json]:
    return {name: step.detail[name] for name in _KEPT if name in step.detail}


def unanswered(request: Request, snapshot: Snapshot, now: datetime) -> tuple[Question, ...]:
    """The questions of a call to which the request has no answer yet."""
    given = {one.digest for one in request.outside}
    case = Case(request, snapshot, now, Mode.ENFORCE)
    return tuple(each for each in questions(case) if each.digest not in given)


def questions(case: Case) -> Iterator[Question]:
    """One for each decision point that the call's tool names, or a role that lets it through.

    The roles are those of everyone behind the call; the question is about the call as a whole.
    """
    pdps = case.world.document.get("pdps") or {}
    roles = _roles(case) if pdps else frozenset()
    for slug, pdp in sorted(pdps.items()):
        if case.request.tool in pdp["tools"] or not roles.isdisjoint(pdp["roles"]):
            body = question_of(case, pdp)
            yield Question(slug, pdp["url"], pdp["timeout_ms"], body, _digest([slug, pdp, body]))


def _roles(case: Case) -> frozenset[str]:
    granting = case.world.grants.get(case.request.tool, frozenset())
    held = (one.subject.get("roles") or () for one in (case, *case.behind))
    return granting & frozenset(role for roles in held for role in roles)


def _digest(said: Json) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def question_of(case: Case, pdp: Facts) -> dict[str, Json]:
    """The question as `pdp` wants it (AuthZEN 1.0, section 5): no more than its row says.

    Names and addresses of people are in none of it, and neither is a secret parameter.
    """
    tool = case.world.tools[case.request.tool]
    parameters = _parameters(case, pdp, tool)
    of_action, of_resource = _facts(case, tool) if FACTS in pdp["sends"] else ({}, {})
    # A fact counts for more than a parameter that has its name.
    of_action = (parameters if pdp["parameters_in"] == ACTION else {}) | of_action
    of_resource = (parameters if pdp["parameters_in"] == RESOURCE else {}) | of_resource
    context = _context(case, pdp)
    if parameters and pdp["parameters_in"] == CONTEXT:
        context["parameters"] = parameters
    return {
        "subject": _subject(case, pdp),
        "action": _with({"name": case.request.tool}, of_action),
        "resource": _with(_resource(case, pdp, tool), of_resource),
        "context": context,
    }


def _with(named: dict[str, Json], properties: dict[str, Json]) -> dict[str, Json]:
    return named | ({"properties": properties} if properties else {})


def _facts(case: Case, tool: Facts) -> tuple[dict[str, Json], dict[str, Json]]:
    """What the register knows of the action, and of the resource."""
    effect, system = str(tool["effect"]), str(tool["system"])
    return {"effect": effect}, {"tier": case.tier, "system": system}


def _parameters(case: Case, pdp: Facts, tool: Facts) -> dict[str, Json]:
    given, secret = case.request.parameters, tool.get("secret") or ()
    names = (name for name in pdp["parameters"] if name in given and name not in secret)
    return {name: given[name] for name in names}


def _subject(case: Case, pdp: Facts) -> dict[str, Json]:
    name = "slug" if case.is_agent else "pid"
    kind = SubjectKind.AGENT if case.is_agent else SubjectKind.PERSON
    subject: dict[str, Json] = {
        "type": str(pdp["subject_type"] or kind.value),
        "id": str(case.subject[name]),
    }
    if pdp["roles_as"]:
        subject["properties"] = {str(pdp["roles_as"]): sorted(case.subject.get("roles") or ())}
    return subject


def _resource(case: Case, pdp: Facts, tool: Facts) -> dict[str, Json]:
    """The judged resource; its system in its place where its id may not be sent."""
    system = str(tool["system"])
    kind, identity = case.target.type, case.target.id
    if not kind or not identity or _is_hidden(case, pdp, tool):
        kind, identity = SYSTEM, system
    return {"type": str(pdp["resource_type"] or kind), "id": identity}


def _is_hidden(case: Case, pdp: Facts, tool: Facts) -> bool:
    if tool.get("resource") in (tool.get("secret") or ()):
        return True
    named = (case.world.systems.get(slug) or {} for slug in (case.target.type, tool["system"]))
    return any(one.get("personal_ids") for one in named) and PERSONAL_IDS not in pdp["sends"]


def _context(case: Case, pdp: Facts) -> dict[str, Json]:
    request, sends = case.request, pdp["sends"]
    context: dict[str, Json] = {}
    if USER in sends and case.is_agent and request.user:
        context["user"] = request.user
    if CHAIN in sends and case.links:
        context["chain"] = [str(link["giver"]) for link in case.links]
    return context
