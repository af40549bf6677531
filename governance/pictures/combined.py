"""What comes together: each place in the band of its tier, and all of it in the tier it implies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from governance.pictures.svg import (
    TIERS,
    curve,
    element,
    joined,
    picture,
    rect,
    shortened,
    text,
    tier_at,
)

_PITCH, _NODE, _EMPTY, _TOP, _LEFT = 40.0, 32.0, 26.0, 18.0, 34.0


@dataclass(frozen=True)
class Source:
    """A place, its tier, and what it gives."""

    name: str
    tier: str
    gives: str


@dataclass(frozen=True)
class Combined:
    """The places, and the tier that all of them together imply."""

    name: str
    tier: str
    sources: tuple[Source, ...]

    @property
    def sentence(self) -> str:
        """The picture in words."""
        said = ", ".join(f"{one.name} ({one.tier}) gives {one.gives}" for one in self.sources)
        return f"{said or 'What it does alone'}. Together they count as {self.tier}."


def combined_picture(combined: Combined, *, key: str = "combined", width: int = 640) -> SafeString:
    """The picture. `key` makes the id of its title unique on a page."""
    tops, height = _bands(combined)
    node, goal = (width - _LEFT) * 0.42, (width - _LEFT) * 0.3
    right = width - 8 - goal
    target = tops[combined.tier][0] + tops[combined.tier][1] / 2
    parts: list[SafeString] = []
    for place, tier in enumerate(TIERS):
        parts += _band(tier, tops[tier], width, odd=place % 2 == 0)
    placed = _placed(combined.sources, tops)
    for one, y in placed:
        path = curve(_LEFT + node, y, right, target)
        parts.append(element("path", class_=f"flow {one.tier}", d=path))
    parts += [_source(one, y, node) for one, y in placed]
    parts += [
        rect(right, target - 19, goal, 38, rx=5, class_="me"),
        text(shortened(combined.name, goal - 12), right + goal / 2, target + 4, "mid on-me"),
    ]
    return picture(key, combined.sentence, parts, class_="reach", width=width, height=height)


def _bands(combined: Combined) -> tuple[dict[str, tuple[float, float]], float]:
    """Tier → where its band begins and how high it is; and how high all of it is."""
    tops: dict[str, tuple[float, float]] = {}
    y = _TOP
    for tier in TIERS:
        many = sum(one.tier == tier for one in combined.sources)
        many = max(many, int(tier == combined.tier))
        tops[tier] = (y, _PITCH * many + 14 if many else _EMPTY)
        y += tops[tier][1]
    return tops, y


def _band(tier: str, at: tuple[float, float], width: float, *, odd: bool) -> list[SafeString]:
    y, height = at
    return [
        rect(0, y, width, height, class_="band odd" if odd else "band"),
        element("line", class_="level", x1=0, x2=width, y1=y + height, y2=y + height),
        tier_at(tier, 8, y + height / 2 - 9),
    ]


def _placed(
    sources: Sequence[Source], tops: dict[str, tuple[float, float]]
) -> list[tuple[Source, float]]:
    found = []
    for tier in TIERS:
        mine = [one for one in sources if one.tier == tier]
        first = tops[tier][0] + tops[tier][1] / 2 - _PITCH * (len(mine) - 1) / 2
        found += [(one, first + _PITCH * place) for place, one in enumerate(mine)]
    return found


def _source(one: Source, y: float, width: float) -> SafeString:
    return joined(
        [
            rect(_LEFT, y - _NODE / 2, width, _NODE, rx=4, class_="node"),
            text(shortened(one.name, width - 14), _LEFT + 10, y - 2.5),
            text(shortened(one.gives, width - 14, 6.2), _LEFT + 10, y + 10.5, "cap"),
        ]
    )
