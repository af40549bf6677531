"""Tiers as plain words, and the resource that a name means: the longest match wins.

Plain values in: the register's reach and the decision's classification are the same rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

TIERS = ("public", "internal", "confidential", "restricted")
RESTRICTED = TIERS[-1]
# After how many months an agent of a tier is renewed where nobody says otherwise, and at most.
MONTHS_TO_RENEWAL = {
    "public": (18, 24),
    "internal": (18, 24),
    "confidential": (12, 12),
    "restricted": (6, 6),
}
_RANKS = {tier: number for number, tier in enumerate(TIERS)}

Facts = Mapping[str, Any]


def rank(tier: str) -> int:
    """0 for public to 3 for restricted; what is no tier counts as restricted."""
    return _RANKS.get(tier, len(TIERS) - 1)


def wrong_months(tier: str, months: int) -> str:
    """What is wrong with renewing agents of this tier after so many months; empty if nothing."""
    most = MONTHS_TO_RENEWAL[tier][1]
    return "" if 0 < months <= most else f"must be a month or more, and at most {most}."


def highest(tiers: Iterable[str]) -> str:
    """The most sensitive of `tiers`; public where there is none."""
    return TIERS[max(map(rank, tiers), default=0)]


def most_specific(resources: Iterable[Facts], name: str) -> Facts | None:
    """The resource that `name` falls under: longest match, an exact one before a prefix.

    Each resource is `{"name", "match": "exact"|"prefix", …}`.
    """
    fitting = [one for one in resources if _fits(one, name)]
    return max(fitting, key=lambda one: (len(one["name"]), one["match"] == "exact"), default=None)


def _fits(resource: Facts, name: str) -> bool:
    if resource["match"] == "prefix":
        return name.startswith(str(resource["name"]))
    return name == str(resource["name"])


def place_of(system: Facts, name: str) -> tuple[str, tuple[str, ...]]:
    """Tier and categories of the resource `name` within `system`; of the system if unlisted.

    `system` is `{"tier", "categories", "resources": [{"name", "match", "tier", "categories"}]}`,
    tiers and categories being the effective ones.
    """
    found = most_specific(system["resources"], name) if name else None
    place = system if found is None else found
    return str(place["tier"] or RESTRICTED), tuple(place["categories"])
