"""Refusals of questions that never came before the checks, in the words of the checks."""

from __future__ import annotations

from typing import Any

from authz.engine import codes
from authz.engine.types import Check, Decision, Effect, Request, Status, Step

MISMATCH = "identity.mismatch"
MALFORMED = "parameters.malformed"
BUSY = "rate.busy"


def mismatch(request: Request) -> Decision | None:
    """An agent's own token asks about that agent and no other."""
    if request.gateway or not request.agent_claimed or request.agent_claimed == request.agent:
        return None
    return refuse(MISMATCH, agent=request.agent)


def refuse(code: str, **detail: Any) -> Decision:
    """A denial by `code` alone: no other check was looked at."""
    deciding = Check(code.partition(".")[0])
    walk = tuple(
        Step(check, Status.REFUSED, code, detail)
        if check is deciding
        else Step(check, Status.NOT_REACHED)
        for check in Check
    )
    return Decision(
        effect=Effect.DENY,
        check=deciding,
        code=code,
        walk=walk,
        detail=detail,
        remedies=codes.remedies(code, detail),
    )
