"""What a decision hands over to be held, or to go on by a release.

An approval is for one digest: over agent, user, tool and its version, parameters and resource,
in canonical form. It is keyed, since a digest of a few known values could be guessed back; secret
parameters stand in it as keyed hashes of their own, which a hold keeps beside.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings

from audit import services as audit
from audit.payloads import canonical
from authz.engine.case import Case
from authz.engine.gate import FINANCIAL, GRANT, Terms, gates_of, is_restricted, terms_besides
from authz.engine.gate import terms_of as terms_of_gate
from authz.engine.types import Check, Decision, Effect, Mode, Request, Status, Step
from authz.resolve import Resolved
from authz.rows import hides_resources, resource_id_of
from governance.kernel import keys

Json = Any
Facts = Mapping[str, Json]


def parts_of(
    resolved: Resolved, decision: Decision, now: datetime
) -> tuple[Facts | None, Facts | None]:
    """The parts `hold` and `approval` of a judged request; see `authz.decide_batch`."""
    if decision.effect is Effect.DENY or decision.observe is not None:
        return None, None
    held = decision.effect is Effect.HOLD
    if not held and not (resolved.request.approval and resolved.request.agent):
        return None, None
    hold = hold_of(resolved, decision, now)
    return hold if held else None, approval_of(resolved, hold)


def approval_of(resolved: Resolved, hold: Facts) -> Facts | None:
    """What is asked of the release that the caller names, None where it names none."""
    named = resolved.request.approval
    if not named:
        return None
    return {"id": named, "agent": hold["agent"], "digest": hold["digest"]}


def hold_of(resolved: Resolved, decision: Decision, now: datetime) -> dict[str, Json]:
    """An action as it is held; `authz.make_hold` says what each member is for."""
    request = resolved.request
    case = Case(request, resolved.snapshot, now, Mode.ENFORCE)
    tool = case.tool or {}
    steps = [step for step in decision.walk if step.status is Status.HELD]
    restricted, grant = is_restricted(case), tool["effect"] == GRANT
    terms = _terms(case, steps)
    sealed = sealed_secrets(tool, request.parameters)
    return {
        "agent": request.agent,
        "user": request.user,
        "gateway": request.gateway,
        "session": request.session,
        "tool": request.tool,
        "tool_version": tool["version"],
        "digest": digest_of(
            agent=request.agent,
            user=request.user,
            tool=request.tool,
            tool_version=tool["version"],
            parameters={**request.parameters, **sealed},
            resource_type=decision.resource_type,
            resource_id=resource_id_of(decision.resource_id, hides_resources(resolved, decision)),
        ),
        "shape": _shape(request, steps),
        "sealed": sealed,
        "checks": [step.check for step in steps],
        "codes": [code for step in steps for code in step.detail.get("causes") or [step.code]],
        "tier": decision.classification,
        "restricted": restricted,
        "money": tool["effect"] == FINANCIAL or bool(tool.get("amount")),
        "grant": grant,
        "approvals": terms.approvals,
        "groups": list(terms.groups),
        "agents": [] if restricted or grant else list(terms.agents),
        "chain": sorted({*request.chain, *(str(link["giver"]) for link in case.links)}),
        "seconds": settings.MUSTER_HOLD_HOURS * 3600,
        "most": settings.MUSTER_OPEN_HOLDS,
        "most_shapes": settings.MUSTER_OPEN_HOLD_SHAPES,
    }


def _terms(case: Case, steps: list[Step]) -> Terms:
    """Those of the gate that holds; an agent approves only where nothing else holds besides."""
    of_gate = [step for step in steps if step.check is Check.GATE]
    if not of_gate:
        return terms_besides(gates_of(case))
    terms = terms_of_gate(of_gate[0].detail)
    return terms if len(steps) == 1 else Terms(terms.approvals, terms.groups)


def sealed_secrets(tool: Facts, parameters: Facts) -> dict[str, str]:
    """The secret parameters of a call, each as its keyed hash."""
    return {
        name: audit.index_resource(canonical(parameters[name]).decode())
        for name in sorted(tool.get("secret") or ())
        if name in parameters
    }


def digest_of(
    *,
    agent: str,
    user: str,
    tool: str,
    tool_version: int,
    parameters: Facts,
    resource_type: str,
    resource_id: str,
) -> str:
    """What an approval is for, in hex. Secret parameters come as `sealed_secrets` gives them."""
    said = {
        "agent": agent,
        "user": user,
        "tool": tool,
        "tool_version": tool_version,
        "parameters": dict(parameters),
        "resource": {"type": resource_type, "id": resource_id},
    }
    key = keys.derived("approval digest")
    return hmac.new(key, canonical(said), hashlib.sha256).hexdigest()


def _shape(request: Request, steps: list[Step]) -> str:
    """What makes holds alike: who calls what, with which parameters, and why it is held."""
    said = [
        request.agent,
        request.user,
        request.tool,
        sorted(request.parameters),
        [step.check for step in steps],
    ]
    return hashlib.sha256(canonical(said)).hexdigest()
