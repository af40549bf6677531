"""Counting the record by the hour, each hour once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from audit import selectors as trail
from audit.selectors import Tally
from lifecycle.anomalies.rules import HOUR, LOOK_BACK, MOST_VALUES
from lifecycle.idle import uses
from lifecycle.models import Counted, HourCount, Seen
from lifecycle.models.anomalies import SeenKind
from registry.enums import ToolEffect
from registry.models import Tool

# What was decided at the end of an hour stands on the record by then.
SETTLED = timedelta(minutes=2)
KEPT = LOOK_BACK + timedelta(days=7)
# Where nothing was counted yet, no more than this of the past is.
FIRST = KEPT

Place = tuple[str, str, str, str]  # agent, tool, kind, value


def due_hours(now: datetime) -> list[datetime]:
    """The whole hours that have ended and are not counted, the oldest first."""
    counted = Counted.objects.filter(pk=1).values_list("until", flat=True).first()
    start = counted or _first_hour(now)
    end = hour_of(now - SETTLED)
    if start is None or start >= end:
        return []
    return [start + HOUR * number for number in range(int((end - start) / HOUR))]


def _first_hour(now: datetime) -> datetime | None:
    first = trail.first_decision_at(now - FIRST)
    return hour_of(first) if first else None


def hour_of(instant: datetime) -> datetime:
    """The beginning of its hour."""
    return instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def claim(hour: datetime, now: datetime) -> bool:
    """Make this hour counted, in the caller's transaction; False where it is not its turn."""
    counted = Counted.objects.select_for_update(no_key=True).filter(pk=1).first()
    due = counted.until if counted else _first_hour(now)
    if due != hour or hour + HOUR + SETTLED > now:
        return False
    began = (counted.uses_from if counted else None) or hour
    Counted.objects.update_or_create(pk=1, defaults={"until": hour + HOUR, "uses_from": began})
    return True


def count(hour: datetime) -> tuple[list[HourCount], list[Seen]]:
    """Count an hour: the counts of it, and what was seen in it for the first time."""
    tallies = trail.tally(hour, hour + HOUR)
    counts = HourCount.objects.bulk_create(_counts(hour, tallies))
    HourCount.objects.filter(hour__lt=hour - KEPT).delete()
    uses.keep(hour, {(each.agent, each.tool[:255]) for each in tallies if each.went_on})
    return counts, _remember(hour, _places(tallies))


def _counts(hour: datetime, tallies: Iterable[Tally]) -> list[HourCount]:
    found: dict[tuple[str, str], Counter[str]] = {}
    for each in tallies:
        found.setdefault((each.agent, each.tool[:255]), Counter())[each.effect] += each.calls
    return [
        HourCount(
            agent=agent,
            tool=tool,
            hour=hour,
            calls=effects.total(),
            denied=effects["deny"],
            held=effects["hold"],
        )
        for (agent, tool), effects in found.items()
    ]


def _places(tallies: Sequence[Tally]) -> Counter[Place]:
    """Where calls that went on went to."""
    effects = dict(
        Tool.objects.filter(name__in={each.tool for each in tallies}).values_list("name", "effect")
    )
    found: Counter[Place] = Counter()
    for each in tallies:
        kind, _, name = each.resource.partition("/")
        if not (each.went_on and name and each.tool in effects):
            continue
        found[each.agent, "", SeenKind.RESOURCE_TYPE, kind] += each.calls
        if value := destination(each.resource, effects[each.tool]):
            found[each.agent, each.tool, SeenKind.DESTINATION, value] += each.calls
    return found


def destination(resource: str, effect: str) -> str:
    """Where a call carries something to; "" for a mere read. Of an address, its host."""
    _, _, name = resource.partition("/")
    if "://" in name:
        return _host(name)
    return "" if effect == ToolEffect.READ else resource


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _remember(hour: datetime, places: Mapping[Place, int]) -> list[Seen]:
    """Add to what was seen; returns what is new. A place that has too many values takes no more."""
    known = _known({agent for agent, *_ in places})
    many = Counter(place[:3] for place in known)
    new: list[Seen] = []
    for place, calls in places.items():
        if seen := known.get(place):
            seen.calls, seen.last_hour = seen.calls + calls, hour
        elif many[place[:3]] < MOST_VALUES:
            many[place[:3]] += 1
            agent, tool, kind, value = place
            new.append(
                Seen(
                    agent=agent,
                    tool=tool,
                    kind=kind,
                    value=value,
                    first_hour=hour,
                    last_hour=hour,
                    calls=calls,
                )
            )
    again = [known[place] for place in places if place in known]
    Seen.objects.bulk_update(again, ["calls", "last_hour"], batch_size=500)
    return Seen.objects.bulk_create(new)


def _known(agents: Iterable[str]) -> dict[Place, Seen]:
    rows = Seen.objects.filter(agent__in=agents)
    return {(row.agent, row.tool, row.kind, row.value): row for row in rows}
