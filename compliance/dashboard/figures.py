"""The figures of the overview. What was counted already is read; nothing scans the record."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import connection
from django.db.models import QuerySet, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from audit import figures as record
from authz import remaining
from authz.engine.codes import CODES
from authz.engine.types import Check
from authz.enums import HoldState
from authz.models import Hold
from compliance.evidence.look import Row
from lifecycle.models import Counted, HourCount

DAYS = 30
# Of one reason, no more are counted than this.
MOST = 5000
_TOOK = """
SELECT count(*), percentile_disc(0.5) WITHIN GROUP (ORDER BY decided_at - made_at),
       percentile_disc(0.95) WITHIN GROUP (ORDER BY decided_at - made_at)
FROM authz_hold WHERE state IN ('approved', 'rejected') AND decided_at >= %s
"""


def first_day(now: datetime) -> datetime:
    """The beginning of the first of the last days, where the reader is."""
    day = timezone.localtime(now).date() - timedelta(days=DAYS - 1)
    return datetime.combine(day, datetime.min.time(), timezone.get_current_timezone())


@dataclass(frozen=True, slots=True)
class Day:
    """The decisions of one day."""

    day: date
    calls: int = 0
    denied: int = 0
    held: int = 0

    @property
    def allowed(self) -> int:
        return self.calls - self.denied - self.held


@dataclass(frozen=True, slots=True)
class Decisions:
    """The decisions of the last days, counted by the hour until `until`; None: never counted."""

    since: datetime
    until: datetime | None
    days: Sequence[Day]

    @property
    def calls(self) -> int:
        return sum(each.calls for each in self.days)

    @property
    def denied(self) -> int:
        return sum(each.denied for each in self.days)

    @property
    def held(self) -> int:
        return sum(each.held for each in self.days)

    @property
    def share(self) -> float | None:
        """How much of them was not allowed."""
        return (self.denied + self.held) / self.calls if self.calls else None


def decisions(now: datetime) -> Decisions:
    """What the sweep of the hours has counted of the last days."""
    since = first_day(now)
    until = Counted.objects.filter(pk=1).values_list("until", flat=True).first()
    rows = (
        HourCount.objects.filter(hour__gte=since)
        .order_by()
        .annotate(day=TruncDate("hour", tzinfo=timezone.get_current_timezone()))
        .values("day")
        .annotate(calls=Sum("calls"), denied=Sum("denied"), held=Sum("held"))
    )
    found = {row["day"]: Day(**row) for row in rows}
    days = [since.date() + timedelta(days=number) for number in range(DAYS)]
    return Decisions(since, until, [found.get(day, Day(day)) for day in days])


@dataclass(frozen=True, slots=True)
class Stopped:
    """How many calls one reason has stopped. `capped`: at least so many."""

    code: str
    effect: str
    many: int
    capped: bool


@dataclass(frozen=True, slots=True)
class Stops:
    """How many calls ended at one check, and by which reasons, the most frequent first."""

    check: str
    number: int
    reasons: Sequence[Stopped]

    @property
    def denied(self) -> int:
        return self._of("deny")

    @property
    def held(self) -> int:
        return self._of("hold")

    @property
    def many(self) -> int:
        return self.denied + self.held

    @property
    def capped(self) -> bool:
        return any(each.capped for each in self.reasons)

    def _of(self, effect: str) -> int:
        return sum(each.many for each in self.reasons if each.effect == effect)


def stops(since: datetime, until: datetime) -> list[Stops]:
    """Where calls stopped, in the order of the walk; every check is named."""
    found: dict[Check, list[Stopped]] = defaultdict(list)
    counted = record.stopped(since, until, CODES.keys(), most=MOST)
    for (effect, code), many in counted.items():
        found[CODES[code].check].append(Stopped(code, effect, many, many >= MOST))
    return [
        Stops(check.value, number, sorted(found[check], key=lambda each: (-each.many, each.code)))
        for number, check in enumerate(Check, 1)
    ]


@dataclass(frozen=True, slots=True)
class Holds:
    """Actions that wait for a person, and how long people took for those that they decided."""

    open: int
    decided: int
    median: timedelta | None
    slow: timedelta | None


def holds(now: datetime) -> Holds:
    """`slow` is the time within which 95 of 100 were decided."""
    waiting = open_holds(now).count()
    with connection.cursor() as cursor:
        cursor.execute(_TOOK, [first_day(now)])
        decided, median, slow = cursor.fetchone()
    return Holds(waiting, decided, median, slow)


def open_holds(now: datetime) -> QuerySet[Hold]:
    """Those that somebody can still decide."""
    return Hold.objects.filter(state=HoldState.OPEN, expires_at__gt=now)


@dataclass(frozen=True, slots=True)
class Spend:
    """What agents spent today, against their caps. In one currency."""

    name: str
    currency: str
    spent: int
    cap: int


def spent_by_agent(rows: Iterable[Row], now: datetime) -> Mapping[str, int]:
    """What each of these agents has spent today."""
    return remaining.spent_today([row.agent.slug for row in rows], now)


def spend(rows: Sequence[Row], spent: Mapping[str, int]) -> list[Spend]:
    """By the owner's department and the currency, what is nearest to its caps first."""
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        total = sums[row.agent.owner.department, row.agent.currency]
        total[0] += spent.get(row.agent.slug, 0)
        total[1] += row.agent.spend_cap_minor or 0
    found = [Spend(name, currency, *total) for (name, currency), total in sums.items()]
    return sorted(found, key=lambda each: (-each.spent / (each.cap or 1), each.name))


def total_spend(found: Iterable[Spend]) -> list[Spend]:
    """The same of the whole company, a sum for each currency, the largest caps first."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for each in found:
        sums[each.currency][0] += each.spent
        sums[each.currency][1] += each.cap
    totals = [Spend("", currency, *total) for currency, total in sums.items()]
    return sorted(totals, key=lambda each: (-each.cap, each.currency))
