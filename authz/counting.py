"""What a decision counts against: calls, records, money.

It is handed to `authz.decide_batch`, which counts in the transaction of the record and has the
last word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings

from authz.engine.case import Case
from authz.engine.gate import sums_of
from authz.engine.money import rates_of, worth_in
from authz.engine.quota import QUOTA, records_of
from authz.engine.rate import limits_of, limits_of_system
from authz.engine.spend import cost_of
from authz.engine.types import Decision, Document, Effect, Mode, Status, SubjectKind
from authz.resolve import Resolved
from governance.kernel.tiers import RESTRICTED

Json = Any

# Cells of a counter, as authz.decide_batch numbers them.
MINUTE_CALLS, HOUR_CALLS, HOUR_RECORDS, DAY_SPENT, MONTH_SPENT = range(1, 6)
NO_LIMIT = -1


class Cell(NamedTuple):
    """One number of one counter: what is added to it, and what it may come to at the most."""

    key: str
    place: int
    adds: int
    most: int


@dataclass(frozen=True, slots=True)
class Count:
    """What one request counts; `breaker` denials an hour stop its agent, 0 for never."""

    agent: str
    tool: str
    cells: Sequence[Cell] = ()
    breaker: int = 0

    def __iter__(self) -> Iterator[Cell]:
        return iter(self.cells)

    @property
    def may_hold(self) -> bool:
        """Whether a counter can make the call wait for a human."""
        return any(cell.place == HOUR_RECORDS for cell in self.cells)

    def document(self, counters: Mapping[str, int]) -> dict[str, Json]:
        """The part of the batch function's argument; `counters` says where each key stands."""
        told: dict[str, Json] = {"agent": self.agent, "tool": self.tool, "breaker": self.breaker}
        if self.cells:
            keys, places, adds, most = zip(*self.cells, strict=True)
            told |= {"slots": [counters[key] for key in keys], "places": places}
            told |= {"adds": adds, "most": most}
            if DAY_SPENT in places:
                told["due"] = settings.MUSTER_RESERVATION_MINUTES * 60
        return told


def counted(resolved: Resolved, decision: Decision) -> Count | None:
    """What a call of an agent counts against, None where nothing is counted of it.

    A denial counts too: as one of its agent, unless somebody else may have asked in its name.
    """
    request, agent = resolved.request, resolved.snapshot.agent
    if request.kind is not SubjectKind.AGENT or agent is None:
        return None
    if decision.walk[0].status is not Status.PASSED and decision.observe is None:
        return None
    breaker = 0 if decision.observe else _breaker(agent.document)
    listed = request.tool in agent.document["allowlist"]
    cells = tuple(_cells(resolved, agent.document)) if _counts(decision) and listed else ()
    if cells:
        cells += tuple(_cells_of_givers(resolved))
    return Count(request.agent, request.tool, cells, breaker)


def summed(resolved: Resolved, decision: Decision, now: datetime) -> list[dict[str, Json]]:
    """What a call adds to sums under gates, and how currencies stand to theirs."""
    request, agent = resolved.request, resolved.snapshot.agent
    if request.kind is not SubjectKind.AGENT or agent is None or not _counts(decision):
        return []
    world = resolved.snapshot.world.document
    rows = [agent.document, *(giver.document for giver in resolved.snapshot.givers if giver)]
    entries = [row["allowlist"].get(request.tool) or {} for row in rows]
    declared = [world["tools"].get(request.tool) or {}, *entries]
    if not any(each.get("gates") for each in declared):
        return []
    case = Case(request, resolved.snapshot, now, Mode.ENFORCE)
    sums = _each_once(one for each in (case, *case.giving) for one in sums_of(each))
    return [{**one, "worth": worth_in(one["currency"], rates_of(world))} for one in sums]


def _each_once(sums: Iterable[dict[str, Json]]) -> list[dict[str, Json]]:
    """Agents of one owner in a chain add to one sum, and to it once."""
    found: list[dict[str, Json]] = []
    for one in sums:
        told = {name: value for name, value in one.items() if name != "agent"}
        if all(told != {n: v for n, v in each.items() if n != "agent"} for each in found):
            found.append(one)
    return found


def _counts(decision: Decision) -> bool:
    """What is allowed counts, what is held as well; of what was denied only that it was."""
    return decision.effect is not Effect.DENY


def _breaker(agent: Document) -> int:
    tiers: Mapping[str, int] = settings.MUSTER_BREAKER_DENIALS
    return tiers.get(str(agent.get("tier") or RESTRICTED), tiers[RESTRICTED])


def _cells(resolved: Resolved, agent: Document) -> Iterator[Cell]:
    """In the order of the walk: rate, spend, quota."""
    request, world = resolved.request, resolved.snapshot.world.document
    tool = world["tools"].get(request.tool) or {}
    yield from _rates(request.tool, agent)
    system = world["systems"].get(tool.get("system")) or {}
    yield from _calls(f"system:{tool.get('system')}", limits_of_system(system))
    yield from _spent(resolved, tool, agent)


def _cells_of_givers(resolved: Resolved) -> Iterator[Cell]:
    """A call on what was handed over counts with each who handed it on, as if it were their own."""
    request, world = resolved.request, resolved.snapshot.world.document
    tool = world["tools"].get(request.tool) or {}
    seen = {request.agent}
    for giver in (part.document for part in resolved.snapshot.givers if part):
        slug = str(giver["slug"])
        if slug in seen or request.tool not in giver["allowlist"]:
            continue
        seen.add(slug)
        yield from _rates(request.tool, giver)
        yield from _spent(resolved, tool, giver)


def _rates(tool: str, agent: Document) -> Iterator[Cell]:
    limits = limits_of(agent, tool)
    yield from _calls(f"agent:{agent['slug']}", limits["agent"])
    yield from _calls(f"entry:{agent['slug']}/{tool}", limits["tool"])


def _spent(resolved: Resolved, tool: Document, agent: Document) -> Iterator[Cell]:
    """Money, and records where the row has a quota for them."""
    yield from _money(f"agent:{agent['slug']}", _cost(resolved, tool, agent), agent["limits"])
    name = resolved.request.tool
    quota = agent["allowlist"][name].get(QUOTA)
    if quota is not None:
        yield Cell(f"entry:{agent['slug']}/{name}", HOUR_RECORDS, _records(resolved, tool), quota)


# In observe mode a call goes on that these checks would have refused.


def _cost(resolved: Resolved, tool: Document, agent: Document) -> int:
    try:
        rates = rates_of(resolved.snapshot.world.document)
        return cost_of(resolved.request, tool, agent, rates)
    except ValueError:
        return 0


def _records(resolved: Resolved, tool: Document) -> int:
    try:
        return records_of(resolved.request, tool)
    except ValueError:
        return 1


def _calls(key: str, limits: Sequence[int | None]) -> Iterator[Cell]:
    minute, hour = limits
    if minute is not None or hour is not None:
        yield Cell(key, MINUTE_CALLS, 1, NO_LIMIT if minute is None else minute)
        yield Cell(key, HOUR_CALLS, 1, NO_LIMIT if hour is None else hour)


def _money(key: str, cost: int, limits: Document) -> Iterator[Cell]:
    """Also where it costs nothing: what is over its cap by an outcome runs no more."""
    day, month = limits.get("spend_cap_minor"), limits.get("spend_cap_month_minor")
    yield Cell(key, DAY_SPENT, cost, NO_LIMIT if day is None else day)
    if month is not None or cost:
        yield Cell(key, MONTH_SPENT, cost, NO_LIMIT if month is None else month)
