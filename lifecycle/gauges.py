"""Limits of an agent as gauges."""

from __future__ import annotations

from dataclasses import dataclass

from authz import remaining, timekeeper
from authz.permissions import check_can_see_limits
from governance import words
from registry import permissions, rules
from registry.models import Agent, Person


@dataclass(frozen=True, slots=True)
class Gauge:
    """A limit as it is drawn; amounts of money in whole units."""

    label: str
    used: float
    limit: float
    said: str
    reserved: float = 0
    note: str = ""


_SPAN = {"minute": "this minute", "hour": "this hour", "day": "today", "month": "this month"}


def gauges_of(agent: Agent, person: Person) -> list[Gauge]:
    """How much of each limit is used; nothing for who may not see it, or before it is live."""
    if permissions.can(check_can_see_limits, agent, person) or agent.state not in rules.LIVE:
        return []
    return [_gauge(one) for one in remaining.standing_of(agent, timekeeper.now())]


def _gauge(one: remaining.Standing) -> Gauge:
    limit, what = one.limit, one.tool or one.system
    span = _SPAN[limit.window]
    if limit.unit == remaining.MONEY:
        settled = one.used - one.reserved
        parts = [words.money(settled, limit.currency)]
        parts += [words.money(one.reserved, limit.currency)] if one.reserved else []
        said = f"{' + '.join(parts)} of {words.money(limit.most, limit.currency)}"
        note = "What would pass it stops the agent"
        return Gauge(f"Spend {span}", settled, limit.most, said, one.reserved, note)
    said = f"{words.count(one.used)} of {words.count(limit.most)}"
    if limit.unit == remaining.RECORDS:
        return Gauge(
            f"{what}: records {span}", one.used, limit.most, said, note="What exceeds it waits"
        )
    label = f"{what}: calls {span}" if what else f"Calls {span}"
    return Gauge(label, one.used, limit.most, said)
