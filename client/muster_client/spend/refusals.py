"""Refusals in the provider's own format, so that its client library raises what it knows.

OpenAI: `{"error": {"message", "type", "param", "code"}}`. Anthropic: `{"type": "error", "error":
{"type", "message"}}`, with the types and statuses of its API reference.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse

from ..answers import HOLD, Decision
from ..errors import MusterError, NotSignedIn, Refused, Unavailable
from .calls import ANTHROPIC, BadCall

Json = Any

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_CAPS = ("spend.cap", "spend.month")
# OpenAI's own word for an account without money left; its library asks again for other 429s.
_QUOTA = "insufficient_quota"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call does not go on. `again` is whether asking again may help."""

    status: int
    code: str
    message: str
    param: str = ""
    again: bool = False

    def response(self, shape: str) -> JSONResponse:
        """The answer for a client of this shape."""
        anthropic = shape == ANTHROPIC
        capped = self.code in _CAPS
        status = 429 if capped and not anthropic else self.status
        headers = {"Muster-Code": self.code, "x-should-retry": "true" if self.again else "false"}
        return JSONResponse(
            self._anthropic() if anthropic else self._openai(capped), status, headers
        )

    def event(self, shape: str) -> bytes:
        """The same as the last event of a stream."""
        anthropic = shape == ANTHROPIC
        told = json.dumps(self._anthropic() if anthropic else self._openai(False))
        return (b"event: error\n" if anthropic else b"") + f"data: {told}\n\n".encode()

    def _anthropic(self) -> Json:
        kind = _TYPES.get(self.status, _TYPES[400])
        return {"type": "error", "error": {"type": kind, "message": self.message}}

    def _openai(self, capped: bool) -> Json:
        return {
            "error": {
                "message": self.message,
                "type": _QUOTA if capped else _TYPES.get(self.status, _TYPES[400]),
                "param": self.param or None,
                "code": _QUOTA if capped else self.code,
            }
        }


def of_call(error: BadCall) -> Refusal:
    """A request that cannot go on as it stands."""
    code = "model_not_found" if error.status == 404 else "bad_request"
    return Refusal(error.status, code, error.message, error.param)


def of_error(error: MusterError) -> Refusal:
    """Muster could not be asked, or said that the caller may not be."""
    if isinstance(error, Refused):
        return of_decision(error.decision, error.message)
    if isinstance(error, NotSignedIn):
        return Refusal(401, "not_signed_in", error.message)
    again = isinstance(error, Unavailable) and error.passing
    return Refusal(
        503,
        error.code or "unavailable",
        f"There is no decision, so nothing was sent. {error.message}",
        again=again,
    )


def of_decision(decision: Decision, message: str = "") -> Refusal:
    """Denied, or held until a human says so; with what would make it allowed."""
    said = message or decision.message
    remedies = " ".join(str(each["message"]) for each in decision.remedies if "message" in each)
    told = f"{said} {remedies}".strip()
    if decision.effect == HOLD:
        link = decision.access_request.link if decision.access_request else ""
        told = f"{told} A human decides at {link}. Send the same request again after that.".strip()
        return Refusal(403, decision.code or "approval_required", told)
    if decision.code in _CAPS:
        return Refusal(402, decision.code, told)
    if decision.check == "rate":
        return Refusal(429, decision.code, told, again=decision.code == "rate.minute")
    return Refusal(403, decision.code or "denied", told)
