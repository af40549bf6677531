"""Entries of the record that are looked at one by one: is each as it was written?"""

from __future__ import annotations

from collections.abc import Collection

from audit import figures, selectors
from audit.models import Record
from compliance.evidence.look import Look
from compliance.evidence.types import Exceptional, Sampled

MANY = 10


def spread(
    look: Look,
    *,
    effect: str = "",
    check: str = "",
    tools: Collection[str] | None = None,
    decisions: bool = True,
) -> list[Sampled]:
    """Some decisions of the period, or entries of every kind, spread over it; the same ones
    whenever it is asked."""
    found = figures.sample(
        look.since,
        look.until,
        many=MANY,
        agents=look.only,
        effect=effect,
        check=check,
        tools=tools,
        decisions=decisions,
    )
    return [_looked_at(each) for each in found]


def _looked_at(record: Record) -> Sampled:
    return Sampled(
        record=str(record.id),
        at=record.at,
        kind=record.kind,
        agent=record.agent,
        tool=record.tool,
        effect=record.effect,
        check=record.deciding_check,
        leaf=bytes(record.leaf).hex(),
        whole=not selectors.faults(record),
    )


def damaged(sample: Collection[Sampled]) -> list[Exceptional]:
    """Those that are not as they were written."""
    return [
        Exceptional(
            "An entry is not as it was written: its columns, its body and its leaf differ.",
            agent=each.agent,
            since=each.at,
            record=each.record,
        )
        for each in sample
        if not each.whole
    ]
