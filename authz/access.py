"""What an answer says of an approval: how to ask for one, and what became of the one that came.

In the words of AuthZEN's Access Request and Approval profile. A held call is a denial that can be
requested; an approval is no grant, it only counts at the evaluation that it comes with.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings

from audit.leaf import instant
from authz.decide import Answer
from authz.engine import codes
from authz.engine.types import Effect
from authz.enums import HoldState

PATH = "/access/v1/requests"
RETRY_SECONDS = 15
REQUEST, RETRY, NONE = "request", "retry", "none"
# What the profile calls the causes for which a release does not fit.
REASONS = {
    "expired": "approval_expired",
    "used": "approval_used",
    "out_of_scope": "out_of_scope",
    "unknown": "approval_unverifiable",
    "pending": "grant_pending",
}
STATUSES = {
    HoldState.OPEN: "pending",
    HoldState.APPROVED: "approved",
    HoldState.REJECTED: "denied",
    HoldState.CANCELLED: "cancelled",
    HoldState.EXPIRED: "expired",
}

Json = Any


def told(answer: Answer) -> dict[str, Json]:
    """Members of the context of an answer that is held, or that came with an approval."""
    context: dict[str, Json] = {
        "evaluation_id": str(answer.id),
        "evaluated_at": instant(answer.at),
    }
    if hold := answer.settled.get("hold"):
        context["access_request"] = _requestable(hold)
    if not answer.resolved.request.approval:
        return context
    if release := answer.settled.get("release"):
        return context | {"approval": {"id": release["release"]}}
    if answer.decision.effect is Effect.ALLOW:
        return context
    return context | _refused(answer)


def _requestable(hold: Mapping[str, Json]) -> dict[str, Json]:
    told = {
        "endpoint": settings.MUSTER_BASE_URL + PATH,
        "template": "hold",
        "expires_at": hold["expires_at"],
        "hold": hold["id"],
    }
    if "release" in hold:
        # It was approved already; whoever asked may not have heard of it.
        told["approval"] = {"id": hold["release"], "approved_until": hold["until"]}
    return told


def _refused(answer: Answer) -> dict[str, Json]:
    """Why the approval did not help, and what to do next."""
    settled = answer.settled
    cause = settled.get("approval", settled.get("gate", {})).get("refused", "")
    if "hold" in settled:
        return {"reason": REASONS.get(cause, codes.APPROVAL_REQUIRED), "next_action": REQUEST}
    if cause == "pending":
        return {"next_action": RETRY, "retry_after": RETRY_SECONDS}
    check = answer.decision.check
    if check == "rate":
        return {"next_action": RETRY, "retry_after": _seconds_until_free(answer)}
    return {"next_action": NONE}


def _seconds_until_free(answer: Answer) -> int:
    """Until the window of the counter that refused is over; a whole number of seconds."""
    windows = {"rate.minute": timedelta(minutes=1), "rate.hour": timedelta(hours=1)}
    window = windows.get(answer.decision.code)
    if window is None:
        return RETRY_SECONDS
    length = int(window.total_seconds())
    return length - int(answer.at.timestamp()) % length
