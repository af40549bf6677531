"""What a subject gets: one JSON document, streamed, of everything that is held of them.

Payloads are opened under one recorded reading. Others stand in it by pseudonymous ids alone
(Art. 15(4)), and secrets not at all: nobody kept their values.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.conf import settings

from audit import leaf, readings
from audit.erasure import selectors as kept
from audit.readings import Opened
from audit.selectors import TrailFilters
from compliance import permissions
from compliance.models import SubjectRequest
from compliance.retention import periods
from compliance.subjects import services
from compliance.subjects.finding import subject_of
from compliance.subjects.holding import Holding
from governance.kernel import clock
from registry.models import Person

MOST = 200_000
VERSION = 1
REASON = "a data subject's request"


def export(request: SubjectRequest, *, by: Person) -> Iterator[str]:
    """The document, in pieces. Recorded before the first; not inside another transaction.

    Raises `NotAllowed`.
    """
    permissions.check_can_export_subject(by)
    subject = request.subject
    about = TrailFilters(user=subject) if request.is_person else TrailFilters(resource=subject)
    reading = readings.start_reading(
        about, fields=kept.fields_of(subject), by=by, reason=REASON, limit=MOST
    )
    services.record(
        request, "subject_exported", by.pid, reading=str(reading.id), entries=reading.count
    )
    return _pieces(_head(request, reading), reading)


def _head(request: SubjectRequest, reading: readings.Reading) -> dict[str, Any]:
    holding = Holding(subject_of(request.subject))
    return {
        "muster_subject_export": VERSION,
        "installation": settings.MUSTER_BASE_URL,
        "made_at": leaf.instant(clock.now()),
        "request": str(request.pk),
        "kind": request.kind,
        "subject": request.subject,
        "register": dict(holding.facts),
        "agents": _agents(holding),
        "grants": _grants(holding),
        "named_in": {each.what: each.many for each in holding.rows},
        "record": [
            {"kind": each.kind, "entries": each.entries, "since": leaf.instant(each.first)}
            for each in holding.named
        ],
        "sealed": [
            {
                "agent": each.sealed.agent,
                "tool": each.sealed.tool,
                "system": each.system,
                "categories": each.categories,
                "tier": each.sealed.tier,
                "entries": each.sealed.entries,
                "readable": each.sealed.readable,
                "erased_by": leaf.instant(each.goes_until),
            }
            for each in holding.sealed
        ],
        "kept_for_days": periods.payloads(),
        "left_out": reading.left_out,
    }


def _agents(holding: Holding) -> list[str]:
    person = holding.subject.person
    return sorted(person.owned_agents.values_list("slug", flat=True)) if person else []


def _grants(holding: Holding) -> list[dict[str, Any]]:
    """Which agents they let act for them, and what each was let do."""
    person = holding.subject.person
    return [
        {
            "agent": grant.agent.slug,
            "tools": grant.tools,
            "given": leaf.instant(grant.given_at),
            "until": leaf.instant(grant.until),
            "ended": leaf.instant(grant.ended_at) if grant.ended_at else None,
        }
        for grant in (person.grants.select_related("agent") if person else ())
    ]


def _pieces(head: dict[str, Any], reading: readings.Reading) -> Iterator[str]:
    yield json.dumps(head, indent=1)[:-2] + ',\n "entries": ['
    sign = "\n  "
    for page in reading.pages() if reading.count else ():
        for each in page:
            yield sign + json.dumps(_entry(each))
            sign = ",\n  "
    yield "\n ]\n}\n"


def _entry(opened: Opened) -> dict[str, Any]:
    record = opened.record
    return {
        "id": str(record.id),
        "at": leaf.instant(record.at),
        "kind": record.kind,
        "agent": record.agent,
        "tool": record.tool,
        "resource": record.resource,
        "effect": record.effect,
        "code": record.code,
        "content": dict(opened.payload) if not opened.fault else None,
        "why_not": opened.fault or None,
    }
