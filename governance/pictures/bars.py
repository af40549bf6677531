"""Decisions over time: allowed above the line, denied and held below it on a scale of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from django.utils.safestring import SafeString

from governance.pictures.svg import element, joined, rect, text

_WIDTH, _TOP, _AXIS, _BOTTOM, _LEFT = 1120.0, 14.0, 90.5, 142.0, 48.0
_STEPS = (10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100)


@dataclass(frozen=True)
class Bucket:
    """The decisions of one span of time, named by its start."""

    label: str
    allowed: int = 0
    denied: int = 0
    held: int = 0


def bars(buckets: Sequence[Bucket], *, label: str = "") -> SafeString:
    """One bar a bucket. The full red is for a bucket with unusually many refusals."""
    above = _ceiling(max((bucket.allowed for bucket in buckets), default=0))
    below = _ceiling(max((bucket.denied + bucket.held for bucket in buckets), default=0))
    pitch = (_WIDTH - _LEFT) / max(len(buckets), 1)
    every = max(-(-len(buckets) // 10), 1)
    loud = _unusual([bucket.denied for bucket in buckets])
    parts = _scale(above, below)
    for place, bucket in enumerate(buckets):
        x = _LEFT + place * pitch + pitch * 0.16
        parts += _bucket(bucket, x, pitch * 0.68, above, below, loud=bucket.denied > loud)
        if place % every == 0:
            parts.append(text(bucket.label, x + pitch * 0.34, 160, "mid"))
    parts.append(element("line", class_="axis", x1=_LEFT, x2=_WIDTH, y1=_AXIS, y2=_AXIS))
    return element(
        "svg",
        joined(parts),
        class_="chart",
        viewBox="0 0 1120 164",
        role="img",
        aria_label=label or bars_label(buckets),
    )


def bars_label(buckets: Sequence[Bucket]) -> str:
    """What the picture shows, in words."""
    totals = (
        f"{sum(bucket.allowed for bucket in buckets):,} allowed, "
        f"{sum(bucket.denied for bucket in buckets):,} denied, "
        f"{sum(bucket.held for bucket in buckets):,} held"
    )
    worst = max(buckets, key=lambda bucket: bucket.denied, default=None)
    if worst is None or not worst.denied:
        return totals
    return f"{totals}; most were denied at {worst.label}: {worst.denied:,}"


def _unusual(denied: Sequence[int]) -> float:
    """What lies above is unusual: over five, and over three times the usual of the span."""
    return max(5.0, 3 * median(denied)) if denied else 5.0


def _ceiling(value: int) -> int:
    """The next round number at or above."""
    magnitude = int(10 ** (len(str(value)) - 1))
    rounds = (step * magnitude // 10 for step in _STEPS)
    return next(each for each in rounds if each >= max(value, 1))


def _scale(above: int, below: int) -> list[SafeString]:
    parts = []
    for y, words in ((_TOP, f"{above:,}"), (_BOTTOM, f"{below:,}")):
        parts.append(element("line", class_="grid", x1=_LEFT, x2=_WIDTH, y1=y, y2=y))
        parts.append(text(words, _LEFT - 6, y + 4, "end"))
    return [*parts, text("0", _LEFT - 6, _AXIS + 4, "end")]


def _bucket(
    bucket: Bucket, x: float, width: float, above: int, below: int, *, loud: bool
) -> list[SafeString]:
    up = bucket.allowed / above * (_AXIS - 0.5 - _TOP)
    down = (_BOTTOM - _AXIS - 1) / below
    parts = []
    if bucket.allowed:
        parts.append(rect(x, _AXIS - 0.5 - up, width, up, class_="bar-allow"))
    if bucket.denied:
        red = "bar-deny loud" if loud else "bar-deny"
        parts.append(rect(x, _AXIS + 1, width, bucket.denied * down, class_=red))
    if bucket.held:
        y = _AXIS + 1.5 + bucket.denied * down
        parts.append(
            rect(
                x + 0.5,
                y,
                width - 1,
                bucket.held * down,
                class_="bar-hold",
                fill="url(#hatch-hold)",
            )
        )
    return parts
