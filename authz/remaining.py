"""What is left of limits: told with each answer, and to whoever asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from authz.engine.quota import QUOTA
from authz.engine.rate import LIMITS, WINDOWS, limits_of_system
from authz.engine.types import Document

Json = Any

CALLS, RECORDS, MONEY = "calls", "records", "minor"


class Limit(NamedTuple):
    """How much of what there may be in a window; of money, in which currency."""

    scope: str
    window: str
    unit: str
    most: int
    currency: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        return self.scope, self.window, self.unit


Used = Mapping[tuple[str, str, str], int]


def limits_of_call(agent: Document, tool: str, world: Document) -> list[Limit]:
    """The limits that a call of this tool counts against."""
    entry = agent["allowlist"].get(tool) or {}
    system = world["systems"].get((world["tools"].get(tool) or {}).get("system")) or {}
    return [
        *limits_of_agent(agent),
        *_calls("tool", [entry.get(name) for name in LIMITS]),
        *_calls("system", limits_of_system(system)),
        *_limit("tool", "hour", RECORDS, entry.get(QUOTA)),
    ]


def limits_of_agent(agent: Document) -> list[Limit]:
    """The limits that every call of an agent counts against."""
    limits = agent["limits"]
    currency = str(limits.get("currency") or "")
    return [
        *_calls("agent", [limits.get(name) for name in LIMITS]),
        *_limit("agent", "day", MONEY, limits.get("spend_cap_minor"), currency),
        *_limit("agent", "month", MONEY, limits.get("spend_cap_month_minor"), currency),
    ]


def _calls(scope: str, most: list[Json]) -> Iterator[Limit]:
    for window, limit in zip(WINDOWS, most, strict=True):
        yield from _limit(scope, window, CALLS, limit)


def _limit(
    scope: str, window: str, unit: str, most: int | None, currency: str = ""
) -> Iterator[Limit]:
    if most is not None:
        yield Limit(scope, window, unit, most, currency)


def used_in(settled: Mapping[str, Json]) -> dict[tuple[str, str, str], int]:
    """What a record says was used when it was written, its own call included."""
    found: dict[tuple[str, str, str], int] = {}
    for scope, counts in (settled.get("rate", {}).get("used") or {}).items():
        found |= {(scope, w, CALLS): used for w, used in zip(WINDOWS, counts, strict=True)}
    if "used" in (quota := settled.get("quota", {})):
        found["tool", "hour", RECORDS] = quota["used"]
    spent = settled.get("spend", {})
    if isinstance(spent.get("used"), list):
        found |= {("agent", "day", MONEY): spent["used"][0]}
        found |= {("agent", "month", MONEY): spent["used"][1]}
    elif "used" in spent:
        found["agent", spent["window"], MONEY] = spent["used"]
    return found


def left_of(limits: list[Limit], used: Used) -> Iterator[dict[str, Json]]:
    """For each limit of which that is known, what remains."""
    for each in limits:
        if each.key in used:
            yield told(each, used[each.key])


def told(limit: Limit, used: int) -> dict[str, Json]:
    """One limit as it is answered; what counts calls says nothing of its unit."""
    document: dict[str, Json] = {
        "scope": limit.scope,
        "window": limit.window,
        "limit": limit.most,
        "remaining": max(limit.most - used, 0),
    }
    if limit.unit != CALLS:
        document["unit"] = limit.unit
    if limit.currency:
        document["currency"] = limit.currency
    return document
