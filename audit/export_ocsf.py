"""An entry as an event of OCSF 1.8.0: API Activity, with the profiles for AI and for controls.

`raw_data` is the body as it was hashed, so that whoever holds the event can compute the leaf again.
What the schema has no place for stands under `unmapped`; there as well, until the release that has
it is out, the `ai_agent` of OCSF 1.9. People stand by their pseudonymous ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audit import leaf
from audit.export_cef import delegation_of, givers_of, name_of
from audit.models import Record
from governance.kernel.version import VERSION

SCHEMA = "1.8.0"
CLASS = 6003
PROFILES = ("ai_operation", "security_control")
OTHER = 99
READ, UPDATE = 2, 3
CAPTIONS = {READ: "Read", UPDATE: "Update", OTHER: "Other"}
AGENT_ROLE = 4
LOGGED = 17
# Of effects: severity, status, action, disposition, each with its caption.
Said = tuple[int, str]
OF_EFFECT: dict[str, tuple[Said, Said, Said, Said]] = {
    "allow": ((1, "Informational"), (1, "Success"), (1, "Allowed"), (1, "Allowed")),
    "deny": ((3, "Medium"), (2, "Failure"), (2, "Denied"), (2, "Blocked")),
    "hold": ((2, "Low"), (OTHER, "Held"), (OTHER, "Held"), (14, "Delayed")),
}
RECORDED = ((1, "Informational"), (1, "Success"), (OTHER, "Recorded"), (LOGGED, "Logged"))
# The columns that stand under a name of OCSF's nowhere, or under one that says less.
UNMAPPED = ("kind", "check", "tier", "mode", "gateway", "agent", "tool", "resource", "version")


def event(record: Record, said: Mapping[str, Any], index: int | None = None) -> dict[str, Any]:
    """The event. `said` is what the body says, `index` the place in the log."""
    activity = _activity(said)
    name = name_of(record, said)
    return {
        "activity_id": activity,
        "activity_name": CAPTIONS[activity] if activity != OTHER else name,
        "category_uid": 6,
        "category_name": "Application Activity",
        "class_uid": CLASS,
        "class_name": "API Activity",
        "type_uid": CLASS * 100 + activity,
        "type_name": f"API Activity: {CAPTIONS[activity]}",
        "time": int(record.at.timestamp() * 1000),
        "message": name,
        **_outcome(record),
        "metadata": _metadata(record, index),
        "actor": _actor(record, said),
        "api": {
            "operation": record.tool or name,
            "service": {"name": "Muster"},
            "request": {"uid": str(record.id)},
        },
        "src_endpoint": {"svc_name": record.gateway or record.agent or record.actor or "muster"},
        **_resources(record),
        **_message_context(record),
        **_raw(record),
        "unmapped": _unmapped(record) | _chain(said),
    }


def _activity(said: Mapping[str, Any]) -> int:
    judged = said.get("judged")
    tiers = judged if isinstance(judged, dict) else {}
    if tiers.get("writes"):
        return UPDATE
    return READ if tiers.get("reads") else OTHER


def _outcome(record: Record) -> dict[str, Any]:
    severity, status, action, disposition = OF_EFFECT.get(record.effect, RECORDED)
    if record.effect and record.mode != "enforce":
        # It was judged and went on, or was asked for without being done.
        action, disposition = (OTHER, record.mode or "recorded"), (LOGGED, "Logged")
    found: dict[str, Any] = {"status_code": record.code} if record.code else {}
    for name, (number, caption) in (
        ("severity", severity),
        ("status", status),
        ("action", action),
        ("disposition", disposition),
    ):
        found |= {f"{name}_id": number, name: caption}
    return found | ({"status_detail": record.deciding_check} if record.deciding_check else {})


def _metadata(record: Record, index: int | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "version": SCHEMA,
        "profiles": list(PROFILES),
        "product": {"name": "Muster", "vendor_name": "Muster", "version": VERSION},
        "uid": str(record.id),
        "log_name": "audit.record",
        "event_code": record.code or record.kind,
        "original_time": leaf.instant(record.at),
    }
    if index is not None:
        found["sequence"] = index
    correlated = record.session or (str(record.parent) if record.parent else "")
    return found | ({"correlation_uid": correlated} if correlated else {})


def _actor(record: Record, said: Mapping[str, Any]) -> dict[str, Any]:
    who = record.agent or record.actor or "muster"
    found: dict[str, Any] = {"app_uid": who, "app_name": who}
    if person := record.user or (record.actor if record.actor.startswith("p_") else ""):
        found["user"] = {"uid": person, "type_id": 1, "type": "User"}
    if record.session:
        found["session"] = {"uid": record.session}
    if record.effect:
        found["authorizations"] = _authorizations(record, said)
    return found


def _authorizations(record: Record, said: Mapping[str, Any]) -> list[dict[str, Any]]:
    judged = said.get("judged")
    named = judged.get("policies") if isinstance(judged, dict) else None
    policies = [str(each) for each in named] if isinstance(named, list) else []
    if not policies:
        return [{"decision": record.effect}]
    return [
        {"decision": record.effect, "policy": {"uid": each, "is_applied": True}}
        for each in policies
    ]


def _resources(record: Record) -> dict[str, Any]:
    if not record.resource:
        return {}
    kind, _, named = record.resource.partition("/")
    return {"resources": [{"uid": record.resource, "name": named or kind, "type": kind}]}


def _message_context(record: Record) -> dict[str, Any]:
    """Only where an agent acted: what the AI profile of 1.8.0 has for it."""
    if not record.agent:
        return {}
    context: dict[str, Any] = {
        "ai_role_id": AGENT_ROLE,
        "ai_role": "Agent",
        "application": {"uid": record.agent, "name": record.agent},
    }
    return {"message_context": context | ({"uid": record.session} if record.session else {})}


def _raw(record: Record) -> dict[str, Any]:
    body = bytes(record.body)
    return {
        "raw_data": body.decode(errors="replace"),
        "raw_data_size": len(body),
    }


def _chain(said: Mapping[str, Any]) -> dict[str, Any]:
    """Through whose hands a call came: the user and the agent that called stand in the actor."""
    found: dict[str, Any] = {"chain": givers_of(said), "delegation": delegation_of(said)}
    return {name: value for name, value in found.items() if value}


def _unmapped(record: Record) -> dict[str, Any]:
    columns = {
        name: getattr(record, "deciding_check" if name == "check" else name) for name in UNMAPPED
    }
    found = {name: value for name, value in columns.items() if value != ""}
    found |= {"leaf": bytes(record.leaf).hex(), "actor": record.actor}
    if record.parent:
        found["parent"] = str(record.parent)
    if record.agent:
        agent = {"uid": record.agent, "name": record.agent, "instance_uid": record.session}
        found["ai_agent"] = {key: value for key, value in agent.items() if value}
    return found
