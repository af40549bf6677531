"""What data was touched, by the tools and systems as they were declared then. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from compliance.incident.entries import Entry, many
from compliance.incident.facts import Facts
from governance.kernel.tiers import TIERS, highest, place_of

READS, WRITES = "reads", "writes"
MOST_CATEGORIES = 8
MOST_RESOURCES = 12


class Place(NamedTuple):
    """Where a call reads or writes: a system, what of it, and how."""

    system: str
    name: str
    direction: str


@dataclass
class Touched:
    """One system: what of it was read and written, and how often it would have been.

    `records` were reported as touched, `changed` is what the calls said that they change.
    `tools` says of each whether a call of it went on.
    """

    system: str
    known: Mapping[str, Any]
    reads: int = 0
    writes: int = 0
    stopped: int = 0
    records: int = 0
    changed: int = 0
    tiers: set[str] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)
    resources: Counter[str] = field(default_factory=Counter)
    tools: dict[str, bool] = field(default_factory=dict)

    @property
    def was_touched(self) -> bool:
        return bool(self.reads or self.writes)

    @property
    def tier(self) -> str:
        """The highest of what was touched; of what was not, that of the whole system."""
        return highest(self.tiers) if self.tiers else str(self.known.get("tier", ""))

    @property
    def categories(self) -> list[str]:
        return sorted(self.kinds)

    @property
    def shown_resources(self) -> list[tuple[str, str, int]]:
        """The resources that a page has room for, most often touched first: whole, and its id."""
        found = self.resources.most_common(MOST_RESOURCES)
        return [(whole, whole.partition("/")[2], times) for whole, times in found]

    @property
    def more_resources(self) -> int:
        return max(len(self.resources) - MOST_RESOURCES, 0)

    @property
    def is_untrusted(self) -> bool:
        return self.known.get("trust") == "untrusted"


@dataclass(frozen=True)
class Data:
    """Every system that was touched or would have been, from restricted down; money spent."""

    systems: tuple[Touched, ...]
    spent: Mapping[str, int]

    @property
    def touched(self) -> tuple[Touched, ...]:
        return tuple(each for each in self.systems if each.was_touched)

    @property
    def tier(self) -> str:
        """The highest that was touched; "" for none."""
        tiers = [each.tier for each in self.touched if each.tier in TIERS]
        return highest(tiers) if tiers else ""

    @property
    def categories(self) -> list[str]:
        return sorted({name for each in self.touched for name in each.kinds})

    @property
    def more(self) -> str:
        """Beside the tier: how much of what."""
        if not self.touched:
            return "no call that went on touched a system"
        resources = sum(len(each.resources) for each in self.touched)
        records = sum(each.records for each in self.touched)
        said = [many(len(self.touched), "system", "systems")]
        said += [many(resources, "resource", "resources")] if resources else []
        said += [f"{many(records, 'record', 'records')} reported"] if records else []
        return ", ".join([*said, *(name.replace("-", " ") for name in self.categories[:3])])


def data(entries: Sequence[Entry], outcomes: Sequence[Entry], facts: Facts) -> Data:
    """What was touched. `outcomes` are all that were reported of these decisions."""
    found: dict[str, Touched] = {}
    for entry in reversed(entries):
        if entry.call:
            _touch(found, entry, facts)
    spent: Counter[str] = Counter()
    calls = {entry.record.id: entry for entry in entries if entry.call}
    for outcome in outcomes:
        call = calls.get(outcome.record.parent) if outcome.record.parent else None
        if call is not None:
            _report(found, outcome, call, spent)
    kept = {name: amount for name, amount in spent.items() if amount}
    return Data(tuple(sorted(found.values(), key=_rank)), kept)


def _rank(touched: Touched) -> tuple[bool, int, str]:
    order = TIERS.index(touched.tier) if touched.tier in TIERS else -1
    return not touched.was_touched, -order, touched.system


def _touch(found: dict[str, Touched], entry: Entry, facts: Facts) -> None:
    for place in places(entry, facts):
        known = facts.world.systems.get(place.system) or {}
        touched = found.setdefault(place.system, Touched(place.system, known))
        touched.tools[entry.record.tool] = entry.went_on or touched.tools.get(
            entry.record.tool, False
        )
        if entry.went_on:
            _count(touched, entry, place)
        else:
            touched.stopped += 1


def _count(touched: Touched, entry: Entry, place: Place) -> None:
    tier, categories = _of(touched.known, place.name, entry)
    touched.tiers |= {tier} if tier in TIERS else set()
    touched.kinds |= set(categories)
    if place.direction == WRITES:
        touched.writes += 1
        touched.changed += _number(entry.body.get("settled", {}).get("quota") or {}, "records")
    else:
        touched.reads += 1
    system, _, name = entry.record.resource.partition("/")
    if name and system == touched.system:
        touched.resources[entry.record.resource] += 1


def _of(known: Mapping[str, Any], name: str, entry: Entry) -> tuple[str, Sequence[str]]:
    """Tier and categories of a place; of a system that is not known, the tier of the call."""
    return place_of(known, name) if known.get("resources") is not None else (entry.record.tier, ())


def _number(told: Mapping[str, Any], name: str) -> int:
    value = told.get(name)
    return value if isinstance(value, int) else 0


def system_of(entry: Entry) -> str:
    """The system of a call's resource; of one without, the system of its tool."""
    named = str(entry.body.get("judged", {}).get("resource", {}).get("type", ""))
    tool = entry.facts.world.tools.get(entry.record.tool) or {}
    return named or entry.record.resource.partition("/")[0] or str(tool.get("system", ""))


def places(entry: Entry, facts: Facts) -> Iterator[Place]:
    """Where a call reads and writes, by its tool as it was declared then."""
    tool = facts.world.tools.get(entry.record.tool) or {}
    accesses = tool.get("accesses") or ()
    system, name = system_of(entry), entry.record.resource.partition("/")[2]
    if not accesses and system:
        written = bool(entry.call and entry.call.writes)
        yield Place(system, name, WRITES if written else READS)
    yield from dict.fromkeys(
        Place(
            str(access["system"]),
            str(access["resource"]) or (name if access["system"] == system else ""),
            str(access["direction"]),
        )
        for access in accesses
    )


def _report(found: dict[str, Touched], outcome: Entry, call: Entry, spent: Counter[str]) -> None:
    touched = found.get(system_of(call))
    if touched:
        touched.records += _number(outcome.asked, "records")
    currency = str(outcome.asked.get("currency") or "EUR")
    spent[currency] += _number(outcome.asked, "cost_minor")


# What to propose


def combination(found: Data, facts: Facts) -> dict[str, list[str]]:
    """The categories and effects that came together in what went on, as a proposal takes them."""
    read = {name for each in found.touched if each.reads for name in each.kinds}
    tools = {tool for each in found.touched for tool, went_on in each.tools.items() if went_on}
    effects = {str((facts.world.tools.get(tool) or {}).get("effect", "")) for tool in tools}
    did = sorted(effects - {"", "read"})
    if any(each.is_untrusted and each.reads for each in found.touched):
        did.append("untrusted_content")
    return {"categories": sorted(read)[:MOST_CATEGORIES], "effects": did}


def why_no_combination(found: Mapping[str, Iterable[str]]) -> str:
    """Why nothing can be proposed from what was found; "" where it can."""
    if len([*found["categories"], *found["effects"]]) >= 2:
        return ""
    return "Fewer than two kinds of data or effects came together in what went on."
