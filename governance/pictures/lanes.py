"""What happened, by lane and time: systems from restricted down, or whoever did it."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils import timezone
from django.utils.safestring import SafeString

from governance.pictures.svg import TIERS, element, joined, number, rect, shortened, text, tier_at

LEFT, RIGHT, _TOP, _PITCH = 170.0, 1100.0, 12.0, 30.0
SINGLY = 400
SLOTS = 120
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


@dataclass(frozen=True)
class Happening:
    """One decision: when, on which system of which tier, and how it ended.

    Without a tier the lane is not of a system but of who did it. `until` is when what was held
    was let go on, or given up.
    """

    at: dt.datetime
    system: str
    tier: str
    effect: str
    until: dt.datetime | None = None


@dataclass(frozen=True)
class Span:
    """The time that a picture shows, from its left edge to its right one."""

    start: dt.datetime
    end: dt.datetime

    @property
    def seconds(self) -> float:
        return max((self.end - self.start).total_seconds(), 1.0)

    def x(self, at: dt.datetime) -> float:
        share = (at - self.start).total_seconds() / self.seconds
        return LEFT + (RIGHT - LEFT) * min(max(share, 0.0), 1.0)


def lanes(
    happenings: Sequence[Happening], start: dt.datetime, end: dt.datetime, *, label: str = ""
) -> SafeString:
    """One lane a system. Allowed is a bar, denied a cross, held a box with a band until its end.

    Up to 400 are drawn one by one; beyond that a bar's height is their number in its slot.
    """
    span = Span(start, end)
    order = _order(happenings)
    bottom = _TOP + _PITCH * max(len(order), 1)
    heights = {system: _TOP + _PITCH * (place + 0.5) for place, (system, _) in enumerate(order)}
    parts = [*ticks(span, bottom)]
    for system, tier in order:
        parts += _lane(system, tier, heights[system])
    parts += _waits(happenings, span, heights)
    draw = _singly if len(happenings) <= SINGLY else _counted
    parts += draw(happenings, span, heights)
    return element(
        "svg",
        joined(parts),
        class_="chart",
        viewBox=f"0 0 1120 {number(bottom + 20)}",
        role="img",
        aria_label=label or _said(happenings, len(order)),
    )


def _order(happenings: Sequence[Happening]) -> list[tuple[str, str]]:
    lanes = {(each.system, each.tier) for each in happenings}
    highest: dict[str, str] = {}
    first = {each.system: each.at for each in sorted(happenings, key=lambda one: one.at)[::-1]}
    # Whoever did it stands in order of time; a system in that of its tier and its name.
    ranked = sorted(
        lanes,
        key=lambda lane: (_height(lane[1]), lane[0] if lane[1] else first[lane[0]].isoformat()),
    )
    for system, tier in ranked:
        highest.setdefault(system, tier)
    return list(highest.items())


def _height(tier: str) -> int:
    return TIERS.index(tier) if tier in TIERS else len(TIERS)


def _said(happenings: Sequence[Happening], systems: int) -> str:
    effects = Counter(each.effect for each in happenings)
    return (
        f"{len(happenings):,} actions on {systems} systems: {effects['allow']:,} allowed, "
        f"{effects['deny']:,} denied, {effects['hold']:,} held"
    )


def _lane(system: str, tier: str, y: float) -> list[SafeString]:
    line = element("line", class_="lane", x1=LEFT, x2=1120, y1=y, y2=y)
    if tier not in TIERS:
        return [line, text(shortened(system, LEFT - 8, 6.6), 0, y + 4, "dark")]
    name = text(shortened(system, LEFT - 34, 6.6), 26, y + 4, "dark")
    return [line, tier_at(tier, 0, y - 9), name]


def _waits(
    happenings: Sequence[Happening], span: Span, heights: dict[str, float]
) -> list[SafeString]:
    """How long what was held waited."""
    bands = [
        (span.x(each.at), span.x(each.until), heights[each.system] - 9)
        for each in happenings
        if each.until
    ]
    return [
        rect(begin, y, max(end - begin, 0), 18, rx=3, class_="span-hold") for begin, end, y in bands
    ]


def ticks(span: Span, bottom: float) -> list[SafeString]:
    """At most seven, on round times of the reader's zone."""
    step = next((step for step in _STEPS if span.seconds / step <= 6), 86400)
    step = step if step < 86400 else 86400 * (int(span.seconds / 86400 / 6) + 1)
    local = timezone.localtime(span.start)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    first = -(-(local - midnight).total_seconds() // step) * step
    at = midnight + dt.timedelta(seconds=first)
    parts = []
    while at <= span.end:
        x = span.x(at)
        parts.append(element("line", class_="grid", x1=x, x2=x, y1=6, y2=bottom))
        # In the middle of a word that stands at the edge, half of it would be cut off.
        parts.append(text(_tick(at, step), x, bottom + 15, "mid" if x < RIGHT - 6 else "end"))
        at += dt.timedelta(seconds=step)
    return parts


def _tick(at: dt.datetime, step: int) -> str:
    if step >= 86400:
        return f"{at.day} {at:%b}"
    return f"{at:%H:%M:%S}" if step < 60 else f"{at:%H:%M}"


def _singly(
    happenings: Sequence[Happening], span: Span, heights: dict[str, float]
) -> list[SafeString]:
    ranked = sorted(happenings, key=lambda each: ("allow", "hold", "deny").index(each.effect))
    return [mark(each.effect, span.x(each.at), heights[each.system]) for each in ranked]


def mark(effect: str, x: float, y: float) -> SafeString:
    """One decision: allowed is a bar, denied a cross, held a box."""
    if effect == "deny":
        path = f"M{number(x - 4)} {number(y - 4)}l8 8m0-8l-8 8"
        return element("path", class_="mark-deny", d=path)
    if effect == "hold":
        return rect(x - 5, y - 6, 10, 12, rx=1, class_="mark-hold")
    return rect(x - 2.5, y - 6, 5, 12, rx=1, class_="mark-allow")


def _counted(
    happenings: Sequence[Happening], span: Span, heights: dict[str, float]
) -> list[SafeString]:
    """Allowed and the rest in separate halves of a lane, so that a refusal is never buried."""
    width = (RIGHT - LEFT) / SLOTS
    counts = Counter(
        (each.system, each.effect == "allow", int((span.x(each.at) - LEFT) / width))
        for each in happenings
    )
    most = max(counts.values(), default=1)
    return [
        stack(LEFT + slot * width, heights[system], width - 1, count / most, allowed=allowed)
        for (system, allowed, slot), count in sorted(counts.items())
    ]


def stack(x: float, y: float, width: float, share: float, *, allowed: bool) -> SafeString:
    """A number of decisions in a slot: allowed above the lane, the rest below it."""
    height = max(12 * share, 1.5)
    if allowed:
        return rect(x, y - height, width, height, class_="mark-allow")
    return rect(x, y + 1, width, height, class_="bar-deny loud")
