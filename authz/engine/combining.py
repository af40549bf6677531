"""Which toxic combinations a run has come to, and what that makes of it.

A combination is `{"slug", "categories", "effects", "tier"}`. A run completes it by what it has
read, and, where an effect of a tool is part of it, by a call that has that effect. Where an answer
says so (`output_tiers` of the agent) any part of a combination counts as all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from authz.engine.reading import NOTHING, Reading
from authz.engine.types import Json
from governance.kernel.tiers import TIERS, highest, rank

PRIVATE_DATA, UNTRUSTED_CONTENT = "private_data", "untrusted_content"
_PRIVATE = TIERS.index("confidential")

Facts = Mapping[str, Json]


def completed(
    toxic: Iterable[Facts], reading: Reading, effect: str = "", may: frozenset[str] = frozenset()
) -> tuple[Facts, ...]:
    """The combinations that a run with this reading completes.

    `effect` is that of the call, `may` are those of all tools of the row: of several effects one
    is the call's, and the others lie within its reach.
    """
    if reading is NOTHING:
        return ()
    return tuple(one for one in toxic if _is_complete(one, reading, effect, may))


def _is_complete(one: Facts, reading: Reading, effect: str, may: frozenset[str]) -> bool:
    if not reading.categories.issuperset(one["categories"]):
        return False
    lacking = set(one.get("effects") or ()) - read_effects(reading)
    return not lacking or (effect in lacking and lacking - {effect} <= may)


def read_effects(reading: Reading) -> set[str]:
    """What of a combination lies in the reading itself, beside its categories."""
    found = {PRIVATE_DATA} if rank(reading.tier) >= _PRIVATE else set()
    return found | {UNTRUSTED_CONTENT} if reading.untrusted else found


def touched(parts: Iterable[Facts], reading: Reading) -> tuple[Facts, ...]:
    """Those of which the reading has any part."""
    if reading is NOTHING:
        return ()
    return tuple(one for one in parts if _has_part(one, reading))


def _has_part(one: Facts, reading: Reading) -> bool:
    return not reading.categories.isdisjoint(one["categories"]) or not read_effects(
        reading
    ).isdisjoint(one.get("effects") or ())


def tier_of(raising: Iterable[Facts]) -> str:
    """The highest tier that these imply; public for none."""
    return highest(str(one["tier"]) for one in raising)


def raised(reading: Reading, raising: Sequence[Facts]) -> Reading:
    """What is read, at the tier that it came to: what a run keeps, and its agent carries.

    Only combinations of which this reading has a part count, so that each fact is as old as the
    reading that made it so.
    """
    if not raising or reading is NOTHING:
        return reading
    implied = tier_of(touched(raising, reading))
    return replace(reading, tier=highest([reading.tier, implied]))
