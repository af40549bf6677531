"""What a run of attacks rests on: it stands for as long as none of it is another.

A run is a pure function of this: the row, whoever owns it, the tools, systems and roles of both,
every policy, signature and combination, what is known of the resources that the attacks named,
the corpus, the gate, the hour and, where a policy reads it, the day; and the engine itself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from authz.engine.question import local_time, zone_named
from lifecycle.probes.ground import digest_of
from lifecycle.probes.row import PASSING, Row, instants

# Whatever of Muster a verdict can come from. What it is made with counts as well.
PACKAGES = ("audit", "authz", "governance/kernel", "lifecycle/probes", "registry")
MADE_WITH = ("cedarpy", "google-re2", "jsonschema-rs")
PROJECT = Path(__file__).parents[2]

Json = Any
# Resources that attacks named, by kind and id; None for all that there are.
Things = Sequence[Sequence[str]] | None


def engine_digest(root: Path = PROJECT) -> str:
    """What stands for the code by which verdicts come about."""
    files = sorted(path for name in PACKAGES for path in (root / name).rglob("*.py"))
    files = [path for path in files if path.parent.name != "migrations"]
    code = {str(path.relative_to(root)): digest_of(path.read_text()) for path in files}
    made_with = {name: version(name) for name in MADE_WITH}
    return digest_of([code, made_with, list(sys.version_info[:3])])


# Read as the process starts: this is the code that it runs, whatever lies there later.
ENGINE = engine_digest()


def standing_of(row: Row, now: datetime, things: Things, more: Sequence[str]) -> str:
    """A digest of all that a run rests on; `more` is what of it stands neither here nor there."""
    ground, agent = row.ground, row.agent.document
    owner: Mapping[str, Json] = row.owner.document if row.owner else {}
    roles = {*agent["roles"], *owner.get("roles", ())}
    systems = {system for tool in row.tools.values() for system in _systems_of(tool)}
    rests = {
        "engine": ENGINE,
        "shared": ground.shared,
        "agent": {name: value for name, value in agent.items() if name not in PASSING},
        "owner": row.owner.digest if row.owner else "",
        "teams": sorted(row.compiled.relations.teams.get(str(owner.get("pid")), ())),
        "tools": {name: ground.piece("tools", name) for name in row.tools},
        "systems": {name: ground.piece("systems", name) for name in systems},
        "roles": {name: ground.piece("roles", name) for name in roles},
        "about": ground.about(things),
        "time": _time(row, now),
        "more": list(more),
    }
    return digest_of(rests)


def _systems_of(tool: Mapping[str, Json]) -> Iterator[str]:
    yield str(tool["system"])
    yield from (str(access["system"]) for access in tool.get("accesses") or ())


def _time(row: Row, now: datetime) -> list[Json]:
    """The hours at which the attacks are made, and the days where a policy can read them."""
    zone = zone_named(str(row.agent.document.get("owner_zone") or ""))
    made = instants(row, now)
    dated = row.ground.is_dated(row.tools, frozenset(row.agent.document["roles"]))
    days = [each.isoformat() for each in made] if dated else []
    return [[local_time(each, zone) for each in made], days]
