"""A judged question as a row of the record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from audit import services as audit
from audit.enums import Kind, Mode
from audit.leaf import instant
from audit.redactor import redact
from authz import engine
from authz.asks import Caller
from authz.cleaning import Clean
from authz.engine.acting import givers_in
from authz.engine.types import Check, Decision, OutsideAnswer, Request, Status
from authz.resolve import Resolved

Json = Any


def row_of(
    *,
    record_id: UUID,
    caller: Caller,
    clean: Clean,
    resolved: Resolved,
    decision: Decision,
    now: datetime,
) -> audit.Row:
    """The row for `audit.append`. What people are called goes into its payload alone."""
    request = resolved.request
    hidden = hides_resources(resolved, decision)
    return audit.prepare_row(
        id=record_id,
        kind=Kind.DECISION,
        actor=caller.slug,
        agent=request.agent,
        user=request.user or request.person,
        gateway=request.gateway,
        tool=request.tool,
        resource=_resource(decision.resource_type, decision.resource_id, hidden),
        tier=decision.classification,
        session=request.session,
        mode=Mode.OBSERVE if decision.observe else Mode.ENFORCE,
        effect=decision.observe.would if decision.observe else decision.effect,
        check=decision.check,
        code=decision.code,
        asked=_asked(request, caller, hidden),
        judged=judged_of(resolved, decision, now, hidden),
        payload=_payload(clean, resolved, decision),
        salts=clean.salts,
    )


def _asked(request: Request, caller: Caller, hidden: bool) -> dict[str, Json]:
    asked: dict[str, Json] = {
        "as": request.kind,
        "agent": request.agent_claimed,
        "caller": {"kind": caller.kind, "id": caller.slug},
        "resource": {
            "type": request.resource_type,
            "id": resource_id_of(request.resource_id, hidden),
        },
        "subject_type": request.subject_type,
    }
    if request.chain:
        asked["chain"] = list(request.chain)
    if request.estimate:
        asked["estimate"] = list(request.estimate)
    if request.untrusted:
        asked["untrusted"] = list(request.untrusted)
    if request.approval:
        asked["approval"] = request.approval
    if request.delegation:
        asked["delegation"] = request.delegation
    if caller.token:
        asked["caller"] |= {"jti": caller.token.jti, "version": caller.token.client_version}
        acting = {name: getattr(caller.token, name) for name in ("user", "grant", "delegation")}
        asked["caller"] |= {name: value for name, value in acting.items() if value}
    return asked | {
        name: value
        for name in ("prompt_digest", "code_reference")
        if (value := getattr(request, name))
    }


def judged_of(
    resolved: Resolved, decision: Decision, now: datetime, hidden: bool
) -> dict[str, Json]:
    """What the record says of the judging: by which facts, through which walk, with what end."""
    agent, tool = resolved.snapshot.agent, _tool(resolved)
    judged: dict[str, Json] = {
        "engine": engine.VERSION,
        "now": instant(now),
        "resource": {
            "type": decision.resource_type,
            "id": resource_id_of(decision.resource_id, hidden),
        },
        "walk": [[step.check, step.status, step.code] for step in decision.walk],
        "policies": list(decision.policies),
        "log_only": list(decision.log_only),
        "flags": list(decision.flags),
        "slices": {key: [held.revision, held.digest] for key, held in resolved.used.items()},
        "tool_version": tool.get("version", 0),
        "pattern": agent.document["pattern"] if agent else "",
    }
    if givers := givers_in(resolved.snapshot.chain):
        judged["givers"] = givers
    if decision.detail:
        # Names no value that was sent; sentences are made of it whenever they are shown.
        judged["detail"] = plain(decision.detail)
    judged |= _run(decision)
    if decision.obligations:
        judged["obligations"] = json.loads(json.dumps(decision.obligations, default=_plain))
    if resolved.request.outside:
        judged["outside"] = [_answered(each) for each in resolved.request.outside]
    if decision.observe:
        judged["observed"] = True
    if resolved.request.secret_path:
        judged["credential_at"] = redact(resolved.request.secret_path)
    return judged


def _answered(each: OutsideAnswer) -> dict[str, Json]:
    """Who was asked outside, what came back, how long that took. Its words lie in the payload."""
    said = {True: "allow", False: "deny", None: "none"}[each.allows]
    told: dict[str, Json] = {"pdp": each.pdp, "answer": said, "ms": each.ms}
    return told | ({"cause": each.cause} if each.cause else {})


def _run(decision: Decision) -> dict[str, Json]:
    """What the run had read with this call, and which tiers the call itself reads and writes."""
    named = {name: getattr(decision, name) for name in ("label", "tainted", "reads", "writes")}
    if decision.combinations:
        named["combinations"] = list(decision.combinations)
    return {name: value for name, value in named.items() if value}


def plain(detail: Mapping[str, Json]) -> dict[str, Json]:
    """What a decision's sentence needs, as it is kept."""
    found: dict[str, Json] = json.loads(json.dumps(detail, default=_plain))
    return found


def _plain(value: object) -> Json:
    return dict(value) if isinstance(value, Mapping) else list(value)  # type: ignore[call-overload]


def _payload(clean: Clean, resolved: Resolved, decision: Decision) -> dict[str, Json]:
    payload = dict(clean.payload)
    tool = _tool(resolved)
    sealed = sorted(set(tool.get("secret") or ()) & clean.ask.parameters.keys())
    if sealed and "parameters" in payload:
        verdicts = dict.fromkeys(sealed, "unknown") | _verdicts(sealed, decision)
        # As values, since a word under the name `password` would count as a credential itself.
        payload["secret_verdicts"] = [[name, verdict] for name, verdict in verdicts.items()]
    if outside := resolved.request.outside:
        # A digest of what was asked tells of what was in it, so it may be erased as that may.
        payload["outside"] = [[each.pdp, each.digest, each.reason] for each in outside]
    if facts := _facts(resolved):
        payload["facts"] = facts
    return payload


def _verdicts(sealed: list[str], decision: Decision) -> dict[str, str]:
    """What the schema said of each secret field, since its value is not kept."""
    step = next(step for step in decision.walk if step.check is Check.PARAMETERS)
    if step.status is Status.PASSED:
        return dict.fromkeys(sealed, "valid")
    found = [str(finding["pointer"]) for finding in step.detail.get("findings", ())]
    wrong = {pointer.split("/")[1] for pointer in found if pointer}
    return {name: "invalid" for name in sealed if name in wrong}


def _facts(resolved: Resolved) -> dict[str, Json]:
    """Names and attributes of people, by which a kept slice can be made whole again."""
    request = resolved.request
    facts: dict[str, Json] = {
        key: dict(held.facts) for key, held in resolved.used.items() if held.facts
    }
    claimed = {
        "person": request.person_claimed,
        "user": request.user_claimed,
        "subject_properties": dict(request.subject_properties),
        "resource_properties": dict(request.resource_properties),
    }
    given = {name: value for name, value in claimed.items() if value}
    return facts | ({"claimed": given} if given else {})


def _tool(resolved: Resolved) -> Mapping[str, Json]:
    tools = resolved.snapshot.world.document["tools"]
    found = tools.get(resolved.request.tool, {})
    return found if isinstance(found, Mapping) else {}


def hides_resources(resolved: Resolved, decision: Decision) -> bool:
    """Are the resource ids of this call personal, or a secret of their tool?"""
    tool = _tool(resolved)
    systems = resolved.snapshot.world.document["systems"]
    named = {resolved.request.resource_type, decision.resource_type, tool.get("system", "")}
    personal = any(systems[slug]["personal_ids"] for slug in named & systems.keys())
    return personal or tool.get("resource", "") in (tool.get("secret") or ())


def _resource(kind: str, resource_id: str, hidden: bool) -> str:
    shown = resource_id_of(resource_id, hidden)
    whole = f"{kind}/{shown}" if kind and shown else kind
    # What is too long for the column is found by its hash, and read in the body's other line.
    return whole if len(whole.encode()) <= audit.MAX_COLUMN_BYTES else audit.index_resource(whole)


def resource_id_of(resource_id: str, hidden: bool) -> str:
    """A resource id as the record has it: its keyed hash where it is personal or a secret."""
    if not resource_id:
        return ""
    return audit.index_resource(resource_id) if hidden else _shown(resource_id)


# The same id stands in a row three times, and often in the next row too.
@lru_cache(maxsize=1024)
def _shown(resource_id: str) -> str:
    return str(redact(resource_id))
