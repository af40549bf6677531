"""The row under test: the facts that decisions about it would read, as if it were live.

The slices are read past the process's own kept ones, since a probe also runs inside a
transaction that changes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from authz import slices
from authz.engine.targets import READ, Target, touched
from authz.engine.types import Document, Slice
from authz.engine.world import Thing, World
from governance.kernel.errors import NotFound
from governance.kernel.tiers import TIERS, rank
from lifecycle.probes.ground import Ground, read_ground, slice_of
from lifecycle.probes.values import merged, required
from registry.rules import LIMITS

UNLIMITED = 2**31 - 1
OFFICE, NIGHT = time(11, 0), time(3, 0)
WEDNESDAY, SUNDAY = 2, 6
# What a live row has, whatever the state that this one is in.
_LIVE: Mapping[str, Any] = {
    "state": "active",
    "owner_employment": "employed",
    "observe_until": None,
    "carried": {},
}
# What of the agent's slice says nothing of what it may do; its tier follows from the rest.
PASSING = frozenset({*_LIVE, "client_version", "revoked", "tier"})

Json = Any
Facts = Mapping[str, Json]


@dataclass(frozen=True)
class Row:
    """One agent's row with the part of the world that it is judged by.

    `things` gathers the resources of declared types that calls were about.
    """

    agent: Slice
    ground: Ground
    owner: Slice | None
    things: set[Thing] = field(default_factory=set)
    _parameters: dict[str, dict[str, Facts]] = field(default_factory=dict)

    @property
    def slug(self) -> str:
        return str(self.agent.document["slug"])

    @property
    def world(self) -> Slice:
        return self.ground.world

    @property
    def compiled(self) -> World:
        return self.ground.compiled

    @cached_property
    def tools(self) -> dict[str, Facts]:
        """The tools of the row, by name: what is consequential first, as it matters most."""
        listed: Facts = self.agent.document["allowlist"]
        known: Facts = self.world.document["tools"]
        names = sorted(listed, key=lambda name: (known[name]["effect"] == READ, name))
        return {name: known[name] for name in names}

    @cached_property
    def others(self) -> list[str]:
        """Registered tools that the row does not have, what is consequential first."""
        known: Facts = self.world.document["tools"]
        names = [name for name in known if name not in self.tools]
        return sorted(names, key=lambda name: (known[name]["effect"] == READ, name))

    def narrowing(self, tool: str) -> Facts:
        entry: Facts = self.agent.document["allowlist"].get(tool) or {}
        found: Facts = entry.get("narrowing") or {}
        return found

    def schema(self, tool: str) -> Facts:
        found: Facts = self.world.document["tools"][tool].get("schema") or {}
        return found

    def parameters(self, tool: str) -> dict[str, Facts]:
        """Parameter → what tool and row together ask of it."""
        if tool not in self._parameters:
            self._parameters[tool] = merged(self.schema(tool), self.narrowing(tool))
        return self._parameters[tool]

    def required(self, tool: str) -> list[str]:
        return required(self.schema(tool), self.narrowing(tool))

    def brings_outside_text(self, tool: str) -> bool:
        """Does a read bring text that its writer could have been anyone?

        By the register's word on the system; and a tool that fetches an address that the caller
        chooses does so whatever the register says.
        """
        facts = self.tools[tool]
        if facts["effect"] != READ:
            return False
        places = touched(facts, _anywhere(facts), self.compiled.systems, "reads")
        return any(not place.trusted for place in places) or self.fetches(tool)

    def reaches_out(self, facts: Facts) -> bool:
        """Does a read ask for something at an address in the public and hostile outside?"""
        system = self.compiled.systems.get(str(facts["system"])) or {}
        outside = system.get("tier") == TIERS[0] and system.get("trust") != "trusted"
        return outside and bool(facts.get("resource") or facts.get("recipient"))

    def acts(self, tool: str) -> bool:
        """Does a call of it change something, or reach out to an address?"""
        facts = self.world.document["tools"].get(tool)
        return facts is None or facts["effect"] != READ or self.reaches_out(facts)

    def fetches(self, tool: str) -> bool:
        """Does a read go to an address that the caller chooses?"""
        facts = self.tools[tool]
        if facts["effect"] != READ:
            return False
        if self.reaches_out(facts):
            return True
        name = str(facts.get("resource") or facts.get("recipient") or "")
        rule = self.parameters(tool).get(name, {})
        if "enum" in rule or "const" in rule:
            return False
        address = str(rule.get("format", "")) in {"uri", "iri", "uri-reference"}
        return address or str(rule.get("pattern", "")) in {"^https://", "^https?://", "^http"}

    def guarded_tier(self, tool: str) -> int:
        """How sensitive the own data is that a read brings: its tier, at least 1 with categories.

        0 where it is public, marked as nothing, or nobody's own.
        """
        facts = self.tools[tool]
        if facts["effect"] != READ or self.brings_outside_text(tool):
            return 0
        places = touched(facts, _anywhere(facts), self.compiled.systems, "reads")
        return max((max(rank(one.tier), bool(one.categories)) for one in places), default=0)


def _anywhere(facts: Facts) -> Target:
    return Target(str(facts["system"]), "", True)


def read_row(slug: str, *, tier: str) -> Row:
    """The row as the database has it in this transaction; `NotFound` if there is none."""
    for row in read_rows({slug: tier}):
        return row
    raise NotFound(f"There is no agent {slug[:80]}.")


def read_rows(tiers: Mapping[str, str]) -> list[Row]:
    """The rows of these agents, each with the tier that it is to have."""
    ground = read_ground()
    agents = slices.read(f"agent:{slug}" for slug in tiers)
    found = [each.document for each in agents if each.document]
    people = slices.read({f"user:{agent['owner']}" for agent in found})
    owners = {each.key: slice_of(each.key, each.document) for each in people if each.document}
    return [
        Row(
            agent=slice_of(f"agent:{agent['slug']}", _as_live(agent, tiers[agent["slug"]])),
            ground=ground,
            owner=owners.get(f"user:{agent['owner']}"),
        )
        for agent in found
    ]


def _as_live(agent: Document, tier: str) -> dict[str, Json]:
    limits = {
        name: UNLIMITED if value is None and name in LIMITS else value
        for name, value in agent["limits"].items()
    }
    return {**agent, **_LIVE, "tier": tier, "limits": limits}


def instants(row: Row, now: datetime) -> tuple[datetime, datetime]:
    """The next Wednesday at eleven and the next Sunday at three, where the owner is.

    Policies may look at the time, and an attacker has all of it. It is always the same two days,
    so that what a policy makes of the hour and of the weekday does not change from day to day.
    """
    zone = ZoneInfo(str(row.agent.document.get("owner_zone") or "UTC"))
    today = now.astimezone(zone).date()
    ahead = {day.weekday(): day for day in (today + timedelta(days=n) for n in range(1, 8))}
    return (
        datetime.combine(ahead[WEDNESDAY], OFFICE, zone).astimezone(UTC),
        datetime.combine(ahead[SUNDAY], NIGHT, zone).astimezone(UTC),
    )
