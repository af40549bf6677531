"""Answers to delegations over HTTP: a body and a caller, to what is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from audit.leaf import instant
from authz.asks import Caller
from authz.errors import BadRequest
from authz.models import DelegationResult
from authz.services import results
from authz.services.results import HandedBack
from authz.wire import read_inputs

PATH = re.compile(r"/api/v1/delegations/(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/result")

Json = Any
# From a delegation's id, a body and a caller to what is told.
Operation = Callable[[UUID, Json, Caller], Json]


def methods(path: str) -> Mapping[str, Operation]:
    """What may be done at `path`, by method; nothing where it is no address of an answer."""
    return {"POST": _hand_back, "GET": _show} if PATH.fullmatch(path) else {}


def delegation_of(path: str) -> UUID:
    """The delegation that such an address names."""
    found = PATH.fullmatch(path)
    if found is None:
        raise LookupError(path)
    return UUID(found["id"])


def _hand_back(delegation_id: UUID, body: Json, caller: Caller) -> Json:
    """Taken in or refused, it was looked at: 200 either way."""
    answer = _read(body)
    return told(results.hand_back(delegation_id=delegation_id, answer=answer, caller=caller))


def _show(delegation_id: UUID, _: Json, caller: Caller) -> Json:
    found = results.show_results(delegation_id=delegation_id, caller=caller)
    return {"results": [told(one) for one in found]}


def _read(body: Json) -> HandedBack:
    if not isinstance(body, dict) or "result" not in body:
        raise BadRequest("The body must be an object with a result.")
    session = body.get("session", "")
    if not isinstance(session, str):
        raise BadRequest("session must be a string.")
    if not isinstance(body.get("inputs", []), list):
        raise BadRequest("inputs must be a list of entries that each name a system.")
    return HandedBack(body["result"], session, read_inputs(body.get("inputs"), "inputs"))


def told(result: DelegationResult) -> dict[str, Json]:
    """An answer as both sides see it: whether it counts, why not, and what it brings with it."""
    return {
        "result_id": str(result.pk),
        "delegation_id": str(result.delegation_id),
        "accepted": result.accepted,
        "reasons": result.reasons,
        "digest": result.digest,
        "label": result.label,
        "untrusted": result.untrusted,
        "categories": list(result.categories),
        "at": instant(result.at),
    }
