"""The story of one run: what the record says of it, put together for its page. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from audit.enums import Kind
from audit.leaf import BadBody
from audit.models import Record
from audit.selectors import parse_body
from authz.engine import codes
from authz.engine.types import Effect
from authz.explain import detail_of
from governance import words
from governance.kernel.tiers import TIERS, highest, rank
from governance.pictures import Place, Run, Turn

SINKS = "flow.sinks"
_TIMES = {1: "once", 2: "twice"}
_FIXED = {
    "const": "one value",
    "enum": "listed values",
    "pattern": "a pattern",
    "maximum": "at most a number",
    "exclusiveMaximum": "below a number",
    "minimum": "at least a number",
    "exclusiveMinimum": "above a number",
}

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Call:
    """One decision of the run. `reads` and `writes` are tiers, "" for none or not known."""

    record: Record
    body: Body

    @property
    def judged(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.body.get("judged", {})
        return found

    @property
    def went_on(self) -> bool:
        """Whether the caller was told to go on: allowed, or denied in observe mode."""
        return self.record.effect == Effect.ALLOW or bool(self.judged.get("observed"))

    @property
    def reads(self) -> str:
        return str(self.judged.get("reads", ""))

    @property
    def writes(self) -> str:
        return str(self.judged.get("writes", ""))

    @property
    def label(self) -> str:
        return str(self.judged.get("label", ""))

    @property
    def taints(self) -> bool:
        """Whether the run has read untrusted input once this call was answered."""
        return bool(self.judged.get("tainted")) and (
            self.went_on or self.record.deciding_check == "taint"
        )

    @property
    def sentence(self) -> str:
        """Why it was stopped."""
        return codes.message(self.record.code, detail_of(self.body)) if self.body else ""

    def places(self) -> Iterator[Place]:
        """Where it is drawn: what went on at both of its tiers, what was stopped once."""
        if self.reads and (self.went_on or not self.writes):
            yield self._place(self.reads)
        if self.writes:
            yield self._place(self.writes, wrote=True, below=self._below)
        if not (self.reads or self.writes) and self.record.tier in TIERS:
            yield self._place(self.record.tier)

    @property
    def _below(self) -> str:
        """The label from which it would sink."""
        return self.label if self.record.code == SINKS and rank(self.label) else ""

    def _place(self, tier: str, **more: Any) -> Place:
        record = self.record
        return Place(record.at, tier, record.effect, caption=record.tool, **more)


@dataclass(frozen=True)
class Event:
    """Something that happened to the run beside its calls: opened, reported, handed on, ended."""

    record: Record
    body: Body

    @property
    def did(self) -> str:
        return str(self.body.get("asked", {}).get("did", ""))

    @property
    def tier(self) -> str:
        """What its session had read; an outcome repeats the tier of its call, which is no label."""
        return self.record.tier if self.record.kind == Kind.SESSION else ""

    @property
    def asked(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.body.get("asked", {})
        return found


@dataclass(frozen=True)
class Touched:
    """What one tool did in the run."""

    tool: str
    reads: str
    writes: str
    went_on: int
    stopped: int


@dataclass(frozen=True)
class Planned:
    """What the plan says of one tool, and what it let through once the run was tainted."""

    tool: str
    steps: tuple[tuple[tuple[str, str], ...], ...]
    let_through: int
    stopped: int


@dataclass(frozen=True)
class Story:
    """One run of one agent, oldest first."""

    calls: tuple[Call, ...]
    events: tuple[Event, ...]

    @cached_property
    def stops(self) -> list[Call]:
        return [call for call in self.calls if not call.went_on]

    @cached_property
    def stopped(self) -> list[tuple[Call, int]]:
        """The first call of each tool that stopped for a reason, and how many did."""
        found: dict[tuple[str, str, str], list[Call]] = {}
        for call in self.stops:
            key = (call.record.effect, call.record.code, call.record.tool)
            found.setdefault(key, []).append(call)
        return [(calls[0], len(calls)) for calls in found.values()]

    @cached_property
    def tainted_at(self) -> datetime | None:
        """When untrusted input was read first; at its first call where it was carried over."""
        times = [call.record.at for call in self.calls if call.taints]
        times += [event.record.at for event in self.events if event.asked.get("untrusted")]
        return min(times, default=None)

    @cached_property
    def turns(self) -> tuple[Turn, ...]:
        """The label over time: raised by what went on and by what was reported."""
        turns: list[Turn] = []
        for at, tier in self._labels():
            if not turns or turns[-1].tier != tier:
                turns.append(Turn(at, tier))
        return tuple(turns)

    def _labels(self) -> Iterator[tuple[datetime, str]]:
        told = [(call.record.at, call.label) for call in self._labelling()]
        opened = [(e.record.at, e.tier) for e in self.events if e.tier in TIERS]
        label = TIERS[0]
        for at, tier, judged in sorted(
            [(at, tier, True) for at, tier in told] + [(at, tier, False) for at, tier in opened]
        ):
            # What an event says leaves out what the agent carries; it can only raise.
            label = tier if judged else highest([label, tier])
            yield at, label

    def _labelling(self) -> Iterator[Call]:
        """Calls whose label is the run's: what a stopped one would have read was not read."""
        for call in self.calls:
            if call.label in TIERS and (call.went_on or not call.reads):
                yield call

    @cached_property
    def run(self) -> Run:
        places = tuple(place for call in self.calls for place in call.places())
        return Run(places, self.turns, self.tainted_at)

    @cached_property
    def read(self) -> str:
        """The highest tier that the run itself read; "" for nothing."""
        tiers = [call.reads for call in self.calls if call.went_on and call.reads]
        return highest(tiers) if tiers else ""

    @property
    def label(self) -> str:
        return self.run.label

    @property
    def title(self) -> str:
        """The answer in one sentence."""
        if not self.calls:
            return "This run has asked for nothing"
        *most, last = [*self._read_words(), self._stop_words()]
        return f"This run {', '.join(most)} and {last}"

    def _read_words(self) -> list[str]:
        found = [f"{self.read} data"] if self.read else []
        found += ["untrusted input"] if self.tainted_at else []
        said = [f"read {' and '.join(found) or 'nothing'}"]
        if rank(self.label) > rank(self.read or TIERS[0]):
            said.append(f"counts as {self.label}")
        return said

    def _stop_words(self) -> str:
        counts = Counter(call.record.effect for call in self.stops)
        parts = [
            f"{word} {_times(counts[effect])}"
            for effect, word in (("deny", "stopped"), ("hold", "held"))
            if counts[effect]
        ]
        return f"was {' and '.join(parts)}" if parts else "was never stopped"

    @cached_property
    def touched(self) -> list[Touched]:
        """By tool: the tiers that it reads and writes, and how often it went on."""
        counts: dict[tuple[str, str, str], Counter[bool]] = {}
        for call in self.calls:
            key = (call.record.tool, call.reads, call.writes)
            counts.setdefault(key, Counter())[call.went_on] += 1
        return [Touched(*key, found[True], found[False]) for key, found in counts.items()]

    @property
    def handed(self) -> list[Event]:
        """The extracts that were handed on."""
        return [event for event in self.events if event.did == "extract_handed"]

    @property
    def received(self) -> list[Event]:
        """The extracts that came from other runs of the agent."""
        return [event for event in self.events if event.did == "extract_received"]

    @cached_property
    def outside(self) -> list[Call]:
        """What the plan, or its absence, held up."""
        return [call for call in self.calls if call.record.deciding_check == "taint"]

    @property
    def plan_record(self) -> Record | None:
        """The entry in which the plan lies sealed."""
        dids = ("plan_declared", "session_opened")
        kept = [event for event in self.events if "plan" in event.asked.get("digests", {})]
        return next((event.record for event in kept if event.did in dids), None)

    def planned(self, plan: Mapping[str, Any]) -> list[Planned]:
        """The plan by tool. Values that it names lie sealed and are opened from the record."""
        steps: dict[str, list[tuple[tuple[str, str], ...]]] = {}
        for step in plan["steps"]:
            fixed = tuple((name, _fixed(rule)) for name, rule in step["parameters"].items())
            steps.setdefault(str(step["tool"]), []).append(fixed)
        since = self.tainted_at
        after = [call for call in self.calls if since and call.record.at > since]
        through = Counter(call.record.tool for call in after if call.went_on)
        stopped = Counter(call.record.tool for call in self.outside)
        return [
            Planned(tool, tuple(each), through[tool], stopped[tool]) for tool, each in steps.items()
        ]


def story_of(records: Iterable[Record]) -> Story:
    """The story that these entries of one run tell."""
    calls: list[Call] = []
    events: list[Event] = []
    for record in records:
        if record.kind == Kind.DECISION:
            calls.append(Call(record, body_of(record)))
        elif record.kind in (Kind.SESSION, Kind.OUTCOME):
            events.append(Event(record, body_of(record)))
    return Story(tuple(calls), tuple(events))


def body_of(record: Record) -> Body:
    """What the entry says; nothing of one that was tampered with, which its own page tells."""
    try:
        return parse_body(record)
    except BadBody:
        return {}


def _fixed(rule: Mapping[str, Any]) -> str:
    """What a step fixes of a parameter, in words and without the values."""
    items = rule.get("items")
    said = [_FIXED[keyword] for keyword in _FIXED if keyword in rule]
    if isinstance(items, Mapping):
        said += [f"{_FIXED[keyword]} for each item" for keyword in _FIXED if keyword in items]
    return ", ".join(said) or "its shape alone"


def _times(count: int) -> str:
    return _TIMES.get(count) or f"{words.number_word(count)} times"
