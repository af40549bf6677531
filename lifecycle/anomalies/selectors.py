"""Reads of alerts, and the hours that the picture of one shows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import QuerySet

from lifecycle.anomalies import judging, words
from lifecycle.anomalies.rules import HOUR
from lifecycle.models import Anomaly, Counted, HourCount
from lifecycle.models.anomalies import COUNTED, AnomalyKind, AnomalyState
from registry.models import Agent, Person

BEFORE, AFTER = timedelta(hours=36), timedelta(hours=11)


@dataclass(frozen=True, slots=True)
class Shown:
    """One hour beside an alert: what was counted, what is usual, and from where it is unusual."""

    hour: datetime
    calls: int
    denied: int
    usual: float
    limit: int
    in_alert: bool


def alerts(person: Person) -> QuerySet[Anomaly]:
    """The alerts that this person may see, newest first."""
    seen = Agent.objects.visible_to(person).values("pk")
    return Anomaly.objects.filter(agent__in=seen).select_related("agent__owner", "answered_by")


def open_alerts(person: Person) -> QuerySet[Anomaly]:
    """Those that nobody has answered."""
    return alerts(person).filter(state=AnomalyState.OPEN)


def sentence_of(anomaly: Anomaly) -> str:
    """Why it is unusual, with the numbers."""
    return words.sentence(
        kind=anomaly.kind,
        agent=anomaly.agent.slug,
        tool=anomaly.tool,
        window=anomaly.window,
        observed=anomaly.observed,
        expected=anomaly.expected,
        detail=anomaly.detail,
    )


def hours_around(anomaly: Anomaly) -> list[Shown]:
    """The hours before, in and after the alert, each with what is usual then."""
    start, end = anomaly.window - BEFORE, anomaly.latest + AFTER
    calls, denied = _counted(anomaly, start, end)
    hours = [start + HOUR * number for number in range(int((end - start) / HOUR) + 1)]
    return [_shown(anomaly, hour, calls[hour], denied[hour]) for hour in hours]


def _counted(
    anomaly: Anomaly, start: datetime, end: datetime
) -> tuple[Counter[datetime], Counter[datetime]]:
    rows = HourCount.objects.filter(agent=anomaly.agent.slug, hour__gte=start, hour__lte=end)
    if anomaly.tool:
        rows = rows.filter(tool=anomaly.tool)
    calls: Counter[datetime] = Counter()
    denied: Counter[datetime] = Counter()
    for hour, asked, no in rows.values_list("hour", "calls", "denied"):
        calls[hour] += asked
        denied[hour] += no
    return calls, denied


def _shown(anomaly: Anomaly, hour: datetime, calls: int, denied: int) -> Shown:
    usual, limit = 0.0, 0
    in_alert = anomaly.window <= hour <= anomaly.latest
    if anomaly.kind == AnomalyKind.VOLUME:
        found = judging.usual_of(
            anomaly.agent.slug, anomaly.tool, hour, str(anomaly.detail.get("zone") or "UTC")
        )
        usual, limit = found.mean, found.limit
    elif in_alert and anomaly.kind in COUNTED:
        usual, limit = anomaly.expected, anomaly.limit
    return Shown(hour, calls, denied, usual, limit, in_alert)


def narrowed(
    rows: QuerySet[Anomaly], *, agent: str = "", kind: str = "", state: str = ""
) -> QuerySet[Anomaly]:
    """Of these alerts, those that fit."""
    if agent:
        rows = rows.filter(agent__slug__icontains=agent)
    if kind:
        rows = rows.filter(kind=kind)
    return rows.filter(state=state) if state else rows


def counted_until() -> datetime | None:
    """The instant until which the record is counted and judged."""
    return Counted.objects.filter(pk=1).values_list("until", flat=True).first()


def as_drawn(hours: list[Shown], zone: str) -> list[dict[str, Any]]:
    """The hours as the picture wants them, named by the time where the owner is."""
    place = ZoneInfo(zone)
    return [
        {
            "label": f"{each.hour.astimezone(place):%H:%M}",
            "calls": each.calls,
            "denied": each.denied,
            "usual": each.usual,
            "limit": each.limit,
            "loud": each.in_alert,
        }
        for each in hours
    ]
