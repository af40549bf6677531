"""What Muster answers, read strictly: what is not exactly an answer is `Unavailable`.

Everything here is pure. A reader takes bytes or parsed JSON and returns a frozen object, or raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

from . import strict_json
from .errors import Unavailable
from .questions import Question

Json = Any
Object = Mapping[str, Json]
Kind = TypeVar("Kind")

ALLOW, DENY, HOLD = "allow", "deny", "hold"
EFFECTS = (ALLOW, DENY, HOLD)
PENDING, APPROVED = "pending", "approved"
STATUSES = (PENDING, APPROVED, "denied", "expired", "cancelled", "failed", "partial")


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """Where a human can be asked about a held call, until `expires_at` (ISO 8601).

    `link` is the page on which people decide. `approval` is the id of one that stands already.
    """

    hold: str
    expires_at: str
    link: str
    approval: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """The agent is in observe mode: what would have been decided."""

    would: str
    check: str
    code: str


@dataclass(frozen=True, slots=True)
class Decision:
    """One answer. It is true exactly where the call may go on.

    `obligations`, `remedies` and `limits` are as docs/reference/decision-api.md tells them;
    `classification` is the tier of what comes of the call, "" where none is known.
    """

    allowed: bool
    effect: str
    code: str
    message: str
    check: str
    decision_id: str
    question: Question = field(repr=False)
    obligations: tuple[Object, ...] = ()
    remedies: tuple[Object, ...] = ()
    limits: tuple[Object, ...] = ()
    classification: str = ""
    access_request: AccessRequest | None = None
    trust: str = ""
    """Of what comes of the call: `trusted`, `untrusted`, "" where it is not told."""
    observe: Observed | None = None
    receipt: Object | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return self.allowed


@dataclass(frozen=True, slots=True)
class Task:
    """What has become of asking a human. `approval` is set where they said yes.

    `parameters` are those that were approved, where somebody changed them.
    """

    task_id: str
    status: str
    description: str = ""
    approval: str = ""
    parameters: Object | None = None

    @property
    def pending(self) -> bool:
        return self.status == PENDING


@dataclass(frozen=True, slots=True)
class Run:
    """A session as Muster tells it: what counts as read in it now."""

    session_id: str
    agent: str
    clean: bool
    label: str
    tainted: bool
    categories: tuple[str, ...]
    plan: Object | None
    expires_at: str
    ended_at: str


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and for how many seconds from its issue it is good."""

    value: str = field(repr=False)
    expires_in: int


# JSON


def parse(content: bytes) -> Json:
    """JSON, read so that two readers cannot disagree about it.

    >>> parse(b'{"decision": false}')
    {'decision': False}
    >>> parse(b'{"decision": false, "decision": true}')
    Traceback (most recent call last):
    ...
    muster_client.errors.Unavailable: Muster's answer is not JSON: a name stands there twice.
    """
    try:
        return strict_json.read(content)
    except ValueError as error:
        raise Unavailable(f"Muster's answer is not JSON: {error}.") from error


def read_object(value: Json, where: str) -> Object:
    if not isinstance(value, dict):
        raise Unavailable(f"Muster's answer is malformed: {where} is no object.")
    return value


def _get(whole: Object, name: str, kind: type[Kind], default: Kind | None = None) -> Kind:
    """A member of exactly this type: `True` is no number here, and 1 is not true."""
    value = whole.get(name, default)
    if type(value) is not kind:
        raise Unavailable(f"Muster's answer is malformed: {name} is no {kind.__name__}.")
    return value


def _uuid(whole: Object, name: str) -> str:
    value = _get(whole, name, str)
    try:
        return str(UUID(value))
    except ValueError as error:
        raise Unavailable(f"Muster's answer is malformed: {name} is no id.") from error


def _objects(whole: Object, name: str) -> tuple[Object, ...]:
    return tuple(read_object(each, name) for each in _get(whole, name, list, []))


# What is read


def read_decision(body: Json, question: Question, base_url: str) -> Decision:
    """The decision in an answer of `/access/v1/evaluation`. Raises `Unavailable`."""
    whole = read_object(body, "it")
    allowed = _get(whole, "decision", bool)
    context = read_object(whole.get("context"), "context")
    effect = _get(context, "effect", str)
    if effect not in EFFECTS or allowed is not (effect == ALLOW):
        raise Unavailable("Muster's answer is malformed: decision and effect disagree.")
    receipt = context.get("receipt")
    return Decision(
        allowed=allowed,
        effect=effect,
        code=_get(context, "code", str),
        message=_get(context, "message", str),
        check=_get(context, "check", str),
        decision_id=_uuid(context, "decision_id"),
        question=question,
        obligations=_obligations(context),
        remedies=_objects(context, "remedies"),
        limits=_objects(context, "limits"),
        classification=_get(context, "classification", str, ""),
        trust=_get(context, "trust", str, ""),
        access_request=_access_request(context, base_url),
        observe=_observed(context),
        receipt=None if receipt is None else read_object(receipt, "receipt"),
    )


def _obligations(context: Object) -> tuple[Object, ...]:
    """They must be there: an allow that has lost its obligations is none."""
    if "obligations" not in context:
        raise Unavailable("Muster's answer is malformed: obligations are missing.")
    found = _objects(context, "obligations")
    for each in found:
        _get(each, "kind", str)
    return found


def _access_request(context: Object, base_url: str) -> AccessRequest | None:
    if context.get("access_request") is None:
        return None
    told = read_object(context["access_request"], "access_request")
    standing = read_object(told.get("approval", {}), "approval")
    hold = _uuid(told, "hold")
    return AccessRequest(
        hold=hold,
        expires_at=_get(told, "expires_at", str),
        link=f"{base_url}/inbox/?item=hold:{hold}",
        approval=_uuid(standing, "id") if standing else "",
    )


def _observed(context: Object) -> Observed | None:
    if context.get("observe") is None:
        return None
    told = read_object(context["observe"], "observe")
    return Observed(*(_get(told, name, str) for name in ("would", "check", "code")))


def read_task(body: Json) -> Task:
    """The task in an answer about an access request. Raises `Unavailable`."""
    whole = read_object(body, "it")
    told = read_object(whole.get("task"), "task")
    status = _get(told, "status", str)
    if status not in STATUSES:
        raise Unavailable("Muster's answer is malformed: the task has no known status.")
    approval, parameters = _result(whole) if status == APPROVED else ("", None)
    display = read_object(told.get("display", {}), "display")
    return Task(
        task_id=_uuid(told, "id"),
        status=status,
        description=_get(display, "description", str, ""),
        approval=approval,
        parameters=parameters,
    )


def _result(whole: Object) -> tuple[str, Object | None]:
    result = read_object(whole.get("result"), "result")
    approval = _uuid(read_object(result.get("approval"), "approval"), "id")
    if "edited" not in result:
        return approval, None
    edited = read_object(result["edited"], "edited")
    return approval, read_object(edited.get("parameters"), "parameters")


def read_run(body: Json) -> Run:
    """A session. Raises `Unavailable`."""
    told = read_object(body, "it")
    plan, ended = told.get("plan"), told.get("ended_at")
    return Run(
        session_id=_get(told, "session_id", str),
        agent=_get(told, "agent", str),
        clean=_get(told, "clean", bool),
        label=_get(told, "label", str),
        tainted=_get(told, "tainted", bool),
        categories=tuple(map(str, _get(told, "categories", list))),
        plan=None if plan is None else read_object(plan, "plan"),
        expires_at=_get(told, "expires_at", str),
        ended_at="" if ended is None else _get(told, "ended_at", str),
    )


def read_handed(body: Json) -> Json:
    """The value of an extract that was handed over. Raises `Unavailable`."""
    whole = read_object(body, "it")
    if "value" not in whole:
        raise Unavailable("Muster's answer is malformed: value is missing.")
    return whole["value"]


def read_outcome(body: Json) -> str:
    """The id of a report. Raises `Unavailable`."""
    return _uuid(read_object(body, "it"), "outcome_id")


def read_token(body: Json) -> Token:
    """What `/oauth/token` gave. Raises `Unavailable`."""
    told = read_object(body, "it")
    value, kind = _get(told, "access_token", str), _get(told, "token_type", str)
    seconds = _get(told, "expires_in", int)
    if not value.isascii() or not value.isprintable() or " " in value or not value:
        raise Unavailable("Muster's answer is malformed: access_token is no token.")
    if kind.lower() != "bearer" or seconds <= 0:
        raise Unavailable("Muster's answer is malformed: that is no bearer token.")
    return Token(value, seconds)
