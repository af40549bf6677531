"""What a report says, as plain data: the same for the same period, whenever it is made."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings

from audit.dropping import selectors as dropping
from compliance.annexes import said, tables
from compliance.catalogue import Control, Framework
from compliance.enums import Breaks, Empty, Status
from compliance.evidence import Answered, Asking, Found, Look
from compliance.evidence.types import Cell, Exceptional, Figure, Sampled, Table
from registry.selectors import has_separation_of_duties

Json = Any
Document = dict[str, Json]
RULES = {
    Breaks.ANY: "Any exception here makes the control not met.",
    Breaks.HALF: "Exceptions in more than half of what was looked at make the control not met.",
    Breaks.NEVER: "An exception here makes the control partly met at best.",
}
NOTHING_THERE = {
    Empty.NOT_MET: " Nothing to look at makes it not met as well.",
    Empty.NOT_APPLICABLE: "",
    Empty.MET: "",
}
EXCEPTION_COLUMNS = (
    "control", "query", "what", "agent", "from", "to", "calls", "record",
)  # fmt: skip
SAMPLE_COLUMNS = (
    "control", "query", "record", "at", "kind", "agent", "tool", "effect", "check", "leaf",
    "as it was written", "place", "proof",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Annex:
    """One annex with its rows read."""

    table: Table
    rows: Sequence[Sequence[Cell]]


def document_of(framework: Framework, look: Look, found: Sequence[Found]) -> Document:
    """Everything but the annexes. No time at which it was made stands in it."""
    return {
        "muster_evidence": 1,
        "framework": {
            "id": framework.id,
            "name": framework.name,
            "title": framework.title,
            "text": framework.text,
        },
        "period": {
            "first": look.period.first.isoformat(),
            "last": look.period.last.isoformat(),
            "name": look.period.name,
            "counted_until": said(look.until),
        },
        "scope": {"key": look.scope.key, "title": look.scope.title},
        "agents": {"registered": look.registered, "concerned": len(look.rows)},
        "separation_of_duties": has_separation_of_duties(),
        "dropped": [
            {"month": f"{each.month:%B %Y}", "entries": each.entries, "record": str(each.record)}
            for each in sorted(dropping.dropped(), key=lambda one: one.month)
            if look.period.first.replace(day=1) <= each.month <= look.period.last
        ],
        "coverage": plain(dataclasses.asdict(look.covered)),
        "status": status_counts(found),
        "controls": [_control(each) for each in found],
    }


def status_counts(found: Sequence[Found]) -> dict[str, int]:
    """How many controls stand how."""
    counted = Counter(str(each.status) for each in found)
    return {str(status): counted[str(status)] for status in Status}


def _control(found: Found) -> Document:
    control = found.control
    return {
        **_words(control),
        "next": found.next,
        "status": str(found.status),
        "status_word": found.status.label,
        "why": found.why,
        "queries": [answered(each) for each in found.answers],
    }


def _words(control: Control) -> Document:
    words = ("id", "clause", "title", "theme", "obligation", "source", "rule")
    return {
        **{name: getattr(control, name) for name in words},
        "timing": control.timing.label,
        "binds": list(control.binds),
        "applies_from": said(control.applies_from),
        "applies_note": control.applies_note,
        "annexes": list(control.annexes),
    }


def answered(answer: Answered) -> Document:
    """One query of a line, with everything that it answered."""
    evidence = answer.evidence
    return {
        "id": answer.query.id,
        "version": answer.query.version,
        "title": answer.query.title,
        "given": dict(answer.asked.given),
        "rule": RULES[answer.asked.breaks] + NOTHING_THERE[answer.asked.empty],
        "status": str(answer.status),
        "status_word": answer.status.label,
        "about": evidence.about,
        "of": evidence.of,
        "looked_at": evidence.looked_at,
        "none": evidence.none,
        "figures": [_figure(each) for each in evidence.figures],
        "exceptions": [_exception(each) for each in evidence.exceptions],
        "sample": [_sampled(each) for each in evidence.sample],
    }


def _figure(figure: Figure) -> Document:
    return dict(plain(dataclasses.asdict(figure)))


def _exception(found: Exceptional) -> Document:
    return dict(plain(dataclasses.asdict(found)))


def _sampled(sampled: Sampled) -> Document:
    return dict(plain(dataclasses.asdict(sampled)))


def plain(value: Json) -> Json:
    """A value as JSON: instants in UTC, ids as text."""
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, datetime | date):
        return said(value)
    if isinstance(value, UUID):
        return str(value)
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def annexes_of(framework: Framework, asking: Asking, controls: Sequence[Control]) -> list[Annex]:
    """The annexes that the framework and these controls name, each once, by their own order."""
    named = {*framework.annexes, *(name for each in controls for name in each.annexes)}
    look = asking.look(framework.concern)
    return [Annex(table, list(table.rows(look))) for table in tables().values()
            if table.name in named]  # fmt: skip


def exception_rows(document: Document) -> list[Sequence[Cell]]:
    """Every exception of every control as a row of a table."""
    return [
        (control["clause"], query["id"], each["what"], each["agent"], each["since"] or "",
         each["until"] or "", each["calls"], each["record"])
        for control in document["controls"]
        for query in control["queries"]
        for each in query["exceptions"]
    ]  # fmt: skip


def sample_rows(document: Document) -> list[Sequence[Cell]]:
    """Every entry that was looked at as a row of a table."""
    return [
        (control["clause"], query["id"], each["record"], each["at"], each["kind"], each["agent"],
         each["tool"], each["effect"], each["check"], each["leaf"],
         "yes" if each["whole"] else "no", each["place"], each["proof"])
        for control in document["controls"]
        for query in control["queries"]
        for each in query["sample"]
    ]  # fmt: skip


def installation() -> str:
    """How this installation is called from outside."""
    return str(urlsplit(settings.MUSTER_BASE_URL).netloc)
