"""The session operations of the decision API: a body and a caller, to what is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from authz.asks import Caller
from authz.engine import plans
from authz.errors import BadRequest
from authz.models import FlowSession
from authz.services import sessions
from authz.services.sessions import label_of, reading_before
from authz.timekeeper import now
from authz.wire import read_inputs

PATH = re.compile(
    r"/api/v1/sessions(?:/(?P<id>s-[0-9a-f]{32})(?:/(?P<verb>plan|inputs|extract|end))?)?"
)

Json = Any
Object = Mapping[str, Json]
# From a session's id, a body and a caller to a status and what is told.
Operation = Callable[[str, Json, Caller], tuple[int, Json]]


def methods(path: str) -> Mapping[str, Operation]:
    """What may be done at `path`, by method; nothing where it is no address of a session."""
    found = PATH.fullmatch(path)
    if not found:
        return {}
    if not found["id"]:
        return {"POST": _open}
    return _VERBS.get(found["verb"] or "", {})


def session_of(path: str) -> str:
    """The session that an address names, "" for none."""
    found = PATH.fullmatch(path)
    return (found["id"] or "") if found else ""


def _open(_: str, body: Json, caller: Caller) -> tuple[int, Json]:
    whole = _object(body)
    opened = sessions.open_session(
        agent=_text(whole, "agent"),
        caller=caller,
        plan=_plan(whole) if "plan" in whole else None,
        clean=_flag(whole, "clean"),
    )
    return 201, told(opened)


def _show(session_id: str, _: Json, caller: Caller) -> tuple[int, Json]:
    return 200, told(sessions.show_session(session_id=session_id, caller=caller))


def _declare(session_id: str, body: Json, caller: Caller) -> tuple[int, Json]:
    plan = _plan(_object(body))
    return 200, told(sessions.declare_plan(session_id=session_id, plan=plan, caller=caller))


def _report(session_id: str, body: Json, caller: Caller) -> tuple[int, Json]:
    inputs = read_inputs(_object(body).get("inputs"), "inputs")
    if not inputs:
        raise BadRequest("inputs must be a list of entries that each name a system.")
    return 200, told(sessions.report_inputs(session_id=session_id, inputs=inputs, caller=caller))


def _extract(session_id: str, body: Json, caller: Caller) -> tuple[int, Json]:
    whole = _object(body)
    if "value" not in whole:
        raise BadRequest("value is missing.")
    target, value = sessions.hand_extract(
        session_id=session_id,
        to=_text(whole, "to"),
        name=_text(whole, "extract"),
        value=whole["value"],
        caller=caller,
    )
    return 200, {"value": value, "to": told(target)}


def _end(session_id: str, _: Json, caller: Caller) -> tuple[int, Json]:
    return 200, told(sessions.end_session(session_id=session_id, caller=caller))


_VERBS: Mapping[str, Mapping[str, Operation]] = {
    "": {"GET": _show},
    "plan": {"POST": _declare},
    "inputs": {"POST": _report},
    "extract": {"POST": _extract},
    "end": {"POST": _end},
}


def told(session: FlowSession) -> dict[str, Json]:
    """A session as its callers see it: what counts as read in it now, carried facts included."""
    reading = reading_before(session, now())
    return {
        "session_id": session.id,
        "agent": session.agent.slug,
        "clean": session.is_clean,
        "label": label_of(session, reading),
        "tainted": reading.untrusted,
        "categories": sorted(reading.categories),
        "plan": session.plan,
        "opened_at": session.opened_at.isoformat(),
        "expires_at": session.expires_at.isoformat(),
        "ended_at": session.ended_at.isoformat() if session.ended_at else None,
    }


def _object(body: Json) -> Object:
    if not isinstance(body, dict):
        raise BadRequest("The body must be an object.")
    return body


def _plan(whole: Object) -> Mapping[str, Json]:
    return plans.read_plan(whole.get("plan"))


def _text(whole: Object, name: str) -> str:
    value = whole.get(name, "")
    if not isinstance(value, str):
        raise BadRequest(f"{name} must be a string.")
    return value


def _flag(whole: Object, name: str) -> bool:
    value = whole.get(name, False)
    if not isinstance(value, bool):
        raise BadRequest(f"{name} must be true or false.")
    return value
