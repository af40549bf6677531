"""One run of an agent: what it read and wrote, and its label over time; height is tier.

The label is a floor. It is drawn along the lower edge of its tier's band, and what is written may
lie above it or level with it, never below.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from django.utils.safestring import SafeString

from governance.pictures.lanes import LEFT, RIGHT, SINGLY, SLOTS, Span, mark, stack, ticks
from governance.pictures.svg import (
    TIERS,
    crossed,
    crossing,
    curve,
    element,
    number,
    picture,
    rect,
    text,
    tier_at,
)

_TOP, _BAND = 26.0, 54.0
_READ, _WRITTEN = 16.0, 39.0
_BEGIN, _SWING = 34.0, 26.0
_SHORT = 1800.0
_EFFECTS = (("allow", "allowed"), ("deny", "denied"), ("hold", "held"))


@dataclass(frozen=True)
class Place:
    """A call at the tier of what it read or wrote; `below` is the label that it would sink from."""

    at: dt.datetime
    tier: str
    effect: str
    wrote: bool = False
    below: str = ""
    caption: str = ""

    @property
    def did(self) -> str:
        """What became of it, in words."""
        verb = "write" if self.wrote else "read"
        if self.effect == "allow":
            return "wrote" if self.wrote else "read"
        word = "denied" if self.effect == "deny" else "held"
        return f"{word}: would {verb}"


@dataclass(frozen=True)
class Turn:
    """From here on the label is this tier."""

    at: dt.datetime
    tier: str


@dataclass(frozen=True)
class Run:
    """What one run did, oldest first, and since when it has read untrusted input."""

    places: tuple[Place, ...] = ()
    turns: tuple[Turn, ...] = ()
    tainted_at: dt.datetime | None = None

    @property
    def label(self) -> str:
        return self.turns[-1].tier if self.turns else TIERS[-1]

    @property
    def many(self) -> bool:
        """Whether they are counted instead of drawn one by one."""
        return len(self.places) > SINGLY

    @property
    def counts(self) -> list[tuple[str, str, int]]:
        """Tier, what became of it, and how often, from restricted down."""
        found = Counter((place.tier, place.did) for place in self.places)
        ranked = sorted(found.items(), key=lambda each: (TIERS.index(each[0][0]), each[0][1]))
        return [(tier, did, count) for (tier, did), count in ranked]

    @property
    def sentence(self) -> str:
        """The picture in words."""
        counts = Counter(place.effect for place in self.places)
        wrote = sum(place.wrote for place in self.places)
        said = ", ".join(f"{counts[effect]:,} {word}" for effect, word in _EFFECTS)
        parts = [
            f"{len(self.places) - wrote:,} to read and {wrote:,} to write: {said}",
            f"the label {'rose to' if len(self.turns) > 1 else 'is'} {self.label}",
        ]
        parts += ["untrusted input was read"] if self.tainted_at else []
        return "; ".join(parts)


def run_picture(run: Run, *, key: str = "run") -> SafeString:
    """The picture: up to 400 marks one by one, beyond that their number in each slot of time."""
    span = _span_of(run)
    bottom = _TOP + _BAND * len(TIERS)
    draw = _counted if run.many else _singly
    parts = [
        *_bands(),
        *ticks(span, bottom),
        *_taint(run, span, bottom),
        *_label(run, span),
        *draw(run, span),
    ]
    return picture(key, run.sentence, parts, class_="chart run", width=1120, height=bottom + 20)


def _span_of(run: Run) -> Span:
    """From a little before the first event, so that what sinks has room to swing."""
    times = [place.at for place in run.places] + [turn.at for turn in run.turns]
    times += [run.tainted_at] if run.tainted_at else []
    if not times:
        times = [dt.datetime.fromtimestamp(0, dt.UTC)]
    start, end = min(times), max(times)
    length = max(end - start, dt.timedelta(seconds=2))
    return Span(start - length * (_BEGIN / (RIGHT - LEFT)), start + length * 1.02)


def _top(tier: str) -> float:
    return _TOP + _BAND * TIERS.index(tier)


def _floor(tier: str) -> float:
    """The line below which nothing may be written."""
    return _top(tier) + _BAND


def _height(place: Place) -> float:
    return _top(place.tier) + (_WRITTEN if place.wrote else _READ)


def _bands() -> Iterator[SafeString]:
    for tier in TIERS:
        top = _top(tier)
        shade = "band odd" if TIERS.index(tier) % 2 == 0 else "band"
        yield rect(0, top, 1120, _BAND, class_=shade)
        yield element("line", class_="level", x1=0, x2=1120, y1=top + _BAND, y2=top + _BAND)
        yield tier_at(tier, 4, top + _BAND / 2 - 9)
        yield text(tier, 28, top + _BAND / 2 + 4, "dark")
        for word, y in (("read", _READ), ("written", _WRITTEN)):
            yield text(word, LEFT - 12, top + y + 4, "end")
            yield element("line", class_="lane", x1=LEFT, x2=1120, y1=top + y, y2=top + y)


def _taint(run: Run, span: Span, bottom: float) -> Iterator[SafeString]:
    if run.tainted_at is None:
        return
    x = span.x(run.tainted_at)
    yield element("line", class_="taint", x1=x, x2=x, y1=_TOP - 8, y2=bottom)
    yield element("line", class_="taint", x1=x, x2=1120, y1=_TOP - 8, y2=_TOP - 8)
    late = x > (LEFT + RIGHT) / 2
    yield text("untrusted input read", x, _TOP - 13, "end dark" if late else "dark")


def _label(run: Run, span: Span) -> Iterator[SafeString]:
    """The floor: level while the label stays, a step where it turns."""
    ends = [*(span.x(turn.at) for turn in run.turns[1:]), 1120.0]
    # The end of the picture closes the last one; without any there is nothing to close.
    for turn, end in zip(run.turns, ends, strict=False):
        y = _floor(turn.tier)
        path = f"M{number(span.x(turn.at))} {number(y)}H{number(end)}"
        yield element("path", class_=f"flow {turn.tier}", d=path)
    for before, after in pairwise(run.turns):
        x, y = span.x(after.at), _floor(before.tier)
        path = f"M{number(x)} {number(y)}V{number(_floor(after.tier))}"
        yield element("path", class_="step", d=path)


def _singly(run: Run, span: Span) -> Iterator[SafeString]:
    order = ("allow", "hold", "deny")
    for place in sorted(run.places, key=lambda each: order.index(each.effect)):
        x, y = span.x(place.at), _height(place)
        if place.below:
            yield from _sinking(place, x, y)
        yield mark(place.effect, x, y)


def _sinking(place: Place, x: float, y: float) -> list[SafeString]:
    """A dashed red flow from the label's tier, crossed on the line that it may not cross."""
    start = (x - _SWING, _top(place.below) + _WRITTEN)
    line, bend = _floor(place.below), x - _SWING / 2
    path = curve(*start, x, y - 7, bend)
    return [
        element("path", class_="flow sinks", d=path),
        *crossed(crossing(start, (x, y - 7), bend, line), line, 6),
    ]


def _counted(run: Run, span: Span) -> Iterator[SafeString]:
    """Allowed above a lane and the rest below it, so that no refusal is buried."""
    slots = _slots(span)
    width = (RIGHT - LEFT) / slots
    counts = Counter(
        (_height(each), each.effect == "allow", min(int((span.x(each.at) - LEFT) / width), slots))
        for each in run.places
    )
    most = max(counts.values())
    for (y, allowed, slot), count in sorted(counts.items()):
        yield stack(LEFT + slot * width, y, width - 1, count / most, allowed=allowed)


def _slots(span: Span) -> int:
    """Whole minutes, or several; a run of less than half an hour is cut as finely as it is long."""
    if span.seconds < _SHORT:
        return SLOTS
    minutes = -(-span.seconds // (60 * SLOTS))
    return int(-(-span.seconds // (60 * minutes)))
