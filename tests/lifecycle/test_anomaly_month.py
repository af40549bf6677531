"""The made-up month: how many false alarms it raises, and that what is planted in it is found.

The record cannot be given a time, so its counts of each hour are made from the same calls that a
demo loads; everything after that is the real thing.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from audit.selectors import Tally
from lifecycle.anomalies import counting
from lifecycle.anomalies.rules import HOUR
from lifecycle.demo import loading, traffic
from lifecycle.demo.traffic import Call
from lifecycle.models import Anomaly, HourCount
from registry.models import Tool
from tests.factories.authz import make_agent, make_person, make_system
from tests.factories.sweeping import find_anomalies

pytestmark = pytest.mark.django_db

UNTIL = datetime(2026, 11, 26, 12, tzinfo=UTC)
TOOLS = {tool["name"]: tool for tool in yaml.safe_load(loading.INVENTORY.read_text())["tools"]}
Found = tuple[str, str, str]


@pytest.fixture
def company(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Found]]:
    """The agents and tools of the demo; `watch(calls)` counts and judges all hours of the calls."""
    owner, system = make_person(zone="Europe/Copenhagen"), make_system()
    for slug in sorted({call.agent for call in traffic.month(UNTIL)}):
        make_agent(owner, slug=slug)
    for name, tool in TOOLS.items():
        Tool.objects.create(system=system, name=name, effect=tool["effect"], schema={})

    def watch(calls: Iterable[Call], denied: Iterable[Call] = ()) -> list[Found]:
        hours = tallied([*((call, "allow") for call in calls), *((c, "deny") for c in denied)])
        monkeypatch.setattr(counting.trail, "tally", lambda since, _: hours.get(since, []))
        monkeypatch.setattr(counting.trail, "first_decision_at", lambda _: min(hours))
        found = find_anomalies(UNTIL + HOUR + counting.SETTLED)
        return [(each.kind, each.agent.slug, each.tool) for each in found]

    return watch


def tallied(calls: Iterable[tuple[Call, str]]) -> dict[datetime, list[Tally]]:
    counts = Counter(
        (counting.hour_of(call.at), call.agent, call.tool, resource_of(call), effect)
        for call, effect in calls
    )
    found: dict[datetime, list[Tally]] = {}
    for (hour, agent, tool, resource, effect), many in counts.items():
        tally = Tally(agent, tool, resource, effect, effect == "allow", many)
        found.setdefault(hour, []).append(tally)
    return found


def resource_of(call: Call) -> str:
    tool = TOOLS.get(call.tool, {"system": "other"})
    named = call.parameters.get(tool.get("resource_parameter", ""), "")
    return f"{tool['system']}/{named}" if named else str(tool["system"])


def burst(call: Call, hour: datetime, times: int, **changed: Any) -> list[Call]:
    parameters = {**call.parameters, **changed}
    return [
        dataclasses.replace(call, at=hour + timedelta(seconds=20 * n), parameters=parameters)
        for n in range(times)
    ]


def test_month_of_the_demo_raises_no_false_alarm_and_what_is_planted_is_found(company: Any) -> None:
    calls = traffic.month(UNTIL)
    last = {call.tool: call for call in calls}
    post = next(
        call for call in calls if call.tool == "chat.post" and "new in" in call.parameters["text"]
    )
    day = UNTIL.replace(hour=0)
    planted = [
        *burst(last["refund.issue"], day + 9 * HOUR, 120),
        *burst(last["invoice.read"], day + 2 * HOUR, 4),  # at 3 o'clock there
        *burst(post, day + 10 * HOUR, 1, channel="#customers-export"),
    ]
    denied = burst(last["ticket.search"], day + 8 * HOUR, 7)

    found = company([*calls, *planted], denied)

    assert sorted(found) == [
        ("denials", "support-copilot", "ticket.search"),
        ("new_destination", "customer-research", "chat.post"),
        ("off_hours", "invoice-approver", ""),
        ("volume", "refund-desk", "refund.issue"),
    ]
    assert Anomaly.objects.count() == 4


@pytest.mark.bulk
@pytest.mark.parametrize("seed", range(1, 11))
def test_other_months_raise_few_false_alarms(company: Any, seed: int, capsys: Any) -> None:
    found = company(traffic.month(UNTIL, seed=seed))

    judged = HourCount.objects.filter(hour__gte=UNTIL - timedelta(days=16)).count()
    with capsys.disabled():
        print(f"seed {seed}: {len(found)} alerts in {judged} hours of agents and tools: {found}")
    assert len(found) <= 1
