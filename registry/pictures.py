"""The reach of a row as a picture."""

from __future__ import annotations

from collections.abc import Sequence

from governance.pictures import Reach as Picture
from governance.pictures import ReachNode
from registry.reach import Place, Reach


def picture_of(name: str, reach: Reach) -> Picture:
    """One node a system and tier; what is written below what is read is drawn sinking."""
    return Picture(
        agent=name or "your agent",
        reads=_nodes(reach.reads),
        writes=_nodes(reach.writes),
        refused=True,
    )


def _nodes(places: Sequence[Place]) -> tuple[ReachNode, ...]:
    grouped: dict[tuple[str, str], set[str]] = {}
    for place in places:
        grouped.setdefault((place.system, str(place.tier)), set()).update(place.tools)
    return tuple(
        ReachNode(name=system, tier=tier, caption=", ".join(sorted(tools)))
        for (system, tier), tools in sorted(grouped.items())
    )
