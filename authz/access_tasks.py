"""Access requests as their callers see them: tasks of AuthZEN's Access Request profile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings

from audit.leaf import instant
from authz import held, timekeeper
from authz.access import PATH, STATUSES
from authz.enums import HoldState
from authz.models import AccessRequest, Hold, HoldEdit, HoldVote, RequestedHold

PENDING, PARTIAL, EXPIRED, APPROVED = "pending", "partial", "expired", "approved"
EVENTS = ("approved", "denied", "expired", "cancelled", "failed", "partial")
WORDS = {
    "pending": "It waits for a human.",
    "approved": "It was approved.",
    "denied": "It was rejected.",
    "cancelled": "It was cancelled.",
    "expired": "Nobody decided in time.",
    "partial": "Some were approved and some were not.",
}

Json = Any


def status_of(request: AccessRequest) -> str:
    """One word for the whole request."""
    return _together([status_of_hold(item.hold) for item in items_of(request)])


def items_of(request: AccessRequest) -> list[RequestedHold]:
    """The items of a request with their holds, in order."""
    return list(request.items.select_related("hold").order_by("place"))


def status_of_hold(hold: Hold) -> str:
    """The profile's word; what nobody answered in time has expired, whoever says so when."""
    if hold.state == HoldState.OPEN and hold.expires_at <= timekeeper.now():
        return EXPIRED
    return STATUSES[HoldState(hold.state)]


def _together(statuses: Sequence[str]) -> str:
    if PENDING in statuses:
        return PENDING
    return statuses[0] if len(set(statuses)) == 1 else PARTIAL


def task_of(request: AccessRequest) -> dict[str, Json]:
    """The task handle."""
    items = items_of(request)
    status = _together([status_of_hold(item.hold) for item in items])
    address = f"{settings.MUSTER_BASE_URL}{PATH}/{request.pk}"
    task: dict[str, Json] = {
        "id": str(request.pk),
        "status": status,
        "status_endpoint": address,
        "expires_at": instant(max(item.hold.expires_at for item in items)),
        "display": _display(status, items),
    }
    if status == PENDING:
        task["progress"] = _progress(items[0].hold)
        task["links"] = {"cancel": f"{address}/cancel"}
    return task


def _display(status: str, items: Sequence[RequestedHold]) -> dict[str, str]:
    reasons = [item.hold.reason for item in items if item.hold.reason]
    return {"title": WORDS[status], **({"description": reasons[0]} if reasons else {})}


def _progress(hold: Hold) -> dict[str, int]:
    given = HoldVote.objects.filter(hold=hold).count()
    return {"current_step": min(given + 1, hold.approvals), "total_steps": hold.approvals}


def answer_of(request: AccessRequest, *, reader: str) -> dict[str, Json]:
    """The task with what came of it. Parameters that an approver changed are read for `reader`."""
    items = items_of(request)
    told: dict[str, Json] = {"task": task_of(request)}
    if not request.is_bundle:
        result = _result(items[0].hold, reader)
        return told | ({"result": result} if result else {})
    told["task"]["items"] = [
        {
            "resource": held.resource_of(item.hold),
            "action": {"name": item.hold.tool},
            "status": status_of_hold(item.hold),
            **({"result": result} if (result := _result(item.hold, reader)) else {}),
        }
        for item in items
    ]
    return told


def _result(hold: Hold, reader: str) -> dict[str, Json] | None:
    if hold.state != HoldState.APPROVED:
        return None
    release = hold.release
    result: dict[str, Json] = {
        "mode": "reevaluate",
        "approval": {
            "id": str(release.pk),
            "approved_at": instant(release.made_at),
            "approved_until": instant(release.until),
        },
    }
    if release.digest != hold.digest:
        edit = HoldEdit.objects.select_related("hold").get(hold=hold, digest=release.digest)
        result["edited"] = {"parameters": held.open_edit(edit, by=reader, reason="to act on it")}
    return result
