"""The reach of an agent: reads left, the agent in the middle, writes right; height is tier."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from governance.pictures.svg import (
    TIERS,
    crossed,
    crossing,
    curve,
    element,
    joined,
    picture,
    rect,
    shortened,
    text,
    tier_at,
)

_TOP, _EMPTY, _NODE, _PITCH = 22.0, 30.0, 34.0, 42.0
_MOST = 8


@dataclass(frozen=True)
class ReachNode:
    """A system that an agent reads or writes; `caption` names its data or the tools used."""

    name: str
    tier: str
    caption: str = ""
    owner: str = ""


@dataclass(frozen=True)
class Reach:
    """What one agent reads and writes. `refused` says that the flow check refuses what sinks."""

    agent: str
    reads: tuple[ReachNode, ...] = ()
    writes: tuple[ReachNode, ...] = ()
    refused: bool = False

    @property
    def level(self) -> str:
        """The highest tier that it reads; the picture places it there."""
        read = {node.tier for node in self.reads}
        return next((tier for tier in TIERS if tier in read), TIERS[-1])

    def sinks(self, node: ReachNode) -> bool:
        """Whether what is written there would flow down."""
        return TIERS.index(node.tier) > TIERS.index(self.level)

    @property
    def sinking(self) -> tuple[str, ...]:
        """The systems that are written below what is read."""
        return tuple(node.name for node in self.writes if self.sinks(node))

    @property
    def sentence(self) -> str:
        """The picture in words."""
        said = (
            f"{self.agent} reads {_listed(self.reads) or 'nothing'}"
            f" and writes {_listed(self.writes) or 'nothing'}."
        )
        if not self.sinking:
            return said
        verb = (
            "Refused once it has read what lies higher"
            if self.refused
            else "Sinking below its reads"
        )
        return f"{said} {verb}: {', '.join(self.sinking)}."


@dataclass(frozen=True)
class Band:
    """One tier of a reach, as words for a list and for a phone."""

    tier: str
    reads: tuple[ReachNode, ...]
    writes: tuple[ReachNode, ...]
    sinks: bool


def reach_bands(reach: Reach) -> tuple[Band, ...]:
    """The tiers that it touches, from restricted down. The list is always complete."""
    bands = (
        Band(
            tier,
            tuple(node for node in reach.reads if node.tier == tier),
            tuple(node for node in reach.writes if node.tier == tier),
            TIERS.index(tier) > TIERS.index(reach.level),
        )
        for tier in TIERS
    )
    return tuple(band for band in bands if band.reads or band.writes)


def reach_picture(reach: Reach, *, width: int = 760, key: str = "reach") -> SafeString:
    """The picture. `key` makes the id of its title unique on a page; under 600 px it is narrow."""
    plan = _Plan(_grouped(reach), float(width))
    parts = [
        *plan.heads(),
        *plan.bands(),
        *plan.reading(),
        *plan.writing(),
        *plan.nodes(),
        *plan.agent(),
    ]
    return picture(key, reach.sentence, parts, class_="reach", width=width, height=plan.height)


def _listed(nodes: Sequence[ReachNode]) -> str:
    return ", ".join(f"{node.name} ({node.tier})" for node in nodes)


def _grouped(reach: Reach) -> Reach:
    return Reach(reach.agent, _group(reach.reads), _group(reach.writes), reach.refused)


def _group(nodes: tuple[ReachNode, ...]) -> tuple[ReachNode, ...]:
    """Above eight on a side: those of one tier and owner become one node with a count."""
    if len(nodes) <= _MOST:
        return nodes
    groups: dict[tuple[str, str], list[ReachNode]] = defaultdict(list)
    for node in nodes:
        groups[node.tier, node.owner].append(node)
    return tuple(
        group[0]
        if len(group) == 1
        else ReachNode(f"{len(group)} systems", tier, f"of {owner}" if owner else "", owner)
        for (tier, owner), group in groups.items()
    )


class _Plan:
    """Where everything of one picture stands."""

    def __init__(self, reach: Reach, width: float) -> None:
        self.reach, self.width = reach, width
        narrow = width < 600
        self.left = 30.0 if narrow else 104.0
        self.node = min((width - self.left) * 0.28, 132.0) if narrow else 158.0
        self.right = width - 8 - self.node
        self.me = self.node if narrow else 124.0
        self.named = not narrow
        self.middle = (self.left + self.node + self.right) / 2
        self.tops: dict[str, tuple[float, float]] = {}
        y = _TOP
        for tier in TIERS:
            self.tops[tier] = (y, self._band_height(tier))
            y += self.tops[tier][1]
        self.height = y
        self.centre = self._middle_of(reach.level)
        self.read_at = self._places(reach.reads)
        self.write_at = self._places(reach.writes)

    def heads(self) -> list[SafeString]:
        return [
            text("Reads", self.left, 12, "cap"),
            text("Agent", self.middle, 12, "cap mid"),
            text("Writes", self.right, 12, "cap"),
        ]

    def bands(self) -> list[SafeString]:
        parts = []
        for place, tier in enumerate(TIERS):
            y, height = self.tops[tier]
            shade = "band odd" if place % 2 == 0 else "band"
            parts.append(rect(0, y, self.width, height, class_=shade))
            parts.append(
                element("line", class_="level", x1=0, x2=self.width, y1=y + height, y2=y + height)
            )
            parts.append(tier_at(tier, 8, y + height / 2 - 9))
            if self.named:
                parts.append(text(tier, 31, y + height / 2 + 4, "cap"))
        return parts

    def reading(self) -> list[SafeString]:
        start, end = self.left + self.node, self.middle - self.me / 2
        return [
            element("path", class_=f"flow {node.tier}", d=curve(start, y, end, target))
            for (node, y), target in zip(
                self.read_at, self._anchors(len(self.read_at)), strict=True
            )
        ]

    def writing(self) -> list[SafeString]:
        start = self.middle + self.me / 2
        sinking = sum(self.reach.sinks(node) for node, _ in self.write_at)
        parts, sunk = [], 0
        for (node, y), source in zip(self.write_at, self._anchors(len(self.write_at)), strict=True):
            if self.reach.sinks(node):
                parts += self._sinking(start, source, y, sunk, sinking)
                sunk += 1
            else:
                path = curve(start, source, self.right, y)
                parts.append(element("path", class_=f"flow {self.reach.level}", d=path))
        return parts

    def nodes(self) -> list[SafeString]:
        left = [self._system(node, self.left, y) for node, y in self.read_at]
        return left + [self._system(node, self.right, y) for node, y in self.write_at]

    def agent(self) -> list[SafeString]:
        x = self.middle - self.me / 2
        name = shortened(self.reach.agent, self.me - 12)
        return [
            rect(x, self.centre - 19, self.me, 38, rx=5, class_="me"),
            text(name, self.middle, self.centre + 4, "mid on-me"),
        ]

    def _band_height(self, tier: str) -> float:
        sides = (self.reach.reads, self.reach.writes)
        most = max(sum(node.tier == tier for node in side) for side in sides)
        if tier == self.reach.level:
            most = max(most, 1)
        return _PITCH * most + 14 if most else _EMPTY

    def _middle_of(self, tier: str) -> float:
        y, height = self.tops[tier]
        return y + height / 2

    def _places(self, nodes: Sequence[ReachNode]) -> list[tuple[ReachNode, float]]:
        """Each node with the height of its middle, from the top down."""
        placed = []
        for tier in TIERS:
            mine = [node for node in nodes if node.tier == tier]
            first = self._middle_of(tier) - _PITCH * (len(mine) - 1) / 2
            placed += [(node, first + _PITCH * place) for place, node in enumerate(mine)]
        return placed

    def _anchors(self, count: int) -> list[float]:
        """Where flows meet the agent: eight pixels apart, closer when there are many."""
        step = min(8.0, 30 / max(count - 1, 1))
        return [self.centre + step * (place - (count - 1) / 2) for place in range(count)]

    def _sinking(
        self, start: float, source: float, target: float, place: int, count: int
    ) -> list[SafeString]:
        """A dashed red flow, crossed on the line that it may not cross."""
        gap = self.right - start
        many = count > 3
        share = 0.5 if count == 1 else place / (count - 1)
        bend = start + gap * (0.94 - 0.88 * share if many else 0.72 - 0.44 * share)
        top, height = self.tops[self.reach.level]
        x = crossing((start, source), (self.right, target), bend, top + height)
        radius = 8 if not many and gap > 60 else 4.5
        path = curve(start, source, self.right, target, bend)
        return [
            element("path", class_="flow sinks", d=path),
            *crossed(x, top + height, radius),
        ]

    def _system(self, node: ReachNode, x: float, y: float) -> SafeString:
        parts = [
            rect(x, y - _NODE / 2, self.node, _NODE, rx=4, class_="node"),
            text(shortened(node.name, self.node - 14), x + 10, y - 2.5 if node.caption else y + 4),
        ]
        if node.caption:
            caption = shortened(node.caption, self.node - 14, 6.2)
            parts.append(text(caption, x + 10, y + 10.5, "cap"))
        return joined(parts)
