"""The runs of an incident, and what came along with them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from authz.engine.reading import TAINT
from compliance.incident.entries import Entry
from compliance.incident.facts import Facts
from governance.kernel.tiers import TIERS, highest


@dataclass(frozen=True)
class RunHere:
    """One run of those that are shown: its label, and the taint that it began with or took on."""

    name: str
    agent: str
    label: str
    tainted: bool
    carried: bool
    calls: int
    stopped: int
    first: datetime
    last: datetime
    opened: bool


def runs(entries: Sequence[Entry], facts: Facts) -> list[RunHere]:
    """The runs that these decisions belong to, oldest first."""
    grouped: dict[tuple[str, str], list[Entry]] = {}
    for entry in reversed(entries):
        if entry.call and entry.record.session:
            grouped.setdefault((entry.record.session, entry.record.agent), []).append(entry)
    return [_run(key, each, facts) for key, each in grouped.items()]


def _run(key: tuple[str, str], entries: Sequence[Entry], facts: Facts) -> RunHere:
    name, agent = key
    calls = [entry.call for entry in entries if entry.call]
    labels = [call.label for call in calls if call.label in TIERS]
    return RunHere(
        name=name,
        agent=agent,
        label=highest(labels) if labels else "",
        tainted=any(call.taints for call in calls),
        carried=_carries_taint(entries[0]),
        calls=len(calls),
        stopped=sum(not call.went_on for call in calls),
        first=entries[0].record.at,
        last=entries[-1].record.at,
        opened=name in facts.runs,
    )


def _carries_taint(entry: Entry) -> bool:
    """Whether the agent had read untrusted input before this run, and shares memory with it."""
    known = any(fact.partition(":")[0] == TAINT for fact in entry.then.carried)
    return known and bool(entry.body.get("judged", {}).get("tainted"))
