"""The decision API as one function from bytes to bytes.

`answer` knows nothing of Django's requests: the REST views hand theirs over, and a leaner route
can do the same. It authenticates, reads strictly, asks the service, and turns every error into
an RFC 9457 problem.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import Error

from authz import outcomes, present, refusals, strangers, wire
from authz.api import search
from authz.asks import Ask, Caller
from authz.decide import Answer, decide, refuse
from authz.engine.types import SubjectKind, Token
from authz.errors import BadRequest, MethodNotAllowed
from authz.wire import Batch, Semantic
from governance.kernel import strict_json
from governance.kernel.api import PROBLEM, problem
from governance.kernel.errors import GovernanceError, NotFound, NotSignedIn, Unavailable
from registry.identity import tokens

JSON = "application/json"
BARE = "bare"
EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"
METADATA = "/.well-known/authzen-configuration"

Json = Any
Reply = tuple[int, dict[str, str], bytes]

_REQUEST_ID = re.compile(r"[\x20-\x7e]{1,128}")
_DECISION = re.compile(r"/api/v1/decisions/([0-9a-f-]{36})(/outcome)?")


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request. Names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    peer: str

    def header(self, name: str) -> str:
        return self.headers.get(name, "")

    @property
    def bare(self) -> bool:
        """Does the enforcement point want the decision alone?"""
        return self.header("muster-answer").strip().lower() == BARE


@dataclass(frozen=True, slots=True)
class Told:
    """What is answered, before it becomes bytes."""

    body: Json
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Operation = Callable[[Call], Told]


def answer(method: str, path: str, headers: Mapping[str, str], raw_body: bytes, peer: str) -> Reply:
    """The status, headers and body that answer a request."""
    call = Call(method, path, headers, raw_body, peer)
    try:
        told = _operation(call)(call)
    except GovernanceError as error:
        told = _problem(error)
    except Error:
        told = _problem(Unavailable())
    sent = {"Content-Type": JSON, "Cache-Control": "no-store", **told.headers}
    request_id = call.header("x-request-id")
    if _REQUEST_ID.fullmatch(request_id):
        sent["X-Request-ID"] = request_id
    return told.status, sent, json.dumps(told.body, separators=(",", ":")).encode()


def _problem(error: GovernanceError) -> Told:
    more = {"errors": error.fields} if error.fields else {}
    body = problem(status_code=error.status, code=error.code, detail=error.message, **more)
    headers = {"Content-Type": PROBLEM}
    if isinstance(error, NotSignedIn):
        headers["WWW-Authenticate"] = tokens.challenge(error)
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allowed)
    return Told(body, error.status, headers)


def _operation(call: Call) -> Operation:
    methods = _methods(call.path)
    operation = methods.get(call.method)
    if operation is None:
        raise MethodNotAllowed(allowed=tuple(methods))
    return operation


def _methods(path: str) -> Mapping[str, Operation]:
    if path in _FIXED:
        return _FIXED[path]
    found = _DECISION.fullmatch(path)
    if not found:
        raise NotFound()
    return {"POST": _report} if found[2] else {"GET": _show}


# Decisions


def _evaluate(call: Call) -> Told:
    caller, body = _asked(call)
    return Told(present.evaluation(_one(wire.read_evaluation(body), caller), bare=call.bare))


def _evaluate_many(call: Call) -> Told:
    caller, body = _asked(call)
    asked = wire.read_evaluations(body)
    if isinstance(asked, Ask):
        return Told(present.evaluation(_one(asked, caller), bare=call.bare))
    if asked.semantic is Semantic.EXECUTE_ALL:
        return Told({"evaluations": _all(asked, caller, call.bare)})
    return Told({"evaluations": _until(asked, caller, call.bare)})


def _one(ask: Ask, caller: Caller) -> Answer:
    (given,) = _decided([ask], caller)
    return given


def _decided(asks: Sequence[Ask], caller: Caller) -> list[Answer]:
    given = decide(asks, caller)
    for each in given:
        strangers.note_unknown_agent(each, caller)
    return given


def _all(batch: Batch, caller: Caller, bare: bool) -> list[Json]:
    """Every question in one transaction, then those that could not be read."""
    asks = [item for item in batch.items if isinstance(item, Ask)]
    given = iter(_decided(asks, caller) if asks else [])
    return [
        _unreadable(item, caller, bare)
        if isinstance(item, BadRequest)
        else present.evaluation(next(given), bare=bare)
        for item in batch.items
    ]


def _until(batch: Batch, caller: Caller, bare: bool) -> list[Json]:
    """One question after the other, until the answer that ends the batch."""
    told: list[Json] = []
    for item in batch.items:
        if isinstance(item, BadRequest):
            told.append(_unreadable(item, caller, bare))
        else:
            told.append(present.evaluation(_one(item, caller), bare=bare))
        if batch.semantic.ends_at(told[-1]["decision"]):
            break
    return told


def _unreadable(error: BadRequest, caller: Caller, bare: bool) -> Json:
    """A denial that is answered is recorded, also of what was no question."""
    nothing = Ask(kind=SubjectKind.AGENT, tool="")
    return present.unreadable(refuse(nothing, caller, refusals.MALFORMED), error, bare=bare)


def _search(call: Call) -> Told:
    caller, body = _asked(call)
    return Told(search.found(call.path, body, caller, bare=call.bare))


# Afterwards


def _report(call: Call) -> Told:
    caller, body = _asked(call)
    reported = outcomes.report_outcome(
        decision_id=_decision_id(call), caller=caller, report=outcomes.read_report(body)
    )
    return Told({"outcome_id": str(reported.record), "decision_id": str(reported.decision)}, 201)


def _show(call: Call) -> Told:
    caller = _caller(call)
    return Told(outcomes.show_decision(decision_id=_decision_id(call), caller=caller))


def _decision_id(call: Call) -> UUID:
    found = _DECISION.fullmatch(call.path)
    try:
        return UUID(found[1] if found else "")
    except ValueError as error:
        raise NotFound() from error


# Who asks, and how


def _asked(call: Call) -> tuple[Caller, Json]:
    """The authenticated caller and the body, which must be JSON and say so."""
    caller = _caller(call)
    if not call.body:
        raise BadRequest("The body is empty.", code="empty_body")
    media_type = call.header("content-type").partition(";")[0].strip().lower()
    if media_type != JSON:
        raise BadRequest(f"Send {JSON}.", code="content_type")
    return caller, strict_json.loads(call.body)


def _caller(call: Call) -> Caller:
    try:
        token = tokens.authenticate(call.header("authorization"))
    except NotSignedIn:
        strangers.note_unauthenticated(call.peer)
        raise
    return Caller(token.kind, token.slug, Token(token.version, token.jti))


def _metadata(_: Call) -> Told:
    base = settings.MUSTER_BASE_URL
    return Told(
        {
            "policy_decision_point": base,
            "access_evaluation_endpoint": base + EVALUATION,
            "access_evaluations_endpoint": base + EVALUATIONS,
            **{name: base + path for name, path in search.ENDPOINTS.items()},
        },
        headers={"Cache-Control": "public, max-age=300"},
    )


_FIXED: Mapping[str, Mapping[str, Operation]] = {
    EVALUATION: {"POST": _evaluate},
    EVALUATIONS: {"POST": _evaluate_many},
    METADATA: {"GET": _metadata},
    **{path: {"POST": _search} for path in search.PATHS},
}
