"""An incident as plain data: what leaves over REST and on paper."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from audit.incident import Kin
from audit.leaf import instant
from compliance.incident.answers import Cause, Deed, Ground
from compliance.incident.entries import Entry
from compliance.incident.facts import Approval, Emergency, PolicyNote
from compliance.incident.gathering import Incident
from compliance.incident.runs import RunHere
from compliance.incident.touched import Touched, combination

Json = Any
VERSION = 1


def document_of(incident: Incident) -> dict[str, Json]:
    """Handle, span, the four answers, what belongs to it, and every entry of the page."""
    return {
        "muster_incident": VERSION,
        "handle": incident.handle.key,
        "title": incident.title,
        "since": _at(incident.span.since),
        "until": _at(incident.span.until),
        "entries": len(incident.entries),
        "older": incident.older,
        "newer": incident.newer,
        "more_outcomes": incident.more_outcomes,
        "what_happened": _what(incident),
        "who_caused_it": _who(incident),
        "was_it_authorized": _authorized(incident),
        "what_data_was_touched": _data(incident),
        "runs": [_run(each) for each in incident.runs],
        "related_runs": [_kin(each, incident.tainted_runs) for each in incident.related.runs],
        "more_related_runs": incident.related.cut,
        "combination": combination(incident.data, incident.facts),
        "unsealed": incident.unsealed,
        "records": [_entry(each) for each in incident.entries],
    }


def _at(value: datetime | None) -> str | None:
    return None if value is None else instant(value)


def _what(incident: Incident) -> dict[str, Json]:
    what = incident.what
    return {
        "answer": what.title,
        "decisions": what.decisions,
        "counts": {name: what.counts.get(name, 0) for name in ("allow", "deny", "hold")},
        "other_entries": what.others,
        "stops": [
            {
                "tool": each.entry.record.tool,
                "effect": each.entry.record.effect,
                "code": each.entry.record.code,
                "sentence": each.entry.sentence,
                "times": each.times,
                "first": str(each.entry.record.id),
            }
            for each in what.stops
        ],
    }


def _who(incident: Incident) -> dict[str, Json]:
    return {
        "answer": incident.who.title,
        "callers": [_cause(each) for each in incident.who.causes],
        "deeds": [_deed(each) for each in incident.who.deeds],
    }


def _cause(cause: Cause) -> dict[str, Json]:
    return {
        "agent": cause.agent,
        "acting_for": cause.user,
        "gateway": cause.gateway,
        "chain": list(cause.chain),
        "owner_then": list(cause.owners),
        "pattern": cause.pattern,
        "counts": {name: cause.counts.get(name, 0) for name in ("allow", "deny", "hold")},
        "first": _at(cause.first),
        "last": _at(cause.last),
        "runs": list(cause.runs),
    }


def _deed(deed: Deed) -> dict[str, Json]:
    return {
        "actor": deed.actor,
        "did": deed.did,
        "times": deed.times,
        "first": str(deed.entry.record.id),
        "at": _at(deed.entry.record.at),
    }


def _authorized(incident: Incident) -> dict[str, Json]:
    found = incident.authorized
    return {
        "answer": found.title,
        "allowed": found.allowed,
        "allowed_by_a_person": found.by_person,
        "under_emergency": found.under_emergency,
        "observed": found.observed,
        "stopped_by_check": dict(found.refused),
        "grounds": [_ground(each) for each in found.grounds],
    }


def _ground(ground: Ground) -> dict[str, Json]:
    entry = ground.entry
    return {"times": ground.times, "first": str(entry.record.id), **_basis(entry)}


def _basis(entry: Entry) -> dict[str, Json]:
    """By what one decision was decided, and who said yes."""
    return {
        "effect": entry.record.effect,
        "check": entry.record.deciding_check,
        "code": entry.record.code,
        "reason": entry.sentence,
        "agent": entry.record.agent,
        "acting_for": entry.facts.name(entry.record.user),
        "tool": entry.record.tool,
        "mode": entry.record.mode,
        "policies": [_policy(each) for each in entry.policies],
        "roles": list(entry.roles),
        "limits": entry.limits,
        "approval": _approval(entry.approval),
        "emergency": _emergency(entry.emergency),
    }


def _policy(policy: PolicyNote) -> dict[str, Json]:
    return {
        "id": policy.uid,
        "sha256": policy.digest,
        "proposed_by": policy.proposed_by,
        "agreed_by": policy.agreed_by,
        "in_force_since": _at(policy.since),
    }


def _approval(approval: Approval | None) -> dict[str, Json] | None:
    if approval is None:
        return None
    return {
        "hold": str(approval.hold),
        "state": approval.state,
        "asked_at": _at(approval.made_at),
        "words": [{"who": word.who, "at": _at(word.at)} for word in approval.words],
        "decided_by": approval.decided_by,
        "decided_at": _at(approval.decided_at),
        "reason": approval.reason,
        "edited": approval.edited,
        "used_at": _at(approval.used_at),
    }


def _emergency(emergency: Emergency | None) -> dict[str, Json] | None:
    if emergency is None:
        return None
    return {
        "id": emergency.id,
        "who": emergency.who,
        "second": emergency.second,
        "reason": emergency.reason,
        "reviewed_by": emergency.reviewed_by,
    }


def _data(incident: Incident) -> dict[str, Json]:
    found = incident.data
    return {
        "answer": found.tier or "none",
        "tier": found.tier,
        "categories": found.categories,
        "systems": [_touched(each) for each in found.systems],
        "spent_minor": dict(found.spent),
    }


def _touched(touched: Touched) -> dict[str, Json]:
    return {
        "system": touched.system,
        "tier": touched.tier,
        "categories": touched.categories,
        "environment": str(touched.known.get("environment", "")),
        "country": str(touched.known.get("country", "")),
        "untrusted": touched.is_untrusted,
        "reads": touched.reads,
        "writes": touched.writes,
        "stopped": touched.stopped,
        "records_reported": touched.records,
        "records_changed": touched.changed,
        "tools": sorted(touched.tools),
        "resources": dict(touched.resources.most_common()),
    }


def _run(run: RunHere) -> dict[str, Json]:
    return {
        "run": run.name,
        "agent": run.agent,
        "tier": run.label,
        "read_untrusted": run.tainted,
        "carried_over": run.carried,
        "calls": run.calls,
        "stopped": run.stopped,
        "first": _at(run.first),
        "last": _at(run.last),
    }


def _kin(kin: Kin, tainted: frozenset[str]) -> dict[str, Json]:
    return {
        "run": kin.session,
        "agent": kin.agent,
        "by": kin.by,
        "value": kin.value,
        "calls": kin.many,
        "stopped": kin.stopped,
        "read_untrusted": kin.session in tainted,
        "first": _at(kin.first),
        "last": _at(kin.last),
    }


def _entry(entry: Entry) -> dict[str, Json]:
    record = entry.record
    return {
        "record": str(record.id),
        "at": _at(record.at),
        "kind": record.kind,
        "resource": record.resource,
        "tier": record.tier,
        "run": record.session,
        "actor": entry.facts.name(record.actor),
        "owner_then": entry.facts.name(entry.owner),
        "belongs_to": str(record.parent) if record.parent else None,
        "leaf": bytes(record.leaf).hex(),
        "index": entry.leaf,
        "sealed": entry.sealed,
        **_basis(entry),
    }


def summary_of(document: Mapping[str, Json]) -> dict[str, Json]:
    """What the record keeps of a report that was fetched: no name and nothing that was touched."""
    return {name: document[name] for name in ("handle", "since", "until", "entries")}
