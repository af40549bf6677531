"""The access requests of the decision API: a body and a caller, to what is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from audit.leaf import instant
from authz import access_tasks, wire
from authz.access import PATH, RETRY_SECONDS
from authz.asks import Caller
from authz.errors import BadRequest, UnknownTask
from authz.services import access_requests, holds

REQUESTS = PATH
CAPABILITY = "urn:openid:authzen:capability:access-request"
_ID = r"(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_REQUEST = re.compile(rf"{REQUESTS}(?:/{_ID}(?P<cancel>/cancel)?)?")
_HOLD = re.compile(rf"/api/v1/holds/{_ID}(?P<approve>/approve)?")

Json = Any
Object = Mapping[str, Json]
Reply = tuple[int, Json, Mapping[str, str]]
# From an id, a body, a caller and an Idempotency-Key to a status, what is told, and headers.
Operation = Callable[[str, Json, Caller, str], Reply]


def methods(path: str) -> Mapping[str, Operation]:
    """What may be done at `path`, by method; nothing where it is no address of a request."""
    if of_hold := _HOLD.fullmatch(path):
        return {"POST": _approve} if of_hold["approve"] else {"GET": _show_hold}
    found = _REQUEST.fullmatch(path)
    if not found:
        return {}
    if not found["id"]:
        return {"POST": _submit}
    return {"POST": _cancel, "DELETE": _cancel} if found["cancel"] else {"GET": _show}


def request_of(path: str) -> str:
    """The request, or the hold, that an address names; "" for none."""
    found = _HOLD.fullmatch(path) or _REQUEST.fullmatch(path)
    return (found["id"] or "") if found else ""


def _submit(_: str, body: Json, caller: Caller, key: str) -> Reply:
    if body is None:
        raise BadRequest("The body is empty.", code="empty_body")
    submission = access_requests.read_submission(body, wire.read_evaluation)
    request = access_requests.submit(
        submission=submission, caller=caller, key=access_requests.read_key(key)
    )
    told = access_tasks.answer_of(request, reader=caller.slug)
    pending = told["task"]["status"] == access_tasks.PENDING
    return (
        202 if pending else 201,
        told,
        {"Location": told["task"]["status_endpoint"], **_retry(pending)},
    )


def _show(request_id: str, _: Json, caller: Caller, __: str) -> Reply:
    request = access_requests.show(request_id=_uuid(request_id), caller=caller)
    told = access_tasks.answer_of(request, reader=caller.slug)
    return 200, told, _retry(told["task"]["status"] == access_tasks.PENDING)


def _cancel(request_id: str, body: Json, caller: Caller, _: str) -> Reply:
    if body is not None and not isinstance(body, dict):
        raise BadRequest("The body must be an object.")
    words = [(body or {}).get(name, "") for name in ("reason", "comment")]
    if not all(isinstance(word, str) and "\0" not in word for word in words):
        raise BadRequest("reason and comment must be texts.")
    request = access_requests.cancel(
        request_id=_uuid(request_id), caller=caller, reason=" ".join(filter(None, words))
    )
    return 200, access_tasks.answer_of(request, reader=caller.slug), {}


def _show_hold(hold_id: str, _: Json, caller: Caller, __: str) -> Reply:
    shown = holds.show_to_agent(hold_id=_uuid(hold_id), caller=caller)
    hold = shown.hold
    return (
        200,
        {
            "hold": str(hold.pk),
            "agent": hold.agent,
            "tool": hold.tool,
            "codes": list(hold.codes),
            "parameters": dict(shown.parameters),
            "secret_parameters": list(shown.secrets),
            "resource": dict(shown.resource),
            "reasoning": shown.reasoning,
            "expires_at": instant(hold.expires_at),
        },
        {},
    )


def _approve(hold_id: str, _: Json, caller: Caller, __: str) -> Reply:
    hold = holds.approve_as_agent(hold_id=_uuid(hold_id), caller=caller)
    return 200, {"hold": str(hold.pk), "state": hold.state}, {}


def _retry(pending: bool) -> dict[str, str]:
    return {"Retry-After": str(RETRY_SECONDS)} if pending else {}


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise UnknownTask() from error
