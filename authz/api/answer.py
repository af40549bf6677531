"""The decision API as one function from bytes to bytes.

`answer` knows nothing of Django's requests: the REST views hand theirs over, and the lean route
does the same. It authenticates, reads strictly, asks the service, and turns every error into
an RFC 9457 problem.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from django.db import Error

from authz import meters, outcomes, present, recorder, refusals, strangers, wire
from authz.api import (
    access_requests,
    ext_authz,
    hooks,
    leases,
    metadata,
    results,
    search,
    sessions,
)
from authz.api.metadata import EVALUATION, EVALUATIONS, METADATA
from authz.asks import Ask, Caller, caller_of
from authz.decide import Answer, deciding, refusing
from authz.engine.types import SubjectKind
from authz.errors import AccessRequestError, AlreadyReported, BadRequest, MethodNotAllowed
from authz.services.sessions import adopt_plan
from authz.wire import Batch, Semantic
from authz.work import Look, Work, run
from governance.kernel import strict_json
from governance.kernel.api import PROBLEM, problem
from governance.kernel.errors import GovernanceError, Invalid, NotFound, NotSignedIn, Unavailable
from registry.identity import tokens

log = logging.getLogger(__name__)

JSON = "application/json"
BARE = "bare"
# The addresses whose answers are timed: what a call waits for.
DECIDING = frozenset({EVALUATION, EVALUATIONS})

Json = Any
Read = TypeVar("Read")
Reply = tuple[int, dict[str, str], bytes]

_as_json = json.JSONEncoder(separators=(",", ":")).encode
_REQUEST_ID = re.compile(r"[\x20-\x7e]{1,128}")
_DECISION = re.compile(r"/api/v1/decisions/([0-9a-f-]{36})(/outcome|/proof)?")
TEXT = "text/plain; charset=utf-8"


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
    """What is answered, before it becomes bytes: a text as it is, the rest as JSON."""

    body: Json
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Operation = Callable[[Call], Work[Told]]


def answer(method: str, path: str, headers: Mapping[str, str], raw_body: bytes, peer: str) -> Reply:
    """The status, headers and body that answer a request."""
    return run(answering(method, path, headers, raw_body, peer), recorder.record)


def answering(
    method: str, path: str, headers: Mapping[str, str], raw_body: bytes, peer: str
) -> Work[Reply]:
    """`answer` as work: what it waits for is up to whoever does it."""
    call = Call(method, path, headers, raw_body, peer)
    began = time.perf_counter()
    try:
        told = yield from _operation(call)(call)
    except GovernanceError as error:
        told = _problem(error)
    except Error:
        told = _problem(Unavailable())
    sent = {"Content-Type": JSON, "Cache-Control": "no-store", **told.headers}
    request_id = call.header("x-request-id")
    if _REQUEST_ID.fullmatch(request_id):
        sent["X-Request-ID"] = request_id
    if path in DECIDING or ext_authz.is_asked(path):
        meters.answered(told.status, time.perf_counter() - began)
    content = told.body if isinstance(told.body, str) else _as_json(told.body)
    return told.status, sent, content.encode()


def broken() -> Reply:
    """The answer where something went wrong that nobody foresaw: no decision either."""
    detail = "Something went wrong here, so there is no decision. Do not go on."
    body = problem(status_code=500, code="error", detail=detail)
    headers = {"Content-Type": PROBLEM, "Cache-Control": "no-store"}
    return 500, headers, _as_json(body).encode()


def _problem(error: GovernanceError) -> Told:
    more = {"errors": error.fields} if error.fields else {}
    body = problem(status_code=error.status, code=error.code, detail=error.message, **more)
    headers = {"Content-Type": PROBLEM}
    if isinstance(error, AccessRequestError):
        body["type"] = error.problem_type
    if isinstance(error, NotSignedIn):
        headers["WWW-Authenticate"] = tokens.challenge(error)
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allowed)
    return Told(body, error.status, headers)


def _operation(call: Call) -> Operation:
    if ext_authz.is_asked(call.path):
        # A proxy may ask by whatever method it was asked.
        return _proxied
    methods = _methods(call.path)
    operation = methods.get(call.method)
    if operation is None:
        raise MethodNotAllowed(allowed=tuple(methods))
    return operation


def _methods(path: str) -> Mapping[str, Operation]:
    if path in _FIXED:
        return _FIXED[path]
    if of_requests := access_requests.methods(path):
        return dict.fromkeys(of_requests, _at_once(_of_request))
    of_sessions = sessions.methods(path)
    if of_sessions:
        return dict.fromkeys(of_sessions, _at_once(_in_session))
    if of_results := results.methods(path):
        return dict.fromkeys(of_results, _at_once(_of_result))
    if leases.reference_in(path):
        return {"POST": _at_once(_lease)}
    found = _DECISION.fullmatch(path)
    if not found:
        raise NotFound()
    return _OF_DECISION[found[2]]


def _at_once(told: Callable[[Call], Told]) -> Operation:
    """An operation that decides nothing: one look, and it is told."""

    def operation(call: Call) -> Work[Told]:
        found: Told = yield Look(partial(told, call))
        return found

    return operation


# Decisions


def _evaluate(call: Call) -> Work[Told]:
    caller, ask = yield Look(partial(_asked, call, wire.read_evaluation))
    ask = _with_retry(call, ask, caller)
    given = yield from _one(ask, caller)
    return Told(present.evaluation(given, bare=call.bare))


def _with_retry(call: Call, ask: Ask, caller: Caller) -> Ask:
    """The question with the caller's key for asking it again, if it sent one."""
    key = call.header("idempotency-key")
    if not key:
        return ask
    if not _REQUEST_ID.fullmatch(key):
        raise BadRequest("Idempotency-Key must be 1 to 128 printable ASCII characters.")
    said = f"{caller.key}\n{key}".encode()
    # What a token stands for is part of the question, as if it stood in the body.
    token = caller.token
    stands_for = f"{token.user} {token.delegation}".strip() if token else ""
    asked = hashlib.sha256(stands_for.encode() + call.body).hexdigest()
    digests = hashlib.sha256(said).hexdigest(), asked
    return replace(ask, retry=digests)


def _evaluate_many(call: Call) -> Work[Told]:
    if call.header("idempotency-key"):
        raise BadRequest("Idempotency-Key is for one evaluation. Ask each one by itself.")
    caller, asked = yield Look(partial(_asked, call, wire.read_evaluations))
    if isinstance(asked, Ask):
        given = yield from _one(asked, caller)
        return Told(present.evaluation(given, bare=call.bare))
    if asked.semantic is Semantic.EXECUTE_ALL:
        return Told({"evaluations": (yield from _all(asked, caller, call.bare))})
    return Told({"evaluations": (yield from _until(asked, caller, call.bare))})


def _one(ask: Ask, caller: Caller) -> Work[Answer]:
    (given,) = yield from _decided([ask], caller)
    return given


def _decided(asks: Sequence[Ask], caller: Caller) -> Work[list[Answer]]:
    if any(ask.plan is not None for ask in asks):
        yield Look(partial(_adopt_plans, asks, caller))
    given = yield from deciding(asks, caller)
    yield Look(partial(_note_strangers, given, caller))
    return given


def _adopt_plans(asks: Sequence[Ask], caller: Caller) -> None:
    for ask in asks:
        adopt_plan(ask, caller)


def _note_strangers(given: Sequence[Answer], caller: Caller) -> None:
    for each in given:
        strangers.note_unknown_agent(each, caller)


def _all(batch: Batch, caller: Caller, bare: bool) -> Work[list[Json]]:
    """Every question in one transaction, then those that could not be read."""
    asks = [item for item in batch.items if isinstance(item, Ask)]
    given = iter((yield from _decided(asks, caller)) if asks else [])
    told: list[Json] = []
    for item in batch.items:
        if isinstance(item, BadRequest):
            told.append((yield from _unreadable(item, caller, bare)))
        else:
            told.append(present.evaluation(next(given), bare=bare))
    return told


def _until(batch: Batch, caller: Caller, bare: bool) -> Work[list[Json]]:
    """One question after the other, until the answer that ends the batch."""
    told: list[Json] = []
    for item in batch.items:
        if isinstance(item, BadRequest):
            told.append((yield from _unreadable(item, caller, bare)))
        else:
            given = yield from _one(item, caller)
            told.append(present.evaluation(given, bare=bare))
        if batch.semantic.ends_at(told[-1]["decision"]):
            break
    return told


def _unreadable(error: BadRequest, caller: Caller, bare: bool) -> Work[Json]:
    refused = yield from _refusing_unreadable(caller)
    return present.unreadable(refused, error, bare=bare)


def _refusing_unreadable(caller: Caller) -> Work[Answer]:
    """A denial that is answered is recorded, also of what was no question."""
    nothing = Ask(kind=SubjectKind.AGENT, tool="")
    return (yield from refusing(nothing, caller, refusals.MALFORMED))


def _proxied(call: Call) -> Work[Told]:
    caller = yield Look(partial(_caller, call))
    try:
        ask = ext_authz.read(call.headers, call.body, caller)
    except Invalid as error:
        refused = yield from _refusing_unreadable(caller)
        return Told(*ext_authz.unreadable(refused, error.message))
    return Told(*ext_authz.told((yield from _one(ask, caller))))


def _hooked(call: Call) -> Work[Told]:
    """A coding agent's hook, for which anything but 200 may be a reason to go on.

    So nothing leaves here as an error, what nobody foresaw neither.
    """
    event: hooks.Event | None = None
    try:
        caller = yield Look(partial(_caller, call))
        event = hooks.read(call.body)
        return Told((yield from _of_hook(event, caller)))
    except Exception as error:
        why = _why_no_answer(error)
    if event is None or event.before:
        return Told(hooks.denied(f"Muster did not decide: {why}"))
    return Told(hooks.unreported(why))


def _of_hook(event: hooks.Event, caller: Caller) -> Work[Json]:
    ask = hooks.question(event, caller)
    given = yield from _one(ask, caller)
    if again := hooks.released(ask, given, caller):
        given = yield from _one(again, caller)
    if event.before:
        return hooks.told(event, given)
    return (yield Look(partial(_hook_reported, event, given, caller)))


def _why_no_answer(error: Exception) -> str:
    if isinstance(error, GovernanceError):
        return error.message
    if not isinstance(error, Error):
        log.error("A hook could not be answered.", exc_info=error)
    return Unavailable().message


def _hook_reported(event: hooks.Event, given: Answer, caller: Caller) -> Json:
    if why := hooks.refusal(event, given):
        return hooks.unreported(why)
    report = hooks.report_of(event)
    # A hook that is set up twice reports twice.
    with suppress(AlreadyReported):
        outcomes.report_outcome(decision_id=given.id, caller=caller, report=report)
    return hooks.noted(event, given)


# Sessions


def _in_session(call: Call) -> Told:
    operation = sessions.methods(call.path)[call.method]
    bodiless = call.method == "GET" or call.path.endswith("/end")
    caller, body = (_caller(call), None) if bodiless else _asked(call, _as_sent)
    status, body = operation(sessions.session_of(call.path), body, caller)
    return Told(body, status)


def _as_sent(body: Json) -> Json:
    return body


# Answers to delegations


def _of_result(call: Call) -> Told:
    operation = results.methods(call.path)[call.method]
    caller, body = (_caller(call), None) if call.method == "GET" else _asked(call, _as_sent)
    return Told(operation(results.delegation_of(call.path), body, caller))


# Credentials


def _lease(call: Call) -> Told:
    caller, body = _asked(call, _as_sent) if call.body else (_caller(call), {})
    status, told, headers = leases.give(leases.reference_in(call.path), body, caller)
    return Told(told, status, headers)


# Access requests


def _of_request(call: Call) -> Told:
    operation = access_requests.methods(call.path)[call.method]
    if call.body:
        caller, body = _asked(call, _as_sent)
    else:
        caller, body = _caller(call), None
    status, told, headers = operation(
        access_requests.request_of(call.path), body, caller, call.header("idempotency-key")
    )
    return Told(told, status, headers)


def _search(call: Call) -> Told:
    caller, body = _asked(call, _as_sent)
    return Told(search.found(call.path, body, caller, bare=call.bare))


# Afterwards


def _report(call: Call) -> Told:
    caller, report = _asked(call, outcomes.read_report)
    reported = outcomes.report_outcome(decision_id=_decision_id(call), caller=caller, report=report)
    return Told({"outcome_id": str(reported.record), "decision_id": str(reported.decision)}, 201)


def _show(call: Call) -> Told:
    caller = _caller(call)
    return Told(outcomes.show_decision(decision_id=_decision_id(call), caller=caller))


def _prove(call: Call) -> Told:
    caller = _caller(call)
    proof = outcomes.prove_decision(decision_id=_decision_id(call), caller=caller)
    return Told(proof, headers={"Content-Type": TEXT})


def _decision_id(call: Call) -> UUID:
    found = _DECISION.fullmatch(call.path)
    try:
        return UUID(found[1] if found else "")
    except ValueError as error:
        raise NotFound() from error


# Who asks, and how


def _asked(call: Call, read: Callable[[Json], Read]) -> tuple[Caller, Read]:
    """The authenticated caller and what the body says; it must be JSON and say so."""
    caller = _caller(call)
    if not call.body:
        raise BadRequest("The body is empty.", code="empty_body")
    media_type = call.header("content-type").partition(";")[0].strip().lower()
    if media_type != JSON:
        raise BadRequest(f"Send {JSON}.", code="content_type")
    return caller, read(strict_json.loads(call.body))


def _caller(call: Call) -> Caller:
    try:
        token = tokens.authenticate(call.header("authorization"))
    except NotSignedIn:
        strangers.note_unauthenticated(call.peer)
        raise
    return caller_of(token)


def _metadata(_: Call) -> Told:
    return Told(metadata.document(), headers={"Cache-Control": "public, max-age=300"})


_FIXED: Mapping[str, Mapping[str, Operation]] = {
    EVALUATION: {"POST": _evaluate},
    EVALUATIONS: {"POST": _evaluate_many},
    METADATA: {"GET": _at_once(_metadata)},
    hooks.PATH: {"POST": _hooked},
    **{path: {"POST": _at_once(_search)} for path in search.PATHS},
}
_OF_DECISION: Mapping[str | None, Mapping[str, Operation]] = {
    None: {"GET": _at_once(_show)},
    "/outcome": {"POST": _at_once(_report)},
    "/proof": {"GET": _at_once(_prove)},
}
