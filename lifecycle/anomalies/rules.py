"""When a number is unusual. Plain statistics, pure.

Usual is what the four weeks before show. A count is compared with the same time of like days
(workdays or weekends, in the owner's zone), the hour before and after included, because one hour
of the week has only four values in a month. How much such counts scatter decides how much more
than usual is unusual.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

HOUR = timedelta(hours=1)
LOOK_BACK = timedelta(days=28)
# Who is known for less has no usual yet.
LEAST_HISTORY = timedelta(days=14)
# A burst that goes on is not compared with its own beginning.
LEFT_OUT = timedelta(hours=24)
# How rarely an hour may look so by chance.
RARE = 1e-6
FEWEST_CALLS = 10
FEWEST_DENIED = 5
FEWEST_OFF_HOURS = 3
# The chance that the next value is one that was never seen, above which it is no news.
NEWS = 0.02
MOST_VALUES = 500


@dataclass(frozen=True, slots=True)
class Usual:
    """What such an hour usually holds: the mean, the most that it held, and the first count that
    is unusual.
    """

    mean: float
    most: int
    limit: int


@lru_cache(maxsize=256)
def like_hours(hour: datetime, zone: str) -> tuple[datetime, ...]:
    """The hours of the four weeks before that are like this one, the newest first."""
    weekend = _is_weekend(hour, zone)
    return tuple(each for each in same_time(hour, zone) if _is_weekend(each, zone) == weekend)


@lru_cache(maxsize=256)
def same_time(hour: datetime, zone: str) -> tuple[datetime, ...]:
    """The hours before at this time of any day, or one beside it."""
    place = ZoneInfo(zone)
    at = hour.astimezone(place).hour
    return tuple(each for each in _before(hour) if (each.astimezone(place).hour - at + 1) % 24 <= 2)


@lru_cache(maxsize=256)
def weekend_hours(hour: datetime, zone: str) -> tuple[datetime, ...]:
    """All hours of the weekends before, where this one lies on a weekend; else none."""
    if not _is_weekend(hour, zone):
        return ()
    return tuple(each for each in _before(hour) if _is_weekend(each, zone))


def _before(hour: datetime) -> Iterable[datetime]:
    first, last = int(LEFT_OUT / HOUR), int(LOOK_BACK / HOUR)
    return (hour - HOUR * back for back in range(first, last + 1))


def _is_weekend(hour: datetime, zone: str) -> bool:
    return hour.astimezone(ZoneInfo(zone)).weekday() >= 5


def usual_calls(samples: Sequence[int], *, raised_to: int = 0) -> Usual:
    """What is usual by the counts of like hours. A false alarm raises the limit above itself.

    The highest twentieth is left out of mean and scatter, so that one wild hour does not hide the
    next; it counts as the most that there was.
    """
    common = sorted(samples)[: len(samples) - len(samples) // 20]
    mean = sum(common) / len(common)
    # Where nothing was ever counted, half a call may have been missed.
    floor = max(mean, 0.5 / len(common))
    spread = sum((each - mean) ** 2 for each in common) / len(common) / floor
    most = max(samples)
    limit = max(FEWEST_CALLS, most + 1, raised_to + 1, rare_count(floor, spread))
    return Usual(mean, most, limit)


def usual_denials(calls: int, hours: Sequence[tuple[int, int]], *, raised_to: int = 0) -> Usual:
    """What is usual for so many calls, by (calls, denied) of every hour before that had any."""
    asked, denied = sum(n for n, _ in hours), sum(d for _, d in hours)
    rate = (denied + 1) / (asked + 2)
    spread = sum((d - n * rate) ** 2 / (n * rate) for n, d in hours) / len(hours)
    most = max(d for _, d in hours)
    limit = max(FEWEST_DENIED, most + 1, raised_to + 1, rare_count(calls * rate, spread))
    return Usual(calls * rate, most, limit)


def is_news(counts: Collection[int]) -> bool:
    """Whether one more value is news, by how often each known one was seen.

    The chance that the next call goes where none went is about the share of calls that went where
    no other did (Good and Turing). Who goes somewhere else every time tells nothing by it.
    """
    once = sum(each == 1 for each in counts)
    return len(counts) < MOST_VALUES and (once + 1) / (sum(counts) + 1) < NEWS


def rare_count(mean: float, spread: float) -> int:
    """The first count that comes with a chance below `RARE` where so many are usual.

    Poisson; counts that scatter more than that count as coming in groups of `spread`.
    """
    spread = max(spread, 1.0)
    low, high = 0, 1
    while poisson_tail(high, mean / spread) >= RARE:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if poisson_tail(middle, mean / spread) >= RARE:
            low = middle
        else:
            high = middle
    return math.ceil(high * spread)


def poisson_tail(count: int, mean: float) -> float:
    """The chance of `count` or more where `mean` is usual."""
    if count <= mean:
        return 1.0
    term = math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))
    total, following = term, count + 1
    while term > total * 1e-12:
        term *= mean / following
        total += term
        following += 1
    return total
