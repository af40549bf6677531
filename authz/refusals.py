"""Refusals of questions that never came before the checks, in the words of the checks."""

from __future__ import annotations

from typing import Any

from authz.engine import codes
from authz.engine.types import Check, Decision, Effect, Status, Step

MISMATCH = "identity.mismatch"
MALFORMED = "parameters.malformed"
BUSY = "rate.busy"


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
