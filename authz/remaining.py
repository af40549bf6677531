"""What is left of limits: told with each answer, and to whoever asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from authz.engine.quota import QUOTA
from authz.engine.rate import LIMITS, WINDOWS, limits_of_system
from authz.engine.types import Document
from authz.models import Counter, Reservation
from registry.models import Agent

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


@dataclass(frozen=True, slots=True)
class Standing:
    """One limit as it stands: how much is used, and of money how much of that is reserved."""

    limit: Limit
    used: int
    tool: str = ""
    system: str = ""
    reserved: int = 0


Counts = Mapping[str, Mapping[tuple[str, str], int]]


def standing_of(agent: Agent, now: datetime) -> list[Standing]:
    """Every limit of an agent, its tools and their systems, as used by now."""
    entries = list(agent.allowlist.select_related("tool__system").order_by("tool__name"))
    systems = sorted({entry.tool.system for entry in entries}, key=lambda one: one.slug)
    keys = [f"agent:{agent.slug}", *(f"entry:{agent.slug}/{one.tool.name}" for one in entries)]
    keys += [f"system:{one.slug}" for one in systems]
    used = {one.key: _used(one, now) for one in Counter.objects.filter(key__in=keys)}
    found = [*_of_agent(agent, used)]
    for entry in entries:
        key, name = f"entry:{agent.slug}/{entry.tool.name}", entry.tool.name
        limits = [*_calls("tool", [getattr(entry, one) for one in LIMITS])]
        limits += _limit("tool", "hour", RECORDS, entry.write_quota_per_hour)
        found += [Standing(one, _of(used, key, one), tool=name) for one in limits]
    for system in systems:
        limits = list(_calls("system", [getattr(system, one) for one in LIMITS]))
        key = f"system:{system.slug}"
        found += [Standing(one, _of(used, key, one), system=system.slug) for one in limits]
    return found


def _of_agent(agent: Agent, used: Counts) -> Iterator[Standing]:
    names = (*LIMITS, "spend_cap_minor", "spend_cap_month_minor", "currency")
    reserved = Reservation.objects.open_of(agent.slug)
    for limit in limits_of_agent({"limits": {name: getattr(agent, name) for name in names}}):
        count = _of(used, f"agent:{agent.slug}", limit)
        held = min(reserved, count) if limit.unit == MONEY else 0
        yield Standing(limit, count, reserved=held)


def spent_today(agents: Iterable[str], now: datetime) -> dict[str, int]:
    """What these agents have spent on this day (UTC), what is reserved included. One query."""
    keys = [f"agent:{slug}" for slug in agents]
    rows = Counter.objects.filter(key__in=keys)
    return {row.key.removeprefix("agent:"): _used(row, now)["day", MONEY] for row in rows}


def _of(used: Counts, key: str, limit: Limit) -> int:
    return used.get(key, {}).get((limit.window, limit.unit), 0)


def _used(counter: Counter, now: datetime) -> dict[tuple[str, str], int]:
    """What a counter says in the windows that run now; it is only written when it counts."""
    at = now.astimezone(UTC)
    seconds = int(at.timestamp())
    minute, hour, day = seconds // 60, seconds // 3600, seconds // 86400
    month = at.year * 12 + at.month - 1
    return {
        ("minute", CALLS): counter.minute_calls if counter.minute >= minute else 0,
        ("hour", CALLS): counter.hour_calls if counter.hour >= hour else 0,
        ("hour", RECORDS): counter.hour_records if counter.hour >= hour else 0,
        ("day", MONEY): counter.day_spent if counter.day >= day else 0,
        ("month", MONEY): counter.month_spent if counter.month >= month else 0,
    }


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
