"""Comparing an hour that was counted with what its agents usually do. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Min, Sum

from lifecycle.anomalies import rules
from lifecycle.anomalies.rules import LEAST_HISTORY, LEFT_OUT, LOOK_BACK
from lifecycle.models import HourCount, Seen
from lifecycle.models.anomalies import AnomalyKind, SeenKind
from registry.models import Agent

_NEWS = {
    SeenKind.DESTINATION: AnomalyKind.NEW_DESTINATION,
    SeenKind.RESOURCE_TYPE: AnomalyKind.NEW_RESOURCE_TYPE,
}
Raised = Mapping[tuple[str, str, str], int]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something unusual in an hour."""

    kind: str
    agent: Agent
    tool: str
    observed: int
    expected: float
    limit: int
    detail: Mapping[str, Any]


def findings(
    hour: datetime, counts: Sequence[HourCount], new: Sequence[Seen], raised: Raised
) -> list[Finding]:
    """What is unusual in this hour, for agents on the register that are known long enough."""
    by_agent: dict[str, list[HourCount]] = {}
    for each in counts:
        by_agent.setdefault(each.agent, []).append(each)
    agents = _known_agents(hour, by_agent)
    found: list[Finding] = []
    for slug, agent in agents.items():
        judged = _Hour(hour, agent, by_agent[slug], raised)
        found += [*judged.volumes(), *judged.denials()]
    return [*found, *_news(agents, new)]


def _known_agents(hour: datetime, slugs: Iterable[str]) -> dict[str, Agent]:
    firsts = (
        HourCount.objects.filter(agent__in=list(slugs))
        .order_by()
        .values("agent")
        .annotate(first=Min("hour"))
        .filter(first__lte=hour - LEAST_HISTORY)
    )
    known = [each["agent"] for each in firsts]
    rows = Agent.objects.select_related("owner").filter(slug__in=known).order_by("slug")
    return {agent.slug: agent for agent in rows}


class _Hour:
    """One agent's hour, beside its hours before."""

    def __init__(
        self, hour: datetime, agent: Agent, counts: Sequence[HourCount], raised: Raised
    ) -> None:
        self.hour, self.agent, self.counts, self.raised = hour, agent, counts, raised
        self.zone = agent.owner.zone or "UTC"
        self.past = HourCount.objects.filter(agent=agent.slug, hour__gte=hour - LOOK_BACK)

    def volumes(self) -> list[Finding]:
        """Calls where there never are any, else more of one tool than usual."""
        off_hours = self._off_hours()
        return [off_hours] if off_hours else list(self._more_than_usual())

    def _off_hours(self) -> Finding | None:
        calls = sum(each.calls for each in self.counts)
        fewest = max(rules.FEWEST_OFF_HOURS, self._raised(AnomalyKind.OFF_HOURS, "") + 1)
        if calls < fewest:
            return None
        never = self._never_called()
        if not never:
            return None
        detail = {"never": never, "zone": self.zone}
        return Finding(AnomalyKind.OFF_HOURS, self.agent, "", calls, 0.0, fewest, detail)

    def _never_called(self) -> str:
        spans = {
            "night": rules.same_time(self.hour, self.zone),
            "weekend": rules.weekend_hours(self.hour, self.zone),
        }
        for never, hours in spans.items():
            if hours and not self.past.filter(hour__in=hours).exists():
                return never
        return ""

    def _more_than_usual(self) -> Iterator[Finding]:
        for each in self.counts:
            if each.calls < rules.FEWEST_CALLS:
                continue
            raised_to = self._raised(AnomalyKind.VOLUME, each.tool)
            usual = usual_of(each.agent, each.tool, self.hour, self.zone, raised_to)
            if each.calls >= usual.limit:
                detail = {"most": usual.most, "zone": self.zone}
                yield Finding(
                    AnomalyKind.VOLUME,
                    self.agent,
                    each.tool,
                    each.calls,
                    usual.mean,
                    usual.limit,
                    detail,
                )

    def denials(self) -> list[Finding]:
        """More of one tool denied than usual; else more of the agent as a whole."""
        found = [
            finding
            for each in self.counts
            if (finding := self._denied(each.tool, each.calls, each.denied))
        ]
        if found:
            return found
        calls = sum(each.calls for each in self.counts)
        whole = self._denied("", calls, sum(each.denied for each in self.counts))
        return [whole] if whole else []

    def _denied(self, tool: str, calls: int, denied: int) -> Finding | None:
        if denied < rules.FEWEST_DENIED:
            return None
        hours = self._past_denials(tool)
        if not hours:
            return None
        raised_to = self._raised(AnomalyKind.DENIALS, tool)
        usual = rules.usual_denials(calls, hours, raised_to=raised_to)
        if denied < usual.limit:
            return None
        detail = {"most": usual.most, "asked": calls, "zone": self.zone}
        return Finding(
            AnomalyKind.DENIALS, self.agent, tool, denied, usual.mean, usual.limit, detail
        )

    def _past_denials(self, tool: str) -> list[tuple[int, int]]:
        past = self.past.filter(hour__lte=self.hour - LEFT_OUT).order_by()
        if tool:
            past = past.filter(tool=tool)
        rows = past.values("hour").annotate(asked=Sum("calls"), no=Sum("denied"))
        return [(row["asked"], row["no"]) for row in rows]

    def _raised(self, kind: str, tool: str) -> int:
        return self.raised.get((kind, self.agent.slug, tool), 0)


def usual_of(agent: str, tool: str, hour: datetime, zone: str, raised_to: int = 0) -> rules.Usual:
    """How many calls of a tool are usual in this hour."""
    like = rules.like_hours(hour, zone)
    counts = dict(
        HourCount.objects.filter(agent=agent, tool=tool, hour__in=like).values_list("hour", "calls")
    )
    first = HourCount.objects.filter(agent=agent).aggregate(first=Min("hour"))["first"]
    samples = [counts.get(each, 0) for each in like if first is None or each >= first]
    return rules.usual_calls(samples or [0], raised_to=raised_to)


def _news(agents: Mapping[str, Agent], new: Sequence[Seen]) -> Iterator[Finding]:
    for each in new:
        if each.agent not in agents:
            continue
        known = Seen.objects.filter(
            agent=each.agent, tool=each.tool, kind=each.kind, first_hour__lt=each.first_hour
        )
        counts = list(known.values_list("calls", flat=True))
        if not rules.is_news(counts):
            continue
        agent = agents[each.agent]
        detail = {
            "value": each.value,
            "asked": sum(counts),
            "places": len(counts),
            "zone": agent.owner.zone or "UTC",
        }
        kind = _NEWS[SeenKind(each.kind)]
        yield Finding(kind, agent, each.tool, each.calls, 0.0, 1, detail)
