"""What the page of an incident shows beside the answers: pictures, rows, addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.safestring import SafeString

from audit.incident import Span
from audit.leaf import instant
from compliance.incident import handles
from compliance.incident.entries import Entry, many
from compliance.incident.gathering import Incident
from compliance.incident.handles import HandleKind
from compliance.incident.touched import combination, system_of, why_no_combination
from governance import pictures
from governance.pictures import Happening

MOST_LANES = 14
OTHERS = "others"
# So much room at least stands around what a picture shows.
_LEAST = timedelta(seconds=1)


@dataclass(frozen=True)
class Row:
    """One entry as the table shows it."""

    entry: Entry
    strip: SafeString | str
    user: str
    actor: str

    @property
    def short(self) -> str:
        return str(self.entry.record.id)[-8:]


def rows_of(incident: Incident) -> list[Row]:
    """Every entry of the page, newest first."""
    name = incident.facts.name
    return [
        Row(entry, _strip(entry), name(entry.record.user), name(entry.record.actor))
        for entry in incident.entries
    ]


def _strip(entry: Entry) -> SafeString | str:
    """The strip of checks; the same walk is drawn once."""
    return _drawn(tuple(tuple(step) for step in entry.walk)) if entry.walk else ""


@lru_cache(maxsize=1024)
def _drawn(walk: tuple[tuple[str, ...], ...]) -> SafeString:
    return pictures.walk_strip(pictures.steps_of(walk))


def by_system(incident: Incident) -> list[Happening]:
    """Each decision on its system."""
    tiers = {each.system: each.tier for each in incident.data.systems}
    return [
        _happening(entry, system, tiers.get(system) or entry.record.tier or "restricted")
        for entry in incident.calls
        if (system := system_of(entry))
    ]


def by_actor(incident: Incident) -> list[Happening]:
    """Each decision on the lane of the agent and the run that asked for it."""
    lanes: dict[tuple[str, str], str] = {}
    for entry in reversed(incident.calls):
        key = (entry.record.agent, entry.record.session)
        lanes.setdefault(key, _lane(incident, entry) if len(lanes) < MOST_LANES else OTHERS)
    return [
        _happening(entry, lanes[entry.record.agent, entry.record.session], "")
        for entry in incident.calls
    ]


def _lane(incident: Incident, entry: Entry) -> str:
    record = entry.record
    who = record.agent or incident.facts.name(record.user) or "nobody known"
    return f"{who} …{record.session[-8:]}" if record.session else who


def _happening(entry: Entry, lane: str, tier: str) -> Happening:
    record, approval = entry.record, entry.approval
    until: datetime | None = None
    if record.effect == "hold" and approval:
        until = approval.used_at or approval.decided_at or approval.expires_at
    return Happening(record.at, lane, tier, record.effect, until)


def spans_of(incident: Incident) -> tuple[datetime, datetime]:
    """What the pictures show: from the first decision on the page to the last, with some room."""
    times = [entry.record.at for entry in incident.calls]
    since, until = min(times), max(times)
    room = max((until - since) * 0.02, _LEAST)
    return since - room, until + room


def said(incident: Incident, noun: str, lanes: int) -> str:
    """The picture in words."""
    counts = incident.what.counts
    told = [(name, word) for name, word in _EFFECTS if counts.get(name)]
    effects = ", ".join(f"{counts[name]:,} {word}" for name, word in told)
    calls = many(incident.what.decisions, "call", "calls")
    return f"{calls} in {many(lanes, *_NOUNS[noun])}: {effects}. The table of records has each."


_EFFECTS = (("allow", "allowed"), ("deny", "denied"), ("hold", "held"))
_NOUNS = {"system": ("system", "systems"), "run": ("run", "runs")}


# What stands in the search field


def typed(incident: Incident) -> str:
    """What one would type to find this again."""
    if incident.handle.kind in handles.OF_RECORD:
        return incident.handle.value
    return "" if incident.handle.kind is HandleKind.EVERYTHING else incident.title


def typed_span(span: Span) -> dict[str, datetime | None]:
    """The span in whole minutes, none of it left out."""
    until = span.until + timedelta(seconds=59, microseconds=999_999) if span.until else None
    return {"since": span.since, "until": until}


# Addresses


def query_of(incident: Incident, **more: object) -> str:
    """The query of this page, with `more` beside it."""
    return query(incident.handle.key, incident.span, **more)


def query(key: str, span: Span, **more: object) -> str:
    """A handle and a span as they stand in an address."""
    given: dict[str, object] = {"handle": key}
    given |= {"since": instant(span.since)} if span.since else {}
    given |= {"until": instant(span.until)} if span.until else {}
    return urlencode(given | more)


def paging(incident: Incident) -> Mapping[str, str]:
    """Where the pages beside this one are."""
    if not incident.entries:
        return {}
    newest, oldest = incident.entries[0].record.id, incident.entries[-1].record.id
    return {
        "older_url": f"?{query_of(incident, after=oldest)}" if incident.older else "",
        "newer_url": f"?{query_of(incident, before=newest)}" if incident.newer else "",
    }


def proposal(incident: Incident) -> tuple[str, str]:
    """Where a toxic combination is proposed from what was found, and why it cannot be."""
    found = combination(incident.data, incident.facts)
    span = incident.span
    said = f"Incident {incident.handle.key}, {_day(span.since)} to {_day(span.until)}"
    given = [
        ("categories", ",".join(found["categories"])),
        *(("effects", effect) for effect in found["effects"]),
        ("implied_tier", "restricted"),
        ("reference", said[:300]),
    ]
    return f"{reverse('toxic_new')}?{urlencode(given)}", why_no_combination(found)


def _day(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at else ""
