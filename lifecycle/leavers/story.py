"""Everything that became of a leaver's agents, from the record: one line, one record id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, Min, Q

from audit.enums import Kind
from audit.models import Record
from audit.selectors import limited_time, parse_body
from lifecycle.leavers import selectors
from lifecycle.models import Case, CaseEvent, CaseState
from registry import reserved
from registry.models import Person
from registry.selectors import pids_to_people

MOST = 1000
BEFORE = timedelta(hours=1)
LEFT_CODE = "identity.owner_left"
# What an agent meets that gets nothing: a decision or a lease, and a token.
REFUSED = (LEFT_CODE, "identity.not_active", "client.not_active")
# What of the register's and the lifecycle's records belongs to the story of a leaver.
_OF_PERSON = {
    "employment_changed": "{who} says that {leaver} {employment}",
    "access_ended": "Every duty and way in of {leaver} was taken away",
    "leaver_settled": "Found by the daily reconciliation: no event had told of it",
    "grant_ended": "{agent} acts for {leaver} no more",
}
_OF_AGENT = {
    "agent_transferred": "{agent} was handed over to {to}",
    "agent_decommissioning": "{agent} began to be decommissioned",
    "agent_decommissioned": "{agent} is decommissioned",
    "agent_suspended": "{agent} was suspended",
    "leases_ended": "Leases of {agent} ended",
    "certificate_issued": "Edition {edition} of the certificate of {agent} was issued",
}
_OF_CASE = {
    "opened": "{agent} is flagged",
    "left": "{agent} is denied everything from here on",
    "day": "Day {day} of {agent} was told",
    "offered": "{to} is asked to take {agent} over",
    "refused": "{to} does not take {agent} over",
    "gone": "{to} cannot take {agent} over any more",
    "answered": "{agent}: {outcome}",
    "ended": "Nobody answered in time for {agent}",
    "dropped": "Nothing is asked about {agent} any more",
}
_EMPLOYMENT = {"left": "has left", "leaving": "leaves", "employed": "stays"}
_MARKS = {
    "answered": "done",
    "ended": "stop",
    "left": "stop",
    "access_ended": "stop",
    "grant_ended": "stop",
    "agent_transferred": "done",
    "agent_decommissioned": "stop",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened, of one agent or of the leaver. `record` is where that is told."""

    at: datetime
    title: str
    record: UUID
    by: str = ""
    text: str = ""
    mark: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Denied:
    """What an agent tried and did not get: how often, from when to when."""

    agent: str
    code: str
    tries: int
    first: datetime
    last: datetime

    @property
    def what(self) -> str:
        """What was tried, in words."""
        return "a token" if self.code.startswith("client.") else "a call or a lease"


@dataclass(frozen=True, slots=True)
class Story:
    """The lines in the order of the record, and what was denied meanwhile."""

    lines: list[Line] = field(default_factory=list)
    denied: list[Denied] = field(default_factory=list)

    @property
    def of_person(self) -> list[Line]:
        """What happened to the leaver."""
        return [line for line in self.lines if not line.agent]

    def of(self, slug: str) -> list[Line]:
        """What happened to one agent."""
        return [line for line in self.lines if line.agent == slug]


def story_of(
    person: Person, cases: Sequence[Case], since: datetime, *, with_grants: bool = True
) -> Story:
    """All of it since the first of these cases was opened, or since they left.

    Without `with_grants` it does not say which agents acted for them.
    """
    events = [event for case in cases for event in case.events.all()]
    with limited_time():
        records = list(_records(person, cases, since, with_grants))
        denied = _denied(cases, since)
    names = _Names(events, records)
    lines = [names.of_event(event) for event in events]
    lines += [line for record in records if (line := names.of_record(record, person))]
    # The ids of the record are in its order, whatever the clock of a machine said.
    return Story(sorted(lines, key=lambda line: str(line.record)), denied)


def _records(
    person: Person, cases: Sequence[Case], since: datetime, with_grants: bool
) -> Iterable[Record]:
    # What was told of the person stands just before what followed from it.
    theirs = Q(kind=Kind.REGISTRY, user=person.pid, resource=f"person:{person.pid}")
    if with_grants:
        # Whichever agents acted for them, and whosever these are.
        theirs |= Q(kind=Kind.ACCESS, user=person.pid, tool="", code="")
    ended_leases = Q(kind=Kind.ACCESS, tool=reserved.TOOL, code="")
    agents = _theirs(cases) & Q(at__gte=since) & (Q(kind=Kind.REGISTRY) | ended_leases)
    rows = Record.objects.filter(theirs | agents, at__gte=since - BEFORE)
    return rows.order_by("at")[:MOST]


def _theirs(cases: Sequence[Case]) -> Q:
    """Records of the agents, for as long as they are part of this story.

    What somebody took over lives on, and that is no part of it.
    """
    lived_on = [case for case in cases if not (case.is_open or is_end(case))]
    slugs = {case.agent.slug for case in cases} - {case.agent.slug for case in lived_on}
    found = Q(agent__in=sorted(slugs))
    for case in lived_on:
        found |= Q(agent=case.agent.slug, id__lte=_closed_by(case))
    return found


def _closed_by(case: Case) -> UUID:
    """The entry with which its part of the story is over: the ids are in the record's order."""
    closing = {CaseState.ANSWERED, CaseState.DROPPED}
    return max(each.record for each in case.events.all() if each.what in closing)


def is_end(case: Case) -> bool:
    """Whether its agent was ended for it, by somebody or by the clock."""
    return case.state == CaseState.ENDED or case.outcome in selectors.ENDS


def _denied(cases: Sequence[Case], since: datetime) -> list[Denied]:
    kinds = [Kind.DECISION, Kind.ACCESS]
    rows = (
        Record.objects.filter(_theirs(cases), kind__in=kinds, at__gte=since, code__in=REFUSED)
        .order_by()
        .values("agent", "code")
        .annotate(tries=Count("pk"), first=Min("at"), last=Max("at"))
    )
    return sorted((Denied(**row) for row in rows), key=lambda each: (each.agent, each.first))


def lines_of(events: Sequence[CaseEvent]) -> list[Line]:
    """What happened in a case, in words."""
    names = _Names(events, [])
    return [names.of_event(event) for event in events]


class _Names:
    """Puts people's names to the pids that the record and the cases have."""

    def __init__(self, events: Sequence[CaseEvent], records: Sequence[Record]) -> None:
        self._bodies = {record.pk: parse_body(record) for record in records}
        pids = {event.what.split(":")[1] for event in events if ":p_" in event.what}
        pids |= {record.actor for record in records}
        pids |= {pid for body in self._bodies.values() for pid in _pids_in(body)}
        self._people = pids_to_people(pid for pid in pids if pid.startswith("p_"))

    def _name(self, pid: str) -> str:
        if pid in self._people:
            return str(self._people[pid])
        if not pid.startswith("system:"):
            return pid
        return f"Muster ({pid.removeprefix('system:').removeprefix('source:')})"

    def _who(self, record: Record, source: str) -> str:
        """Who said that someone leaves: a person, a source of people, or Muster by its clock."""
        return f"The source {source}" if source else self._name(record.actor)

    def of_event(self, event: CaseEvent) -> Line:
        what, _, rest = event.what.partition(":")
        slug = event.case.agent.slug
        said = {
            "agent": slug,
            "day": rest,
            "to": self._name(rest.partition(":")[0]) if rest else "",
            "outcome": event.case.outcome.replace("_", " "),
        }
        title = _OF_CASE.get(what, what).format(**said)
        by = str(event.by) if event.by else "Muster"
        mark = "stop" if what == "answered" and is_end(event.case) else _MARKS.get(what, "")
        return Line(event.at, title, event.record, by, event.text, mark, slug)

    def of_record(self, record: Record, person: Person) -> Line | None:
        asked = self._bodies[record.pk].get("asked", {})
        did = str(asked.get("did", ""))
        of_person = not record.agent or did == "grant_ended"
        template = (_OF_PERSON if of_person else _OF_AGENT).get(did)
        # A grant that ended otherwise is no part of the story of how they left.
        if template is None or asked.get("cause", "left") != "left":
            return None
        changed = asked.get("changed", {})
        said = {
            "agent": record.agent,
            "leaver": person,
            "to": self._name(str(changed.get("owner", {}).get("after", ""))),
            "who": self._who(record, str(asked.get("source", ""))),
            "employment": _employment(changed),
            "edition": asked.get("edition", ""),
        }
        title, by = template.format(**said), self._name(record.actor)
        by = "" if did == "employment_changed" else by
        agent = "" if of_person else record.agent
        return Line(record.at, title, record.pk, by, "", _MARKS.get(did, ""), agent)


def _pids_in(body: dict[str, Any]) -> list[str]:
    changed = body.get("asked", {}).get("changed", {})
    return [str(changed.get("owner", {}).get("after", ""))]


def _employment(changed: dict[str, Any]) -> str:
    """What was said of someone: that they leave, have left or stay. The day itself is sealed."""
    word = str(changed.get("employment", {}).get("after", ""))
    return _EMPLOYMENT.get(word, "has another last day")
