"""When an agent is idle. No queries, no writes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

# How many business days its owner has to answer.
ANSWER_DAYS = 10
# The answers with which it is kept: its clock begins anew.
RENEWED, NARROWED = "renewed", "narrowed"
KEPT = (RENEWED, NARROWED)


@dataclass(frozen=True, slots=True)
class Silence:
    """How long nobody has heard of an agent.

    `since` is when its clock began: its last decision, the day on which it went live or was
    resumed, or its owner's last word, whichever came last.
    """

    since: datetime
    idle_at: datetime
    last: datetime | None

    @property
    def never_fired(self) -> bool:
        """Whether it has never asked at all."""
        return self.last is None

    def is_idle(self, now: datetime) -> bool:
        """Whether it has been silent for too long."""
        return now >= self.idle_at


@dataclass(frozen=True, slots=True)
class Limits:
    """After how many days of silence an agent is idle."""

    days: int
    never_fired_days: int

    @property
    def shortest(self) -> timedelta:
        """Nothing is idle sooner."""
        return timedelta(days=min(self.days, self.never_fired_days))


def silence(
    *, live_since: datetime, last: datetime | None, answered: datetime | None, limits: Limits
) -> Silence:
    """The silence of an agent that is active since `live_since`."""
    since = max(each for each in (live_since, last, answered) if each)
    days = limits.never_fired_days if last is None else limits.days
    return Silence(since, since + timedelta(days=days), last)
