"""What a coding agent calls its tools, and what Muster calls them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import HookError

Json = Any

_PART = re.compile(r"[A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)*")
_TOOL = re.compile(r"[A-Za-z0-9_]+(?:[.:/-][A-Za-z0-9_]+)*")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_MEMBERS = {"tools": dict, "without": dict, "untrusted": list}

# What a model says about its call and what is not executed: each time other words, so that a call
# which was approved would not be the same again.
TALK: Map[str, tuple[str, ...]] = {"Bash": ("description",), "Task": ("description",)}
# What these bring in was written by strangers.
UNTRUSTED = ("WebFetch", "WebSearch")


@dataclass(frozen=True, slots=True)
class Mapping:
    """Names of tools, parameters that are talk alone, and tools whose results are not trusted.

    >>> names = Mapping("claude-code")
    >>> [names.tool(each) for each in ("Bash", "WebFetch", "mcp__crm__update_status")]
    ['claude-code.bash', 'claude-code.web_fetch', 'crm.update_status']
    """

    prefix: str
    tools: Map[str, str] = field(default_factory=dict)
    without: Map[str, tuple[str, ...]] = field(default_factory=lambda: TALK)
    untrusted: tuple[str, ...] = UNTRUSTED

    def tool(self, name: str) -> str:
        """Muster's name for a tool. Raises `HookError` for one that could be taken for another."""
        if name in self.tools:
            return self.tools[name]
        told = self._of_a_server(name) or f"{self.prefix}.{_HUMP.sub('_', name).lower()}"
        if not _TOOL.fullmatch(told):
            raise HookError(f"The tool's name {name!r} has no place on Muster's register.")
        return told

    def _of_a_server(self, name: str) -> str:
        """`server.tool` for a tool of an MCP server, "" for any other."""
        for start, between in (("mcp__", "__"), ("MCP:", ":")):
            if name.startswith(start):
                server, _, tool = name.removeprefix(start).partition(between)
                if not (_PART.fullmatch(server) and _PART.fullmatch(tool)):
                    raise HookError(f"The tool's name {name!r} does not tell server and tool.")
                if server == self.prefix:
                    raise HookError(f"An MCP server may not be named {server}, as the agent is.")
                return f"{server}.{tool}"
        return ""

    def parameters(self, name: str, given: Map[str, Json]) -> dict[str, Json]:
        """What the call is judged by: all that it is made with, but for the talk.

        >>> Mapping("claude-code").parameters("Bash", {"command": "ls", "description": "Look."})
        {'command': 'ls'}
        """
        dropped = self.without.get(name, ())
        return {key: value for key, value in given.items() if key not in dropped}

    def talk(self, name: str, given: Map[str, Json]) -> str:
        """What the model says of the call, for the record."""
        found = (given.get(key) for key in self.without.get(name, ()))
        return " ".join(each for each in found if isinstance(each, str))


def read_mapping(prefix: str, path: str) -> Mapping:
    """The mapping in a JSON file: `{"tools", "without", "untrusted"}`, each may be absent.

    Raises `HookError` for a file that is not there or holds anything else.
    """
    try:
        whole = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise HookError(f"The mapping {path} cannot be read: {error}.") from error
    if not isinstance(whole, dict) or not set(whole) <= set(_MEMBERS):
        raise HookError(f"The mapping {path} may hold {', '.join(_MEMBERS)} and nothing else.")
    for name, kind in _MEMBERS.items():
        if not isinstance(whole.get(name, kind()), kind):
            raise HookError(f"In the mapping {path}, {name} is of the wrong type.")
    return Mapping(
        prefix,
        tools=_tools(path, whole.get("tools", {})),
        without={key: _names(path, value) for key, value in whole.get("without", TALK).items()},
        untrusted=_names(path, whole.get("untrusted", list(UNTRUSTED))),
    )


def _tools(path: str, given: dict[str, Json]) -> dict[str, str]:
    for name, tool in given.items():
        if not isinstance(tool, str) or not _TOOL.fullmatch(tool):
            raise HookError(f"In the mapping {path}, {name} stands for no name of a tool.")
    return given


def _names(path: str, given: Json) -> tuple[str, ...]:
    if not isinstance(given, (list, tuple)) or not all(isinstance(each, str) for each in given):
        raise HookError(f"In the mapping {path}, a list of names is wanted.")
    return tuple(given)
