"""Answers, as they are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audit.sealing.receipts import Receipt
from authz import access, remaining, wire
from authz.decide import Answer
from authz.engine import codes
from authz.engine.reading import NOTHING
from authz.engine.types import Decision
from authz.errors import BadRequest
from governance.kernel.tiers import highest

Json = Any


def evaluation(answer: Answer, *, bare: bool) -> dict[str, Json]:
    """One answer of AuthZEN; `bare` leaves the context out."""
    if bare:
        return {"decision": answer.allowed}
    return {"decision": answer.allowed, "context": _context(answer)}


def unreadable(answer: Answer, error: BadRequest, *, bare: bool) -> dict[str, Json]:
    """The answer to an item that is no question."""
    told = evaluation(answer, bare=bare)
    if not bare:
        told["context"]["error"] = {"status": error.status, "message": error.message}
    return told


def _context(answer: Answer) -> dict[str, Json]:
    decision = answer.decision
    context: dict[str, Json] = {
        "decision_id": str(answer.id),
        "effect": decision.effect,
        "check": decision.check,
        "code": decision.code,
        "reason": codes.reason(decision.code),
        "message": codes.message(decision.code, decision.detail),
        "policies": list(decision.policies),
        "obligations": [dict(each) for each in decision.obligations],
        "remedies": [_remedy(each) for each in decision.remedies],
        "classification": output_tier(decision),
    }
    if decision.read != NOTHING:
        context["trust"] = wire.UNTRUSTED if decision.read.untrusted else wire.TRUSTED
    if limits := _limits(answer):
        context["limits"] = limits
    if answer.resolved.request.approval or "hold" in answer.settled:
        context |= access.told(answer)
    if answer.receipt:
        context["receipt"] = _receipt(str(answer.id), answer.receipt)
    if decision.observe:
        seen = decision.observe
        context["observe"] = {"would": seen.would, "check": seen.check, "code": seen.code}
    return context


def _receipt(record: str, receipt: Receipt) -> dict[str, Json]:
    return {
        "record": record,
        "leaf": receipt.leaf,
        "index": receipt.index,
        "path": list(receipt.path),
        "note": receipt.note,
    }


def output_tier(decision: Decision) -> str:
    """What comes of the call carries the highest tier of anything that its run has read."""
    known = [tier for tier in (decision.classification, decision.label) if tier]
    return highest(known) if known else ""


def _limits(answer: Answer) -> list[dict[str, Json]]:
    """What is left of the limits that this call was counted against."""
    agent, settled = answer.resolved.snapshot.agent, answer.settled
    if not settled or agent is None:
        return []
    request, world = answer.resolved.request, answer.resolved.snapshot.world.document
    most = remaining.limits_of_call(agent.document, request.tool, world)
    return list(remaining.left_of(most, remaining.used_in(settled)))


def _remedy(remedy: Mapping[str, Json]) -> dict[str, Json]:
    return {**remedy, "message": codes.remedy_text(remedy)}
