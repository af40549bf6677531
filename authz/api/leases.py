"""The lease operation of the decision API: a body and a caller, to what is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from audit.leaf import instant
from authz import leases, present
from authz.asks import Caller
from authz.errors import BadRequest, LeaseRefused
from governance.kernel.api import PROBLEM, problem

_PATH = re.compile(r"/api/v1/credentials/(?P<reference>.{1,300})/lease")
_KNOWN = frozenset({"session", "approval"})
# The value is for whoever asked, and for no cache on the way.
HEADERS = {"Cache-Control": "no-store", "Pragma": "no-cache"}

Json = Any
Reply = tuple[int, Json, Mapping[str, str]]


def reference_in(path: str) -> str:
    """The reference that an address names, "" where it is no address of a lease."""
    found = _PATH.fullmatch(path)
    return found["reference"] if found else ""


def give(reference: str, body: Json, caller: Caller) -> Reply:
    """201 with the value, or 403 with the decision that refused it."""
    asked = _read(body)
    session, approval = asked.get("session", ""), asked.get("approval", "")
    try:
        given = leases.lease(reference=reference, caller=caller, session=session, approval=approval)
    except LeaseRefused as refusal:
        told = problem(status_code=403, code=refusal.code, detail=refusal.message)
        context = present.evaluation(refusal.answer, bare=False)["context"]
        return 403, {**told, "context": context}, {**HEADERS, "Content-Type": PROBLEM}
    return 201, _told(given), HEADERS


def _told(given: leases.Given) -> dict[str, Json]:
    return {
        "lease_id": str(given.lease.pk),
        "reference": given.reference,
        "value": given.secret.reveal(),
        "version": given.lease.version,
        "expires_at": instant(given.lease.expires_at),
        "decision_id": str(given.lease.record),
    }


def _read(body: Json) -> dict[str, str]:
    if not isinstance(body, dict) or not body.keys() <= _KNOWN:
        raise BadRequest("The body is a JSON object with session and approval, both optional.")
    if not all(isinstance(value, str) and len(value) <= 800 for value in body.values()):
        raise BadRequest("session and approval are texts.")
    return dict(body)
