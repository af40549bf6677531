"""The forms in which what the trail finds can be taken along, and taking it, which is recorded."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from audit import export, leaf, selectors, services
from audit.enums import Kind
from audit.models import Record
from audit.proof_export import chosen_lines
from audit.selectors import AuditScope, Count, Reader, TrailFilters
from governance.kernel.errors import NotFound
from governance.kernel.streaming import Streamed

JSON_LINES = "application/jsonl; charset=utf-8"
# So many entries say how large one is.
LOOKED_AT = 50


@dataclass(frozen=True, slots=True)
class Form:
    """One form. `lines` raises before the first line, or not at all."""

    name: str
    title: str
    about: str
    media_type: str
    file_name: str
    lines: Callable[..., Iterator[str]]


FORMS = {
    each.name: each
    for each in (
        Form(
            "csv",
            "CSV",
            "For a spreadsheet. No cell is a formula, and no entry takes more than one line.",
            "text/csv; charset=utf-8",
            "muster-trail.csv",
            export.csv_lines,
        ),
        Form(
            "jsonl",
            "JSON Lines",
            "For programs: every column, what was asked and judged, and the bytes that were "
            "hashed.",
            JSON_LINES,
            "muster-trail.jsonl",
            export.jsonl_lines,
        ),
        Form(
            "ocsf",
            "OCSF",
            "For a SIEM or a data lake: API Activity of OCSF 1.8.0 with the AI profile, as JSON "
            "Lines.",
            JSON_LINES,
            "muster-ocsf.jsonl",
            export.ocsf_lines,
        ),
        Form(
            "cef",
            "CEF",
            "For a SIEM that reads the Common Event Format. It holds the columns alone.",
            "text/plain; charset=utf-8",
            "muster-trail.cef",
            export.cef_lines,
        ),
        Form(
            "proof",
            "JSON Lines with proofs",
            "For an auditor: each sealed entry with what proves it without Muster.",
            JSON_LINES,
            "muster-proof.jsonl",
            chosen_lines,
        ),
    )
}


MAKERS: dict[str, Callable[[Record], str]] = {
    "csv": export.csv_line,
    "jsonl": export.jsonl_line,
    "ocsf": export.ocsf_line,
    "cef": export.cef_line,
}


class NoSuchForm(NotFound):
    """There is no such form. Take csv, jsonl, ocsf, cef or proof."""

    code = "no_such_form"


@dataclass(frozen=True, slots=True)
class Size:
    """How many entries there are, and about how many bytes they take in a form."""

    count: Count
    bytes: dict[str, int]


def form_of(name: str) -> Form:
    """The form of this name. Raises `NoSuchForm`."""
    if name not in FORMS:
        raise NoSuchForm()
    return FORMS[name]


def size_of(filters: TrailFilters, *, scope: AuditScope) -> Size:
    """Counted as the trail counts; the bytes are those of the newest entries, times as many."""
    count = selectors.count(filters, scope=scope)
    newest = next(selectors.walk(filters, scope=scope, size=LOOKED_AT), [])
    mean = {
        name: sum(len(make(each).encode()) + 1 for each in newest) / max(1, len(newest))
        for name, make in MAKERS.items()
    }
    return Size(count, {name: int(each * count.number) for name, each in mean.items()})


def take(form: Form, filters: TrailFilters, *, by: Reader) -> Streamed:
    """The export for `by`, streamed. That it is taken is recorded before, how it ended after."""
    scope = by.audit_scope()
    lines = form.lines(filters, scope=scope)
    started = services.record(
        kind=Kind.ACCESS,
        actor=by.pid,
        asked={
            "did": "trail_exported",
            "form": form.name,
            "everything": scope.everything,
            "span": _told(filters),
        },
    )
    heads = form.name in ("csv", "proof")
    return Streamed(
        _counted(lines, started, by.pid, heads=heads),
        content_type=form.media_type,
        name=form.file_name,
    )


def _told(filters: TrailFilters) -> dict[str, str]:
    """What was looked for. A resource that somebody typed may be an e-mail address: its hash."""
    found = {name: value for name, value in asdict(filters).items() if value}
    if found.get("resource"):
        found["resource"] = services.index_resource(found["resource"])
    return {
        name: leaf.instant(value) if isinstance(value, datetime) else value
        for name, value in found.items()
    }


def _counted(
    lines: Iterator[str], started: UUID, pid: str, *, heads: bool
) -> Generator[str, None, None]:
    """The lines; at their end, or where they were not taken to it, how many there were."""
    entries, whole = 0, False
    try:
        yield from islice(lines, 1 if heads else 0)
        for line in lines:
            yield line
            entries += 1
        whole = True
    finally:
        ended: dict[str, Any] = {
            "did": "trail_export_ended",
            "entries": entries,
            "whole": whole,
        }
        services.record(kind=Kind.ACCESS, actor=pid, parent=started, asked=ended)
