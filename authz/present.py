"""Answers, as they are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authz.decide import Answer
from authz.engine import codes
from authz.errors import BadRequest

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
        "classification": decision.classification,
    }
    if decision.observe:
        seen = decision.observe
        context["observe"] = {"would": seen.would, "check": seen.check, "code": seen.code}
    return context


def _remedy(remedy: Mapping[str, Json]) -> dict[str, Json]:
    return {**remedy, "message": codes.remedy_text(remedy)}
