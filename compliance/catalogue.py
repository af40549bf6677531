"""The frameworks, as their files say: what is asked in our words, and which queries answer.

The files are read and checked once, when the process starts; one that is wrong stops it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from django.core.exceptions import ImproperlyConfigured

from compliance.enums import Breaks, Concern, Empty, Timing
from compliance.errors import UnknownControl, UnknownFramework
from governance.kernel.json_schema import compile_schema

FOLDER = Path(__file__).with_name("frameworks")
ORDER = ("gdpr", "hipaa", "soc2", "ai-act", "sox")
_ID = {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,39}$"}
_WORD = {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,59}$"}
_TEXT = {"type": "string", "minLength": 3, "maxLength": 1000}
_DAY = {"type": "string", "format": "date"}
_ASKED = {
    "type": "object",
    "properties": {
        "id": _WORD,
        "breaks": {"enum": list(Breaks)},
        "empty": {"enum": list(Empty)},
        "with": {"type": "object", "additionalProperties": {"type": ["integer", "string"]}},
    },
    "required": ["id", "breaks"],
    "additionalProperties": False,
}
_CONTROL = {
    "type": "object",
    "properties": {
        "id": _ID,
        "clause": {"type": "string", "minLength": 1, "maxLength": 60},
        "title": _TEXT,
        "theme": _ID,
        "obligation": _TEXT,
        "source": _TEXT,
        "rule": _TEXT,
        "next": _TEXT,
        "timing": {"enum": list(Timing)},
        "binds": {"type": "array", "items": {"enum": ["provider", "deployer"]}},
        "applies_from": _DAY,
        "applies_note": _TEXT,
        "queries": {"type": "array", "items": _ASKED, "minItems": 1, "maxItems": 8},
        "annexes": {"type": "array", "items": _WORD},
    },
    "required": ["id", "clause", "title", "theme", "obligation", "source", "rule", "next",
                 "timing", "queries"],
    "additionalProperties": False,
}  # fmt: skip
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "id": _ID,
        "name": {"type": "string", "maxLength": 40},
        "title": _TEXT,
        "text": _TEXT,
        "concern": {"enum": list(Concern)},
        "controls": {"type": "array", "items": _CONTROL, "minItems": 1},
        "annexes": {"type": "array", "items": _WORD},
    },
    "required": ["id", "name", "title", "text", "concern", "controls", "annexes"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One query that a control asks, and what its exceptions mean there."""

    id: str
    breaks: Breaks
    empty: Empty
    given: Mapping[str, Any]

    @property
    def key(self) -> str:
        """The same for what gives the same answer."""
        return " ".join([self.id, *(f"{name}={self.given[name]}" for name in sorted(self.given))])


@dataclass(frozen=True, slots=True)
class Control:
    """One line of a framework."""

    framework: str
    id: str
    clause: str
    title: str
    theme: str
    obligation: str
    source: str
    rule: str
    next: str
    timing: Timing
    queries: tuple[Asked, ...]
    annexes: tuple[str, ...] = ()
    binds: tuple[str, ...] = ()
    applies_from: date | None = None
    applies_note: str = ""


@dataclass(frozen=True, slots=True)
class Framework:
    """One framework: the agents that it is about, and its lines in their order."""

    id: str
    name: str
    title: str
    text: str
    concern: Concern
    controls: tuple[Control, ...]
    annexes: tuple[str, ...]

    def control(self, control_id: str) -> Control:
        """The line of this id. Raises `UnknownControl`."""
        for each in self.controls:
            if each.id == control_id:
                return each
        raise UnknownControl()


def framework(framework_id: str) -> Framework:
    """The framework of this id. Raises `UnknownFramework`."""
    for each in frameworks():
        if each.id == framework_id:
            return each
    raise UnknownFramework()


@cache
def frameworks() -> tuple[Framework, ...]:
    """All of them, in the order in which pages name them. Raises `ImproperlyConfigured`."""
    return tuple(read_framework(FOLDER / f"{name}.yaml") for name in ORDER)


def read_framework(path: Path) -> Framework:
    """One file. Raises `ImproperlyConfigured`, which names the file and what is wrong in it."""
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ImproperlyConfigured(f"{path.name} cannot be read: {error}") from error
    _check(path.name, document)
    return _framework(document)


def _check(name: str, document: Any) -> None:
    for problem in compile_schema(SCHEMA).iter_errors(document):
        place = "/".join(map(str, problem.instance_path))
        raise ImproperlyConfigured(f"{name}, {place or 'the whole'}: {problem.message}")
    ids = [control["id"] for control in document["controls"]]
    for each in {one for one in ids if ids.count(one) > 1}:
        raise ImproperlyConfigured(f"{name}: the control {each} is there twice.")


def _framework(document: Mapping[str, Any]) -> Framework:
    return Framework(
        id=document["id"],
        name=document["name"],
        title=document["title"],
        text=document["text"].strip(),
        concern=Concern(document["concern"]),
        controls=tuple(_control(document["id"], each) for each in document["controls"]),
        annexes=tuple(document["annexes"]),
    )


def _control(framework_id: str, document: Mapping[str, Any]) -> Control:
    plain = ("id", "clause", "title", "theme", "obligation", "source", "rule", "next")
    since = document.get("applies_from")
    return Control(
        framework=framework_id,
        **{name: document[name].strip() for name in plain},
        timing=Timing(document["timing"]),
        queries=tuple(_asked(each) for each in document["queries"]),
        annexes=tuple(document.get("annexes", ())),
        binds=tuple(document.get("binds", ())),
        applies_from=date.fromisoformat(since) if since else None,
        applies_note=document.get("applies_note", ""),
    )


def _asked(document: Mapping[str, Any]) -> Asked:
    return Asked(
        id=document["id"],
        breaks=Breaks(document["breaks"]),
        empty=Empty(document.get("empty", Empty.NOT_APPLICABLE)),
        given=document.get("with", {}),
    )
