"""The shapes in which questions come, and the one in which answers go.

Three shapes are read, see docs/reference/decision-api.md: Muster's own (the agent is the
subject), that of tool gateways (a person is the subject, the agent stands in the context or as
`act`, the tool is the resource), and a person alone. Unknown members are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from authz.asks import MAX_REASONING, Ask
from authz.engine import plans
from authz.engine.types import Input, SubjectKind
from authz.errors import BadRequest
from governance.kernel.errors import Invalid

MAX_NAME_BYTES = 800
MAX_SESSION = 200
MAX_EVALUATIONS = 100
MAX_INPUTS = 100
MAX_COST = 2**53 - 1
TRUSTS = TRUSTED, UNTRUSTED = "trusted", "untrusted"
AGENT = "agent"
TOOL = "tool"
MCP_SERVER = "mcp_server"
MAX_CHAIN = 8
TOOL_ACTIONS = frozenset({"tools/call", "invoke"})
UNREADABLE = "unreadable"
DEFAULTS = ("subject", "action", "resource", "context")

_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

Json = Any
Object = Mapping[str, Json]


class Semantic(StrEnum):
    """When a batch ends before its end."""

    EXECUTE_ALL = "execute_all"
    DENY_ON_FIRST_DENY = "deny_on_first_deny"
    PERMIT_ON_FIRST_PERMIT = "permit_on_first_permit"

    def ends_at(self, decision: bool) -> bool:
        """Is nothing asked any more after this answer?"""
        if self is Semantic.EXECUTE_ALL:
            return False
        return decision is (self is Semantic.PERMIT_ON_FIRST_PERMIT)


@dataclass(frozen=True, slots=True)
class Batch:
    """Several questions; one that cannot be read is there as its error."""

    items: tuple[Ask | BadRequest, ...]
    semantic: Semantic


def read_evaluation(body: Json) -> Ask:
    """The question in an evaluation request. Raises `BadRequest`, which says what is missing."""
    whole = _object(body, "The body")
    context = _member(whole, "context")
    subject, action, resource = (
        _required_object(whole, name) for name in ("subject", "action", "resource")
    )
    subject_type, subject_id = _name(subject, "subject", "type"), _name(subject, "subject", "id")
    acts = _acting(subject_type, subject_id, subject, context)
    called = _called(action, resource, context, own_shape=subject_type == AGENT)
    return Ask(
        **acts,
        **called,
        subject_type=subject_type,
        subject_properties=_member(subject, "properties", "subject.properties"),
        resource_properties=_member(resource, "properties", "resource.properties"),
        session=_text(context, "session", MAX_SESSION),
        prompt_digest=_text(context, "prompt_digest", MAX_SESSION),
        code_reference=_text(context, "code_reference", MAX_SESSION),
        reasoning=_text(context, "reasoning")[:MAX_REASONING],
        inputs=context.get("inputs"),
        read=read_inputs(context.get("inputs"), "context.inputs"),
        untrusted=_untrusted(_member(context, "provenance"), called["parameters"]),
        plan=_plan(context.get("plan")),
        estimate=_estimate(context.get("estimate")),
        approval=_approval(context.get("approval")),
        delegation=_delegation(context.get("delegation")),
    )


def _estimate(value: Json) -> tuple[int, str] | None:
    """What the caller expects the call to cost: `{"cost_minor": 1200, "currency": "EUR"}`."""
    if value is None:
        return None
    said = _object(value, "context.estimate")
    cost, currency = said.get("cost_minor"), said.get("currency")
    if not isinstance(cost, int) or isinstance(cost, bool) or not 0 <= cost <= MAX_COST:
        raise BadRequest("context.estimate.cost_minor must be a whole number, 0 or more.")
    return cost, read_currency(currency, "context.estimate.currency")


def read_currency(value: Json, path: str) -> str:
    """Three capital letters. Raises `BadRequest`."""
    letters = isinstance(value, str) and value.isascii() and value.isalpha() and value.isupper()
    if not letters or len(value) != 3:
        raise BadRequest(f"{path} must be three capital letters, such as EUR.")
    return str(value)


def _approval(value: Json) -> str:
    """The id of an approval; one that is no id of ours stands as `UNREADABLE`."""
    if value is None:
        return ""
    named = _object(value, "context.approval").get("id")
    if not isinstance(named, str):
        raise BadRequest("context.approval.id must be a string.")
    return named.lower() if _ID.fullmatch(named) else UNREADABLE


def _delegation(value: Json) -> str:
    """The id of a delegation; one that is no id of ours stands as `UNREADABLE`."""
    named = _named(value, "context.delegation")
    if not named:
        return ""
    return named.lower() if _ID.fullmatch(named) else UNREADABLE


def _plan(value: Json) -> Object | None:
    if value is None:
        return None
    try:
        return plans.read_plan(value)
    except Invalid as error:
        raise BadRequest(f"context.plan: {error.message}", code=error.code) from error


def read_inputs(value: Json, path: str) -> tuple[Input, ...]:
    """Of what a run is said to have read, the entries that name a system."""
    entries = value if isinstance(value, list) else []
    if len(entries) > MAX_INPUTS:
        raise BadRequest(f"{path} has {len(entries)} entries; {MAX_INPUTS} are the most.")
    return tuple(
        _input(entry, f"{path}/{number}")
        for number, entry in enumerate(entries)
        if isinstance(entry, dict) and "system" in entry
    )


def _input(entry: Object, path: str) -> Input:
    trust = entry.get("trust", TRUSTED)
    if trust not in TRUSTS:
        raise BadRequest(f"{path}/trust must be {TRUSTED} or {UNTRUSTED}.")
    system = _named(entry["system"], f"{path}/system")
    resource = _named(entry.get("resource"), f"{path}/resource")
    return Input(system, resource, trusted=trust == TRUSTED)


def _untrusted(provenance: Object, parameters: Object) -> tuple[str, ...]:
    """The parameters that the caller marks as taken from hostile input."""
    return tuple(sorted(n for n in parameters if provenance.get(n) == UNTRUSTED))


def read_evaluations(body: Json) -> Ask | Batch:
    """The questions of an evaluations request; one without items is a single evaluation."""
    whole = _object(body, "The body")
    items = whole.get("evaluations", [])
    if not isinstance(items, list):
        raise BadRequest("evaluations must be an array.")
    semantic = _semantic(_member(whole, "options"))
    if not items:
        return read_evaluation(whole)
    if len(items) > MAX_EVALUATIONS:
        raise BadRequest(f"evaluations has {len(items)} items; {MAX_EVALUATIONS} are the most.")
    defaults = {name: whole[name] for name in DEFAULTS if name in whole}
    return Batch(tuple(_item(defaults, item) for item in items), semantic)


def _item(defaults: Object, item: Json) -> Ask | BadRequest:
    try:
        return read_evaluation({**defaults, **_object(item, "An item of evaluations")})
    except BadRequest as error:
        return error


def _semantic(options: Object) -> Semantic:
    value = options.get("evaluations_semantic", Semantic.EXECUTE_ALL)
    if not isinstance(value, str) or value not in list(Semantic):
        raise BadRequest(f"options.evaluations_semantic must be one of {', '.join(Semantic)}.")
    return Semantic(value)


def _acting(kind: str, subject_id: str, subject: Object, context: Object) -> dict[str, Any]:
    """Who acts, and for whom."""
    if kind == AGENT:
        user = _named(context.get("user"), "context.user")
        return {"kind": SubjectKind.AGENT, "agent": subject_id, "user": user}
    act = _member(_member(subject, "properties", "subject.properties"), "act", "act")
    named = {
        _named(context.get("agent"), "context.agent"),
        _named(act.get("sub"), "subject.properties.act.sub"),
    } - {""}
    if len(named) > 1:
        raise BadRequest("context.agent and subject.properties.act name different agents.")
    if named:
        acting = {"kind": SubjectKind.AGENT, "agent": named.pop(), "user": subject_id}
        return {**acting, "chain": _chain(act)}
    return {"kind": SubjectKind.PERSON, "person": subject_id}


def _chain(act: Object) -> tuple[str, ...]:
    """Those through whom the call was handed on to the acting agent, nearest first."""
    found: list[str] = []
    while "act" in act:
        act = _member(act, "act", "subject.properties.act.act")
        found.append(_named(act.get("sub"), "subject.properties.act.act.sub"))
        if len(found) > MAX_CHAIN:
            raise BadRequest(f"subject.properties.act is nested deeper than {MAX_CHAIN}.")
    return tuple(found)


def _called(
    action: Object, resource: Object, context: Object, *, own_shape: bool
) -> dict[str, Any]:
    """What is to be done, with which parameters, on what."""
    name = _name(action, "action", "name")
    kind, resource_id = _name(resource, "resource", "type"), _name(resource, "resource", "id")
    through_gateway = kind == TOOL and name in TOOL_ACTIONS
    called: dict[str, Any] = {"tool": resource_id if through_gateway else name}
    if not through_gateway and kind != MCP_SERVER and (kind, resource_id) != (TOOL, name):
        called |= {"resource_type": kind, "resource_id": resource_id}
    in_context = "parameters" in context and (through_gateway or not own_shape)
    called["parameters"] = (
        _member(context, "parameters", "context.parameters")
        if in_context
        else _member(action, "properties", "action.properties")
    )
    return called


def _object(value: Json, name: str) -> Object:
    if not isinstance(value, dict):
        raise BadRequest(f"{name} must be an object.")
    return value


def _required_object(whole: Object, name: str) -> Object:
    if name not in whole:
        raise BadRequest(f"{name} is missing.")
    return _object(whole[name], name)


def _member(whole: Object, name: str, path: str = "") -> Object:
    return _object(whole.get(name, {}), path or name)


def _name(whole: Object, parent: str, name: str) -> str:
    value = whole.get(name)
    if value is None or value == "":
        raise BadRequest(f"{parent}.{name} is missing.")
    if not isinstance(value, str):
        raise BadRequest(f"{parent}.{name} must be a string.")
    return _named(value, f"{parent}.{name}")


def _named(value: Json, path: str) -> str:
    """A name given as a text, or as an object with an id."""
    if isinstance(value, dict):
        value = value.get("id")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadRequest(f"{path} must be a string.")
    if len(value.encode()) > MAX_NAME_BYTES:
        raise BadRequest(f"{path} is longer than {MAX_NAME_BYTES} bytes.")
    return value


def _text(context: Object, name: str, longest: int = 0) -> str:
    value = context.get(name, "")
    if not isinstance(value, str):
        raise BadRequest(f"context.{name} must be a string.")
    if longest and len(value) > longest:
        raise BadRequest(f"context.{name} is longer than {longest} characters.")
    return value
