"""What a run has read: how sensitive, whether hostile, of which categories. It only rises."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from governance.kernel.tiers import TIERS, highest, rank

TIER, TAINT, CATEGORY = "tier", "taint", "category"


@dataclass(frozen=True, slots=True)
class Reading:
    """The highest tier, whether any of it came from outside the trust boundary, the categories."""

    tier: str = TIERS[0]
    untrusted: bool = False
    categories: frozenset[str] = frozenset()

    def __or__(self, other: Reading) -> Reading:
        # Most calls have read nothing, which adds nothing.
        if other is NOTHING or self == other:
            return self
        if self is NOTHING:
            return other
        return Reading(
            highest([self.tier, other.tier]),
            self.untrusted or other.untrusted,
            self.categories | other.categories,
        )

    def covers(self, other: Reading) -> bool:
        """Whether `other` adds nothing."""
        return self | other == self

    def facts(self) -> Iterator[str]:
        """Each fact by the name under which it is carried; nothing public is worth a name."""
        if rank(self.tier):
            yield f"{TIER}:{self.tier}"
        if self.untrusted:
            yield TAINT
        yield from (f"{CATEGORY}:{category}" for category in sorted(self.categories))

    def document(self) -> dict[str, Any]:
        return {
            "tier": self.tier,
            "untrusted": self.untrusted,
            "categories": sorted(self.categories),
        }


NOTHING = Reading()


class Source(Protocol):
    """A place that can be read."""

    @property
    def tier(self) -> str: ...

    @property
    def trusted(self) -> bool: ...

    @property
    def categories(self) -> tuple[str, ...]: ...


def reading_of(places: Iterable[Source]) -> Reading:
    """What a run knows once it has read these places."""
    found = list(places)
    if not found:
        return NOTHING
    return Reading(
        highest(place.tier for place in found),
        any(not place.trusted for place in found),
        frozenset(category for place in found for category in place.categories),
    )


def reading_in(document: Mapping[str, Any]) -> Reading:
    """The reading that a session's document holds."""
    return Reading(
        str(document["tier"]),
        bool(document["untrusted"]),
        frozenset(map(str, document["categories"])),
    )


def carried(until: Mapping[str, Any], now: datetime) -> Reading:
    """What an agent still carries of its earlier runs: each fact counts up to its instant."""
    if not until:
        return NOTHING
    live = [name for name, instant in until.items() if datetime.fromisoformat(instant) > now]
    parts = [name.partition(":") for name in live]
    return Reading(
        highest(value for kind, _, value in parts if kind == TIER),
        TAINT in live,
        frozenset(value for kind, _, value in parts if kind == CATEGORY),
    )
