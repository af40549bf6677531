"""What was found in a file, looked up on the register."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import Q

from lifecycle.imports.proposed import Proposed, slug_of
from registry.enums import ToolEffect
from registry.models import System, Tool
from registry.selectors import tools_for_reach

MOST_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Matched:
    """The tools that are on the register, and a sentence for everything that is not."""

    tools: tuple[Tool, ...] = ()
    unmatched: tuple[str, ...] = ()


def matched(proposed: Proposed) -> Matched:
    """Tools by their exact name, servers by the system of their name.

    Of a server whose tools are not listed those are proposed that only read.
    """
    systems = _systems(proposed.servers)
    names = {alike for name in proposed.tools for alike in _alike(name)}
    tools = {tool.name: tool for tool in tools_for_reach(names)}
    lost = sorted(name for name in proposed.tools if not tools.keys() & _alike(name))
    unknown = sorted(set(proposed.servers) - systems.keys())
    listed = {tool.system_id for tool in tools.values()}
    open_ = [system.pk for system in systems.values() if system.pk not in listed]
    reading = tools_for_reach().filter(system__in=open_, effect=ToolEffect.READ)
    return Matched(
        tuple(sorted({*tools.values(), *reading}, key=lambda tool: tool.name)),
        (*_no_tool(lost), *_no_system(unknown)),
    )


def _alike(name: str) -> set[str]:
    """`crm.read` as it is, and as the forms in which others join server and tool."""
    server, _, tool = name.partition(".")
    return {name, f"{server}/{tool}", f"{server}:{tool}"} if tool else {name}


def _systems(servers: Iterable[str]) -> dict[str, System]:
    """The systems that the servers' names stand for."""
    wanted = {name: (name, slug_of(name), slug_of(name).removesuffix("-mcp")) for name in servers}
    words = {word for spellings in wanted.values() for word in spellings}
    by_word: dict[str, System] = {}
    for system in System.objects.filter(Q(slug__in=words) | Q(name__in=words)):
        by_word |= {system.name: system, system.slug: system}
    return {
        name: by_word[word]
        for name, spellings in wanted.items()
        if (word := next((each for each in spellings if each in by_word), ""))
    }


def _no_tool(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    said = (
        f"Not on the register as tools: {_shown(names)}. Ask the owner of their system to "
        "register them, or leave them out: what is not ticked is refused."
    )
    return [said]


def _no_system(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    said = (
        f"Not on the register as systems: {_shown(names)}. Ask whoever runs them, a source owner "
        "or a platform admin, to register them."
    )
    return [said]


def _shown(names: Sequence[str]) -> str:
    more = len(names) - MOST_SHOWN
    return ", ".join(names[:MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
