"""The certificate of an end: what was ended, when, by whose word, what is left, and where each of
it stands on the record. Its digest is of the bytes that are kept, by RFC 8785."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from audit import services as audit
from audit.enums import Kind
from audit.payloads import canonical
from governance.kernel import clock
from lifecycle.credentials.pages import where_of
from lifecycle.decommissioning import reading
from lifecycle.decommissioning.steps import ENDING
from lifecycle.models import EndCertificate, EndRun
from lifecycle.models.decommissioning import EndStepState
from registry.enums import CredentialKind, CredentialState
from registry.models import Agent, CredentialReference, Person
from registry.models.credentials import OVER
from registry.models.external_clients import ExternalClientState

VERSION = 1
RETENTION = (
    "The row and every record about it are kept; neither can be deleted. What was sent and "
    "returned lies sealed beside them, until it is erased under the agent's or the person's key."
)


def issue(run: EndRun) -> EndCertificate | None:
    """A new edition, where something of it is otherwise than in the last one; else None.

    The caller holds the lock of the row.
    """
    facts = facts_of(run)
    digest = hashlib.sha256(canonical(facts)).hexdigest()
    last = run.certificates.order_by("edition").last()
    if last is not None and last.facts == digest:
        return None
    edition, now = (last.edition + 1 if last else 1), clock.now()
    document = canonical(
        {
            "muster_certificate": VERSION,
            "edition": edition,
            "issued_at": stamp(now),
            "installation": settings.MUSTER_BASE_URL,
            "earlier_edition": last.digest if last else None,
            **facts,
        }
    )
    return _keep(run, edition, now, document, digest)


def _keep(run: EndRun, edition: int, now: datetime, document: bytes, facts: str) -> EndCertificate:
    digest = hashlib.sha256(document).hexdigest()
    record = audit.record(
        kind=Kind.REGISTRY,
        actor=ENDING.pid,
        agent=run.agent.slug,
        resource=f"agent:{run.agent.slug}",
        asked={"did": "certificate_issued", "edition": edition, "digest": f"sha256:{digest}"},
    )
    return EndCertificate.objects.create(
        run=run,
        edition=edition,
        issued_at=now,
        document=document,
        digest=digest,
        facts=facts,
        record=record,
    )


def facts_of(run: EndRun) -> dict[str, Any]:
    """Everything that a certificate says, but for which edition it is and when it was issued."""
    agent = Agent.objects.select_related("owner", "backup_owner").get(pk=run.agent_id)
    return {
        "agent": _agent(agent, run),
        "ended": _ended(run),
        "steps": [
            {
                "name": each.name,
                "title": each.title,
                "ended": each.state == EndStepState.DONE,
                "said": each.said if each.state == EndStepState.DONE else each.error,
                "at": stamp(each.ended_at),
                "record": str(each.record or ""),
            }
            for each in run.steps.order_by("position")
        ],
        "dependents": [_dependent(each) for each in reading.dependents_of(agent)],
        "credentials": [_credential(each, run) for each in _credentials(agent)],
        "clients_outside": [
            {
                "provider": each.provider,
                "client_id": each.client_id,
                "deleted": each.state == ExternalClientState.DELETED,
            }
            for each in agent.external_clients.order_by("provider")
        ],
        "left": reading.left_of(run),
        "retention": RETENTION,
    }


def _agent(agent: Agent, run: EndRun) -> dict[str, Any]:
    return {
        "id": agent.slug,
        "name": agent.name,
        "purpose": agent.purpose,
        "tier": run.tier,
        "owner": agent.owner.name,
        "backup_owner": agent.backup_owner.name if agent.backup_owner else None,
        "registered_at": stamp(agent.created_at),
        "live_since": stamp(agent.activated_at),
    }


def _ended(run: EndRun) -> dict[str, Any]:
    return {
        "by": run.by.name if run.by else f"Muster ({run.actor.removeprefix('system:')})",
        "reason": run.reason,
        "begun_at": stamp(run.started_at),
        "closed_at": stamp(run.ended_at),
        "begun_record": str(run.record),
        "closed_record": str(run.closed_record),
    }


def _dependent(each: reading.Dependent) -> dict[str, Any]:
    word = each.acknowledged
    return {
        "name": each.reliance.person.name if each.reliance.person else each.name,
        "is_agent": each.is_agent,
        "acknowledged_by": word.by.name if word else None,
        "acknowledged_at": stamp(word.at) if word else None,
    }


def _credentials(agent: Agent) -> list[CredentialReference]:
    rows = agent.credentials.filter(state__in=OVER).select_related("system", "ended_by", "agent")
    return list(rows.order_by("reference"))


def _credential(each: CredentialReference, run: EndRun) -> dict[str, Any]:
    kept_here = each.kind == CredentialKind.HERE
    destroyed = each.state == CredentialState.DESTROYED
    return {
        "reference": each.reference,
        "lies": where_of(each),
        "for": each.system.slug if each.system else None,
        "revoked_at": stamp(each.revoked_at),
        "still_live_at_its_source": each.live_at_source,
        "confirmed_by": _name(each.ended_by),
        "confirmed_how": each.ended_why or None,
        "destroyed": destroyed,
        "destroyed_after": stamp(run.destroy_at) if kept_here and not destroyed else None,
    }


def _name(person: Person | None) -> str | None:
    return person.name if person else None


def stamp(at: datetime | None) -> str | None:
    """An instant as a certificate writes it: UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None
