"""The incident report on paper: set by Typst, tagged, with its data attached."""

from __future__ import annotations

import json
import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from audit.leaf import instant
from compliance.incident import pages
from compliance.incident.gathering import Incident
from compliance.reports.document import installation
from compliance.reports.pdf import compiled
from compliance.sealed import coverage
from governance.kernel import clock
from governance.kernel.tiers import TIERS
from governance.pictures import Happening
from registry.models import Person

TEMPLATE = Path(__file__).with_name("incident.typ")
DATA = "incident.json"

Json = Any


def stamp_of(incident: Incident, by: Person, record: str, sha256: str) -> dict[str, Json]:
    """What stands on the paper beside what was found: who fetched it, when, under which proof."""
    now = clock.now()
    until = min(incident.span.until or now, now)
    return {
        "installation": installation(),
        "made_at": instant(now),
        "made_for": str(by),
        "record": record,
        "sha256": sha256,
        "coverage": coverage(until).sentence,
        "partly": not by.audit_scope().everything,
        "pictures": _pictures(incident),
    }


def _pictures(incident: Incident) -> list[dict[str, Json]]:
    if not incident.calls:
        return []
    named = {
        "By system, restricted at the top": pages.by_system(incident),
        "By agent and run": pages.by_actor(incident),
    }
    return [{"title": title, "lanes": _lanes(incident, each)} for title, each in named.items()]


def _lanes(incident: Incident, happenings: list[Happening]) -> list[dict[str, Json]]:
    """Each lane with its marks: a share of the width, and the effect."""
    start, end = pages.spans_of(incident)
    length = (end - start).total_seconds()
    order = sorted(
        {(each.system, each.tier) for each in happenings},
        key=lambda lane: (-TIERS.index(lane[1]) if lane[1] in TIERS else 0, lane[0]),
    )
    return [
        {
            "name": name,
            "tier": tier,
            "marks": [
                [(each.at - start).total_seconds() / length, each.effect]
                for each in happenings
                if each.system == name
            ],
        }
        for name, tier in order
    ]


def pdf_of(document: bytes, stamp: dict[str, Json], made_at: datetime) -> bytes:
    """The file. Where a name has a letter for which no font here has a glyph, PDF/A is refused;
    the file is then tagged all the same. It reads no file but those made for it."""
    with tempfile.TemporaryDirectory(prefix="muster-incident-") as name:
        folder = Path(name)
        shutil.copyfile(TEMPLATE, folder / TEMPLATE.name)
        (folder / DATA).write_bytes(document)
        (folder / "stamp.json").write_text(json.dumps(stamp, ensure_ascii=False))
        return compiled(folder, TEMPLATE.name, made_at)[0]
