"""What an alert says: one sentence, with the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from lifecycle.anomalies.rules import HOUR

_SENTENCES = {
    "volume": (
        "{agent} called {tool} {observed} times {when}; "
        "usual at such hours is {expected}, the most in four weeks was {most}."
    ),
    "off_hours": (
        "{agent} made {observed} {calls} {when}; in four weeks it made none {usual_when}."
    ),
    "denials": (
        "{observed} of {asked} calls {of} were denied {when}; "
        "usual for so many is {expected}, the most in an hour of four weeks was {most}."
    ),
    "new_destination": (
        "{agent} reached {value} with {tool} for the first time {when}; "
        "{asked} calls before went to {places}."
    ),
    "new_resource_type": (
        "{agent} touched {value} for the first time {when}; "
        "its {asked} calls before touched {places}."
    ),
}
_USUAL_WHEN = {"night": "around that time of day", "weekend": "on a weekend"}


def sentence(
    *,
    kind: str,
    agent: str,
    tool: str,
    window: datetime,
    observed: int,
    expected: float,
    detail: Mapping[str, Any],
) -> str:
    """Why this is unusual."""
    given = {
        "agent": agent,
        "tool": tool,
        "observed": f"{observed:,}",
        "calls": "call" if observed == 1 else "calls",
        "expected": number(expected),
        "when": when(window, str(detail.get("zone") or "UTC")),
        "most": f"{detail.get('most', 0):,}",
        "asked": f"{detail.get('asked', 0):,}",
        "of": f"of {agent} to {tool}" if tool else f"of {agent}",
        "usual_when": _USUAL_WHEN.get(str(detail.get("never", "")), ""),
        "value": str(detail.get("value", "")),
        "places": _places(int(detail.get("places", 0))),
    }
    return _SENTENCES[kind].format_map(given)


def number(value: float) -> str:
    """A mean, as precise as it is worth."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def when(window: datetime, zone: str) -> str:
    """The hour, where the owner is."""
    start, end = (each.astimezone(ZoneInfo(zone)) for each in (window, window + HOUR))
    return f"on {start:%a} {start.day} {start:%b} from {start:%H:%M} to {end:%H:%M} {start:%Z}"


def _places(count: int) -> str:
    return "one place" if count == 1 else f"{count:,} places"
