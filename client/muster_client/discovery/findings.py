"""What can be found, and what is said of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

AGENT, MCP, FRAMEWORK, KEY = "agent", "mcp", "framework", "key"
MOST_NAME, MOST_PATH, MOST_NAMES = 120, 500, 50


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing. `path` is relative to where was looked, `detail` holds names and no values.

    `name` and `path` are shown as they can be printed: what a repository calls its files is
    chosen by whoever wrote to it.
    """

    kind: str
    name: str
    path: str
    detail: Mapping[str, Any] = field(default_factory=dict)

    def fingerprint(self, source: str) -> str:
        """SHA-256 over where it is and what it is: the same thing has the same one tomorrow."""
        told = "\0".join((source, self.kind, self.path, self.name))
        return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()

    def as_object(self, source: str) -> dict[str, Any]:
        """As JSON says it."""
        return {
            "fingerprint": self.fingerprint(source),
            "kind": self.kind,
            "name": self.name,
            "path": self.path,
            "detail": dict(self.detail),
        }


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that was found in `source`. `told` are sentences about what was not read."""

    source: str
    findings: tuple[Finding, ...]
    told: tuple[str, ...] = ()


def printable(text: Any, most: int = MOST_NAME) -> str:
    """A text on one line, cut to `most` characters, without what a terminal would obey."""
    line = "".join(each if each.isprintable() else "\ufffd" for each in str(text))
    return line[:most]


def names(given: Any, most: int = MOST_NAMES) -> list[str]:
    """The names in a list or the keys of a mapping, as they can be printed."""
    listed = list(given) if isinstance(given, list | tuple | Mapping) else []
    return [printable(each) for each in listed if isinstance(each, str)][:most]
