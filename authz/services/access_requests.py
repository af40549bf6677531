"""Access requests: a caller asks that a human decide about what was held.

The hold waits already; the request is the caller's handle on it. Repeating a request under its
key is the same request, whatever happened in between.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from audit import leaf
from audit import services as audit
from audit.enums import Kind
from audit.errors import NotRecordable
from audit.payloads import canonical
from authz import access_tasks, outcomes, snapshot, timekeeper
from authz.asks import Ask, Caller
from authz.cleaning import clean
from authz.engine.types import Mode
from authz.engine.walk import judge
from authz.errors import (
    BadRequest,
    CallbackNotRegistered,
    DuplicateRequest,
    ExpiredDenial,
    HoldDecided,
    InvalidBinding,
    InvalidTaskState,
    NotRequestable,
    UnknownDecision,
    UnknownTask,
)
from authz.holding import hold_of
from authz.models import AccessRequest, Hold, RequestedHold
from authz.services import holds
from authz.simulate import fresh
from governance.kernel import clock, keys
from registry.models import Client

MAX_ITEMS = 100
MAX_KEY = 255
MAX_STATE = 512
MAX_WORDS = 4000

Json = Any
Object = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One item: what is asked for, and the decision that it was denied by."""

    ask: Ask
    resource: Object
    evaluation: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Submission:
    """An access request as it was sent. `raw` is what makes two of them the same."""

    items: tuple[Wanted, ...]
    is_bundle: bool
    raw: Json
    justification: str = ""
    callback: str = ""
    state: str = ""
    events: tuple[str, ...] = access_tasks.EVENTS


def submit(*, submission: Submission, caller: Caller, key: str = "") -> AccessRequest:
    """Make an access request of held decisions, or find the one that was made under this key."""
    outcomes.check_token(caller)
    body = _body_of(submission)
    if known := _known(caller, key, body):
        return known
    waiting = [_bound(wanted, caller) for wanted in submission.items]
    _check_callback(submission, caller)
    try:
        with transaction.atomic():
            return _make(submission, waiting, caller, key, body)
    except IntegrityError:
        # Someone was quicker with the same key.
        if known := _known(caller, key, body):
            return known
        raise


def _body_of(submission: Submission) -> str:
    """A keyed digest: what was sent holds parameters, which are kept in no clear column."""
    try:
        raw = canonical(submission.raw)
    except NotRecordable as error:
        raise BadRequest(error.message) from error
    return hmac.new(keys.derived("access request"), raw, hashlib.sha256).hexdigest()


def _known(caller: Caller, key: str, body: str) -> AccessRequest | None:
    if not key:
        return None
    found = AccessRequest.objects.filter(
        caller_kind=caller.kind, caller=caller.slug, key=key
    ).first()
    if found and found.body != body:
        raise DuplicateRequest()
    return found


def _bound(wanted: Wanted, caller: Caller) -> Hold:
    """The hold of the decision that was named, if this is what it was about."""
    hold = _held_by(wanted.evaluation, caller)
    now = timekeeper.now()
    if wanted.expires_at <= now or hold.expires_at <= now:
        raise ExpiredDenial()
    if _digest_of(wanted.ask, caller, now) != hold.digest:
        raise InvalidBinding()
    return hold


def _held_by(evaluation: str, caller: Caller) -> Hold:
    try:
        record = outcomes.decision_of(UUID(evaluation), caller)
    except (ValueError, UnknownDecision) as error:
        raise InvalidBinding("There is no such evaluation, or another caller asked.") from error
    told = leaf.parse_body(bytes(record.body))["settled"].get("hold")
    hold = Hold.objects.filter(pk=told["id"]).first() if told else None
    if hold is None:
        raise NotRequestable()
    return hold


def _digest_of(ask: Ask, caller: Caller, now: datetime) -> str:
    tools = _world()["tools"]
    if ask.tool not in tools:
        raise InvalidBinding()
    resolved = fresh(clean(ask, tools[ask.tool].get("secret") or ()), caller)
    known = resolved.snapshot.world.document["tools"]
    if resolved.snapshot.agent is None or ask.tool not in known:
        raise InvalidBinding()
    decision = judge(resolved.request, resolved.snapshot, now, Mode.SIMULATE)
    return str(hold_of(resolved, decision, now)["digest"])


def _world() -> Object:
    """The world as this process holds it: enough to know which parameters are secret."""
    held = snapshot.load([snapshot.WORLD])[snapshot.WORLD].slice
    return held.document if held else {"tools": {}}


def _check_callback(submission: Submission, caller: Caller) -> None:
    if not submission.callback:
        return
    registered = Client.objects.filter(**{f"{caller.kind}__slug": caller.slug}).values_list(
        "callback_url", flat=True
    )
    if submission.callback != registered.first():
        raise CallbackNotRegistered()


def _make(
    submission: Submission, waiting: Sequence[Hold], caller: Caller, key: str, body: str
) -> AccessRequest:
    if len({hold.pk for hold in waiting}) != len(waiting):
        raise InvalidBinding("Each item names a decision of its own.")
    request = AccessRequest.objects.create(
        id=clock.uuid7(timekeeper.now()),
        caller_kind=caller.kind,
        caller=caller.slug,
        key=key or None,
        body=body,
        made_at=Now(),
        is_bundle=submission.is_bundle,
        callback=bool(submission.callback),
        state=submission.state,
        events=list(submission.events),
    )
    for place, (wanted, hold) in enumerate(zip(submission.items, waiting, strict=True)):
        # A personal id is kept as its keyed hash, as in the record.
        RequestedHold.objects.create(request=request, hold=hold, place=place)
        _record(request, hold, caller, submission.justification, wanted)
    return request


def _record(
    request: AccessRequest, hold: Hold, caller: Caller, justification: str, wanted: Wanted
) -> None:
    audit.record(
        kind=Kind.HOLD,
        actor=caller.slug,
        agent=hold.agent,
        user=hold.user,
        gateway=caller.slug if caller.is_gateway else "",
        tool=hold.tool,
        tier=hold.tier,
        session=hold.session,
        parent=hold.id,
        code="hold.requested",
        asked={
            "did": "hold_requested",
            "request": str(request.pk),
            "hold": str(hold.pk),
            "evaluation": wanted.evaluation,
        },
        payload={"justification": justification} if justification else {},
    )


def show(*, request_id: UUID, caller: Caller) -> AccessRequest:
    """An access request of this caller. Raises `UnknownTask`."""
    outcomes.check_token(caller)
    found = AccessRequest.objects.filter(
        pk=request_id, caller_kind=caller.kind, caller=caller.slug
    ).first()
    if found is None:
        raise UnknownTask()
    return found


def cancel(*, request_id: UUID, caller: Caller, reason: str = "") -> AccessRequest:
    """Take back what still waits of a request. Raises `InvalidTaskState` where nothing does."""
    request = show(request_id=request_id, caller=caller)
    cancelled = [
        _cancelled(item.hold, caller, reason)
        for item in access_tasks.items_of(request)
        if access_tasks.status_of_hold(item.hold) == access_tasks.PENDING
    ]
    if not any(cancelled):
        raise InvalidTaskState()
    return request


def _cancelled(hold: Hold, caller: Caller, reason: str) -> bool:
    try:
        holds.cancel_hold(hold_id=hold.pk, caller=caller, reason=reason)
    except HoldDecided:
        return False
    return True


# Reading what was sent


def read_submission(body: Json, read: Any) -> Submission:
    """The access request in a body; `read` makes a question of an evaluation's members."""
    if not isinstance(body, dict):
        raise BadRequest("The body must be an object.")
    is_bundle = "items" in body
    if is_bundle and ("resource" in body or "action" in body):
        raise BadRequest("Where there are items, resource and action stand in them.")
    items = _list_of_items(body) if is_bundle else [body]
    callback = _member(body, "callback")
    events = callback.get("events", list(access_tasks.EVENTS))
    if not isinstance(events, list) or not all(each in access_tasks.EVENTS for each in events):
        raise BadRequest(f"callback.events are any of {', '.join(access_tasks.EVENTS)}.")
    context = _member(body, "context")
    return Submission(
        items=tuple(_wanted(body, item, read) for item in items),
        is_bundle=is_bundle,
        raw=body,
        justification=_text(context, "business_justification", MAX_WORDS),
        callback=_text(callback, "endpoint", MAX_STATE),
        state=_text(callback, "state", MAX_STATE),
        events=tuple(dict.fromkeys(events)),
    )


def _list_of_items(body: Object) -> list[Object]:
    items = body["items"]
    if not isinstance(items, list) or not 0 < len(items) <= MAX_ITEMS:
        raise BadRequest(f"items must be an array of 1 to {MAX_ITEMS} items.")
    if not all(isinstance(item, dict) for item in items):
        raise BadRequest("An item must be an object.")
    return items


def _wanted(body: Object, item: Object, read: Any) -> Wanted:
    asked = {name: body[name] for name in ("subject", "context") if name in body}
    asked |= {name: item[name] for name in ("resource", "action") if name in item}
    denial = item.get("denial", body.get("denial"))
    if not isinstance(denial, dict):
        raise InvalidBinding("denial is missing. Send back what the decision said.")
    return Wanted(
        ask=read(asked),
        resource=_member(item, "resource"),
        evaluation=_evaluation(denial),
        expires_at=_instant(denial.get("expires_at")),
    )


def _evaluation(denial: Object) -> str:
    value = denial.get("evaluation_id")
    if not isinstance(value, str) or not value:
        raise InvalidBinding("denial.evaluation_id is missing. Send it as the decision said it.")
    return value


def _instant(value: Json) -> datetime:
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise BadRequest("denial.expires_at must be a time (RFC 3339).") from error
    if found.tzinfo is None:
        raise BadRequest("denial.expires_at must say its offset, such as Z.")
    return found


def _member(whole: Object, name: str) -> Object:
    value = whole.get(name, {})
    if not isinstance(value, dict):
        raise BadRequest(f"{name} must be an object.")
    return value


def _text(whole: Object, name: str, longest: int) -> str:
    value = whole.get(name, "")
    if not isinstance(value, str) or len(value) > longest or "\0" in value:
        raise BadRequest(f"{name} must be a text of at most {longest} characters.")
    return value


def read_key(value: str) -> str:
    """The Idempotency-Key that came, "" for none."""
    if len(value) > MAX_KEY or not value.isascii() or not value.isprintable():
        raise BadRequest(f"Idempotency-Key is at most {MAX_KEY} printable ASCII characters.")
    return value
