"""Which call used which decision. Pure: what was seen and what was decided, in; pairs, out.

A decision lets one call through, so it is used up by one. It counts for a call of the same agent
and tool that came at most `window` after it; `ahead` allows for a log whose clock is behind.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar
from uuid import UUID

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Called(Generic[K]):
    """A call; `resource` is the id of what it was about, "" where the log does not say."""

    key: K
    at: datetime
    resource: str = ""


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision that let a call go on; `resource` as above."""

    id: UUID
    at: datetime
    resource: str = ""


def pairs(
    calls: Iterable[Called[K]],
    decisions: Iterable[Decided],
    *,
    window: timedelta,
    ahead: timedelta,
) -> dict[K, UUID]:
    """The decision of each call that has one.

    What names the same resource goes together first; then calls about a resource take decisions
    that name none, and calls about none take what is left.
    """
    left = sorted(decisions, key=lambda each: (each.at, each.id))
    found: dict[K, UUID] = {}
    waiting = sorted(calls, key=lambda each: each.at)
    for exact, about_one in ((True, True), (False, True), (False, False)):
        turn = [
            call for call in waiting if call.key not in found and bool(call.resource) is about_one
        ]
        offered = [each for each in left if exact or not about_one or not each.resource]
        found |= _taken(turn, offered, window, ahead, exact=exact)
        used = set(found.values())
        left = [each for each in left if each.id not in used]
    return found


def _taken(
    calls: Sequence[Called[K]],
    decisions: Sequence[Decided],
    window: timedelta,
    ahead: timedelta,
    *,
    exact: bool,
) -> dict[K, UUID]:
    """Each call, in their order, takes the oldest decision that still counts for it.

    All windows are alike, so this leaves as few calls without one as there can be.
    """
    queues: dict[str, deque[Decided]] = defaultdict(deque)
    for each in decisions:
        queues[each.resource if exact else ""].append(each)
    found: dict[K, UUID] = {}
    for call in calls:
        queue = queues[call.resource if exact else ""]
        while queue and queue[0].at < call.at - window:
            queue.popleft()
        if queue and queue[0].at <= call.at + ahead:
            found[call.key] = queue.popleft().id
    return found
