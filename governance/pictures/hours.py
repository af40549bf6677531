"""Calls by the hour beside what is usual: a bar for each hour, its denied part in red."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from governance.pictures.svg import element, joined, number, rect, text

_WIDTH, _TOP, _AXIS, _LEFT, _HEIGHT = 1120.0, 14.0, 150.0, 48.0, 172
_STEPS = (10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100)


@dataclass(frozen=True)
class Hour:
    """One hour: `usual` is the mean of hours like it, `limit` the first unusual count (0: none).

    `loud` hours are what the picture is about.
    """

    label: str
    calls: int = 0
    denied: int = 0
    usual: float = 0.0
    limit: int = 0
    loud: bool = False


def hours_picture(hours: Sequence[Hour]) -> SafeString:
    """The hours, with a line where each becomes unusual and a short one for what is usual."""
    highest = max((max(hour.calls, hour.limit) for hour in hours), default=0)
    ceiling = _ceiling(highest)
    pitch = (_WIDTH - _LEFT) / max(len(hours), 1)
    every = max(-(-len(hours) // 12), 1)
    parts = _scale(ceiling)
    for place, hour in enumerate(hours):
        x = _LEFT + place * pitch
        parts += _hour(hour, x, pitch, ceiling)
        if place % every == 0:
            parts.append(text(hour.label, x + pitch / 2, _AXIS + 18, "mid"))
    parts.append(element("line", class_="axis", x1=_LEFT, x2=_WIDTH, y1=_AXIS, y2=_AXIS))
    return element(
        "svg",
        joined(parts),
        class_="chart hours",
        viewBox=f"0 0 {number(_WIDTH)} {_HEIGHT}",
        role="img",
        aria_label=hours_label(hours),
    )


def hours_label(hours: Sequence[Hour]) -> str:
    """What the picture shows, in words."""
    loud = [hour for hour in hours if hour.loud]
    others = [hour.calls for hour in hours if not hour.loud]
    many = {0: "no hour", 1: "one hour"}.get(len(loud)) or f"{len(loud)} hours"
    said = f"{sum(hour.calls for hour in loud):,} calls in {many} of the alert"
    if loud:
        said += f", from {loud[0].label}"
    return f"{said}; at most {max(others, default=0):,} in an hour around it"


def _ceiling(value: int) -> int:
    """The next round number at or above."""
    magnitude = int(10 ** (len(str(value)) - 1))
    rounds = (step * magnitude // 10 for step in _STEPS)
    return next(each for each in rounds if each >= max(value, 1))


def _scale(ceiling: int) -> list[SafeString]:
    return [
        element("line", class_="grid", x1=_LEFT, x2=_WIDTH, y1=_TOP, y2=_TOP),
        text(f"{ceiling:,}", _LEFT - 6, _TOP + 4, "end"),
        text("0", _LEFT - 6, _AXIS + 4, "end"),
    ]


def _hour(hour: Hour, x: float, pitch: float, ceiling: int) -> list[SafeString]:
    unit = (_AXIS - _TOP) / ceiling
    width, parts = pitch * 0.68, []
    bar, denied = hour.calls * unit, hour.denied * unit
    if hour.loud:
        parts.append(rect(x, _TOP, pitch, _AXIS - _TOP, class_="hour-about"))
    if hour.calls > hour.denied:
        parts.append(rect(x + pitch * 0.16, _AXIS - bar, width, bar - denied, class_="bar-allow"))
    if hour.denied:
        red = "bar-deny loud" if hour.loud else "bar-deny"
        parts.append(rect(x + pitch * 0.16, _AXIS - denied, width, denied, class_=red))
    if hour.limit:
        parts += [_line(x, pitch, _AXIS - hour.limit * unit, "limit-line")]
        parts += [_line(x, pitch, _AXIS - hour.usual * unit, "usual-line")]
    return parts


def _line(x: float, pitch: float, y: float, class_: str) -> SafeString:
    return element("line", class_=class_, x1=x, x2=x + pitch, y1=y, y2=y)
