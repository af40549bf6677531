"""That someone searched, on the record: who, for what, and how much was found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from audit import services as audit
from audit.enums import Kind
from audit.errors import NotRecordable
from audit.leaf import instant
from audit.redactor import redact
from authz.search.facts import Known
from authz.search.pages import Found, Place
from authz.search.questions import PLACEHOLDER

SEARCHED = "search.answered"

Json = Any


def record_search(known: Known, place: Place, found: Found) -> None:
    """Record a page that was found; without a record it is not told."""
    judged = {
        "judged": found.judged,
        "found": len(found.results),
        "more": bool(found.next_token),
        "continued": bool(known.question.token),
        "limit": place.limit,
    }
    _record(known, SEARCHED, judged)


def record_refusal(known: Known, code: str) -> None:
    """Record that someone asked what they may not ask."""
    _record(known, code, {})


def _record(known: Known, code: str, judged: Mapping[str, Json]) -> None:
    try:
        _write(_entry(known, code, judged))
    except NotRecordable:
        # Something that may not be written down came through: write none of what was sent.
        _write(_bare_entry(known, code, judged))


def _write(entry: audit.Entry) -> None:
    with transaction.atomic():
        audit.record(**entry)


def _entry(known: Known, code: str, judged: Mapping[str, Json]) -> audit.Entry:
    """What people are called goes into the payload alone."""
    bare = _bare_entry(known, code, judged)
    return {
        **bare,
        "tool": "" if known.ask.tool == PLACEHOLDER else known.ask.tool,
        "resource": _resource(known),
        "session": known.ask.session,
        "asked": {**bare["asked"], "as": known.ask.kind, "subject_type": known.ask.subject_type},
        "payload": _payload(known),
        "salts": known.clean.salts,
    }


def _bare_entry(known: Known, code: str, judged: Mapping[str, Json]) -> audit.Entry:
    """Nothing in this is as it was sent."""
    request, caller = known.resolved.request, known.caller
    asked: dict[str, Json] = {
        "did": f"searched_{known.question.searched}s",
        "caller": {"kind": caller.kind, "id": caller.slug},
    }
    if known.clean.secret_path:
        asked["credential_at"] = redact(known.clean.secret_path)
    return {
        "kind": Kind.ACCESS,
        "actor": caller.slug,
        "agent": request.agent,
        "user": request.user or request.person,
        "gateway": request.gateway,
        "code": code,
        "asked": asked,
        "judged": {"now": instant(known.now), **judged},
    }


def _payload(known: Known) -> dict[str, Json]:
    request = known.resolved.request
    claimed = {
        "agent": request.agent_claimed,
        "person": request.person_claimed,
        "user": request.user_claimed,
        "subject_properties": dict(request.subject_properties),
        "resource_properties": dict(request.resource_properties),
    }
    given = {name: value for name, value in claimed.items() if value not in ("", {}, PLACEHOLDER)}
    kept = {name: value for name, value in known.clean.payload.items() if value != {}}
    return kept | ({"claimed": given} if given else {})


def _resource(known: Known) -> str:
    kind, name = known.ask.resource_type, known.ask.resource_id
    if not kind or name in ("", PLACEHOLDER):
        return kind
    shown = f"{kind}/{redact(name)}"
    if _hides(known) or len(shown.encode()) > audit.MAX_COLUMN_BYTES:
        return f"{kind}/{audit.index_resource(name)}"
    return shown


def _hides(known: Known) -> bool:
    """Could resource ids be personal here, or a secret? An action search asks of every tool."""
    world, tool = known.world, known.ask.tool
    tools = [world.tools[tool]] if tool in world.tools else list(world.tools.values())
    systems = {known.ask.resource_type, *(str(each["system"]) for each in tools)}
    personal = any(world.systems[slug]["personal_ids"] for slug in systems & world.systems.keys())
    return personal or any(each["resource"] in (each.get("secret") or ()) for each in tools)
