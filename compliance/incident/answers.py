"""What happened, who caused it, was it authorized: from entries and the facts about them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from audit.enums import Kind
from audit.explain import Behind
from audit.models import Record
from authz.engine.types import Effect
from compliance.incident.entries import Entry, many
from compliance.incident.facts import Facts, emergency_of, hold_of

# How many chains a page draws.
DRAWN = 5

# What happened


@dataclass(frozen=True)
class Stop:
    """Calls that stopped for one reason, and the first of them."""

    entry: Entry
    times: int


@dataclass(frozen=True)
class What:
    """Counts, and where it stopped."""

    decisions: int
    others: int
    counts: Mapping[str, int]
    stops: tuple[Stop, ...]

    @property
    def title(self) -> str:
        """The answer in a few words: the unusual first."""
        if not self.decisions:
            return "Nothing was asked for" if not self.others else "Nothing was decided"
        order = [("deny", "denied"), ("hold", "held"), ("allow", "allowed")]
        said = [f"{self.counts[name]:,} {word}" for name, word in order if self.counts.get(name)]
        return ", ".join(said)

    @property
    def more(self) -> str:
        """What the few words leave out."""
        if self.stops:
            first = self.stops[0]
            times = f", {first.times:,} times" if first.times > 1 else ""
            tool, code = first.entry.record.tool or "a call", first.entry.record.code
            return f"Most often {tool}: {code}{times}"
        if not self.decisions:
            return many(self.others, "entry", "entries")
        return "Nothing was stopped"


def what(entries: Sequence[Entry]) -> What:
    """What happened: each decision in earnest, and where calls stopped."""
    decided = [entry for entry in entries if entry.is_decision]
    counts = Counter(entry.record.effect for entry in decided)
    stops: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in reversed(decided):
        if entry.record.effect != Effect.ALLOW:
            key = (entry.record.effect, entry.record.code, entry.record.tool)
            stops.setdefault(key, []).append(entry)
    ranked = sorted(stops.values(), key=len, reverse=True)
    return What(
        decisions=len(decided),
        others=len(entries) - len(decided),
        counts=dict(counts),
        stops=tuple(Stop(each[0], len(each)) for each in ranked),
    )


# Who caused it


@dataclass(frozen=True)
class Cause:
    """Calls of one agent, or one person alone, that came the same way."""

    agent: str
    user: str
    gateway: str
    chain: tuple[str, ...]
    owners: tuple[str, ...]
    pattern: str
    counts: Mapping[str, int]
    first: datetime
    last: datetime
    runs: tuple[str, ...]
    # From the user to the agent that called; () where it called for itself.
    behind: tuple[Behind, ...] = ()

    @property
    def calls(self) -> int:
        return sum(self.counts.values())

    @property
    def allowed(self) -> int:
        return self.counts.get(Effect.ALLOW, 0)

    @property
    def stopped(self) -> int:
        return self.calls - self.allowed


@dataclass(frozen=True)
class Deed:
    """What somebody did besides: a change, an approval, a look; how often, and the first."""

    actor: str
    did: str
    entry: Entry
    times: int


@dataclass(frozen=True)
class Who:
    """Who asked, on whose behalf, who answered for it, and who did something about it."""

    causes: tuple[Cause, ...]
    deeds: tuple[Deed, ...]

    @property
    def title(self) -> str:
        names = list(dict.fromkeys(each.agent or each.user for each in self.causes))
        if not names:
            return self.deeds[0].actor if self.deeds else "Nobody"
        rest = len(names) - 1
        return f"{names[0]} and {many(rest, 'other', 'others')}" if rest else names[0]

    @property
    def drawn(self) -> list[tuple[str, Cause]]:
        """Callers that did not call for themselves, each with a key of its own on the page."""
        acting = [each for each in self.causes if each.behind][:DRAWN]
        return [(f"chain-{place}", each) for place, each in enumerate(acting)]

    @property
    def more(self) -> str:
        if not self.causes:
            return ""
        first = self.causes[0]
        owners = " and ".join(first.owners) or "not known"
        acting = f"acting for {first.user}" if first.user else "acting as itself"
        if not first.agent:
            return "a person alone"
        return f"owner then {owners}; {acting}"


def who(entries: Sequence[Entry], facts: Facts) -> Who:
    """Who caused it: callers by how often they were stopped, then deeds of people."""
    return Who(tuple(_causes(entries, facts)), tuple(_deeds(entries, facts)))


def _causes(entries: Sequence[Entry], facts: Facts) -> list[Cause]:
    grouped: dict[tuple[str, str, str, tuple[str, ...]], list[Entry]] = {}
    for entry in reversed(entries):
        if entry.is_decision:
            record = entry.record
            key = (record.agent, record.user, record.gateway, entry.hands)
            grouped.setdefault(key, []).append(entry)
    found = [_cause(key, each, facts) for key, each in grouped.items()]
    return sorted(found, key=lambda cause: (-cause.stopped, -cause.calls))


def _cause(
    key: tuple[str, str, str, tuple[str, ...]], entries: Sequence[Entry], facts: Facts
) -> Cause:
    agent, user, gateway, chain = key
    owners = dict.fromkeys(facts.name(entry.owner) for entry in entries if entry.owner)
    patterns = [str(entry.body.get("judged", {}).get("pattern", "")) for entry in entries]
    return Cause(
        agent=agent,
        user=facts.name(user),
        gateway=gateway,
        chain=chain,
        owners=tuple(owners),
        pattern=next((each for each in reversed(patterns) if each), ""),
        counts=dict(Counter(entry.record.effect for entry in entries)),
        first=entries[0].record.at,
        last=entries[-1].record.at,
        runs=tuple(
            dict.fromkeys(entry.record.session for entry in entries if entry.record.session)
        ),
        behind=_behind(entries, facts),
    )


def _behind(entries: Sequence[Entry], facts: Facts) -> tuple[Behind, ...]:
    """Whose calls these alike were. What a caller only said stays so."""
    entry = entries[-1]
    record = entry.record
    if not record.agent or not (record.user or entry.hands):
        return ()
    went_on = any(each.record.effect == Effect.ALLOW for each in entries)
    lets, hands = ("lets it act", "hands over") if went_on else ("", "")
    kind = "agent" if entry.givers else "named"
    caller = "agent" if record.agent in facts.registered else "named"
    return (
        *([Behind("person", facts.name(record.user), lets)] if record.user else []),
        *(Behind(kind, each, hands) for each in reversed(entry.hands)),
        Behind(caller, record.agent),
    )


def _deeds(entries: Sequence[Entry], facts: Facts) -> list[Deed]:
    grouped: dict[tuple[str, str], list[Entry]] = {}
    for entry in reversed(entries):
        if entry.record.kind not in (Kind.DECISION, Kind.OUTCOME):
            grouped.setdefault((facts.name(entry.record.actor), entry.did), []).append(entry)
    found = [Deed(actor, did, each[0], len(each)) for (actor, did), each in grouped.items()]
    return sorted(found, key=lambda deed: not deed.entry.record.actor.startswith("p_"))


# Was it authorized


@dataclass(frozen=True)
class Ground:
    """Why calls alike ended so: the deciding check, what stood for it, and who said yes."""

    entry: Entry
    times: int

    @property
    def record(self) -> Record:
        return self.entry.record


@dataclass(frozen=True)
class Authorized:
    """Every decision by its ground."""

    grounds: tuple[Ground, ...]
    allowed: int
    by_person: int
    under_emergency: int
    observed: int
    refused: Mapping[str, int]

    @property
    def title(self) -> str:
        if not self.grounds:
            return "Nothing to authorize"
        said = [f"{self.allowed:,} allowed"] if self.allowed else ["Nothing was allowed"]
        if self.by_person:
            said.append(f"{self.by_person:,} by a person's word")
        return ", ".join(said)

    @property
    def more(self) -> str:
        stopped = sum(self.refused.values())
        checks = ", ".join(f"{times:,} {check}" for check, times in self.refused.items())
        said = [f"{stopped:,} stopped: {checks}"] if stopped else []
        said += [f"{self.observed:,} went on because the row was observed"] if self.observed else []
        if self.under_emergency:
            said.append(f"{self.under_emergency:,} under emergency access")
        return "; ".join(said)


def authorized(entries: Sequence[Entry]) -> Authorized:
    """Was it authorized: grounds with what was stopped first, then what a person allowed."""
    decided = [entry for entry in reversed(entries) if entry.is_decision]
    grouped: dict[tuple[Any, ...], list[Entry]] = {}
    for entry in decided:
        grouped.setdefault(_ground_key(entry), []).append(entry)
    grounds = [Ground(each[0], len(each)) for each in grouped.values()]
    refused = Counter(e.record.deciding_check for e in decided if e.record.effect != Effect.ALLOW)
    return Authorized(
        grounds=tuple(sorted(grounds, key=_loudness)),
        allowed=sum(entry.record.effect == Effect.ALLOW for entry in decided),
        by_person=sum(_by_person(entry) for entry in decided),
        under_emergency=sum(bool(emergency_of(entry.body)) for entry in entries),
        observed=sum(entry.went_on and entry.record.effect != Effect.ALLOW for entry in decided),
        refused=dict(refused.most_common()),
    )


def _ground_key(entry: Entry) -> tuple[Any, ...]:
    record = entry.record
    uids = tuple(policy.uid for policy in entry.policies)
    return (
        *(record.effect, record.code, record.tool, record.agent, record.user, record.mode),
        *(uids, entry.roles, entry.limits, hold_of(entry.body), emergency_of(entry.body)),
    )


def _loudness(ground: Ground) -> tuple[int, int]:
    order = {"deny": 0, "hold": 1}
    return order.get(ground.record.effect, 2 if _by_person(ground.entry) else 3), -ground.times


def _by_person(entry: Entry) -> bool:
    """Whether it ran because a human had said yes to exactly this."""
    released = entry.body.get("settled", {}).get("release")
    return bool(released) and entry.record.effect == Effect.ALLOW
