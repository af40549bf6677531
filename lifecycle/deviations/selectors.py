"""Which agents called otherwise than their row says: with a user, or without one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Min, QuerySet

from audit.enums import Kind, Mode
from audit.leaf import BadBody
from audit.models import Record
from audit.selectors import AuditScope, limited_time, parse_body
from authz.engine import codes
from authz.explain import detail_of
from registry.models import Agent, Person

# What the decision flags as `outside_pattern`: the one refusal that sets the flag.
CODE = "identity.pattern"


@dataclass(frozen=True, slots=True)
class Deviation:
    """One agent that called outside its pattern: how often, between when, and why as of last."""

    slug: str
    agent: Agent | None
    calls: int
    first: datetime
    newest: Record
    why: str

    @property
    def todo(self) -> str:
        """What would put it in order, as the refusal itself says."""
        named = (codes.remedy_text(each) for each in codes.remedies(CODE, {}))
        return " ".join(filter(None, named))


def deviations_for(person: Person, since: datetime) -> list[Deviation]:
    """The agents that this person sees, the one that did it last first. Three queries.

    Raises `SearchTooSlow`.
    """
    records = _records(person.audit_scope(), since)
    with limited_time():
        counted = _counted(records)
        newest = records.order_by("agent", "-at", "-id").distinct("agent")
        last = {record.agent: record for record in newest}
    agents = Agent.objects.select_related("owner").in_bulk(list(counted), field_name="slug")
    found = [
        Deviation(slug, agents.get(slug), **counted[slug], newest=record, why=_why(record))
        for slug, record in last.items()
        if slug in counted
    ]
    return sorted(found, key=lambda each: each.newest.at, reverse=True)


def _records(scope: AuditScope, since: datetime) -> QuerySet[Record]:
    """Decisions in earnest; what was only simulated is no call."""
    rows = Record.objects.filter(
        kind=Kind.DECISION, mode__in=(Mode.ENFORCE, Mode.OBSERVE), code=CODE, at__gte=since
    )
    return scope.narrow(rows)


def _counted(records: QuerySet[Record]) -> dict[str, dict[str, Any]]:
    rows = records.order_by().values("agent").annotate(calls=Count("pk"), first=Min("at"))
    return {row["agent"]: {"calls": row["calls"], "first": row["first"]} for row in rows}


def _why(record: Record) -> str:
    try:
        return codes.message(CODE, detail_of(parse_body(record)))
    except BadBody:
        return "This entry was tampered with."
