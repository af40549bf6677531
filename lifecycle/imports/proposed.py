"""What a reader found, and how it keeps secrets and nonsense out of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from audit.redactor import find_secret
from governance.kernel.errors import Invalid
from registry.validators import CONTROL

MOST_NAMES = 200
_NO_SLUG = re.compile(r"[^a-z0-9]+")
# As long as the fields of the row.
LENGTHS = {
    "purpose": 600,
    "builder": 100,
    "repository": 300,
    "runs_at": 300,
    "model": 100,
    "prompt_digest": 128,
    "code_reference": 128,
    "lawful_basis": 200,
    "data_subjects": 300,
    "recipients": 300,
    "retention": 200,
}


class BadImport(Invalid):
    """This cannot be read as something about an agent."""

    code = "bad_import"


@dataclass(frozen=True, slots=True)
class Proposed:
    """One agent, as somebody described it. `told` are sentences for whoever fills in the form.

    `servers` and `tools` are names as they were written; whether there is such a system or tool,
    nobody has asked yet. `owner` is an address, where one is named.
    """

    kind: str
    slug: str = ""
    name: str = ""
    owner: str = ""
    facts: Mapping[str, str | int] = field(default_factory=dict)
    servers: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


@dataclass(slots=True)
class Draft:
    """A proposal while it is read: everything that goes in is cleaned here."""

    kind: str
    name: str = ""
    owner: str = ""
    facts: dict[str, str | int] = field(default_factory=dict)
    servers: dict[str, None] = field(default_factory=dict)
    tools: dict[str, None] = field(default_factory=dict)
    told: dict[str, None] = field(default_factory=dict)

    def tell(self, sentence: str) -> None:
        """Say something once."""
        self.told.setdefault(sentence)

    def call(self, value: Any) -> None:
        """Take the agent's name, if it is one."""
        self.name = self.name or self.text("Its name", value, 100)

    def say(self, fact: str, value: Any) -> None:
        """Take a fact, if it is a text and no secret; the first one counts."""
        if fact not in self.facts and (
            text := self.text(fact.replace("_", " "), value, LENGTHS[fact])
        ):
            self.facts[fact] = text

    def count(self, fact: str, value: Any) -> None:
        """Take a fact that is a whole number from 0 up."""
        if type(value) is int and 0 <= value <= 2**31 - 1:
            self.facts.setdefault(fact, value)

    def choose(self, fact: str, value: Any, words: Iterable[str]) -> None:
        """Take a fact that is one of some words."""
        if isinstance(value, str) and value in set(words):
            self.facts.setdefault(fact, value)

    def add_tools(self, names: Iterable[Any]) -> None:
        """Take names of tools."""
        self._add(self.tools, names)

    def add_servers(self, names: Iterable[Any]) -> None:
        """Take names of servers or systems."""
        self._add(self.servers, names)

    def _add(self, found: dict[str, None], names: Iterable[Any]) -> None:
        for name in names:
            if len(found) == MOST_NAMES:
                self.tell(f"Only the first {MOST_NAMES} names of a list were read.")
                return
            if text := self.text("A name", name, 120):
                found.setdefault(text)

    def text(self, what: str, value: Any, most: int) -> str:
        """`value` as one plain line of at most `most` characters; "" if it is none."""
        if not isinstance(value, str):
            return ""
        line = " ".join("".join(" " if c in CONTROL else c for c in value).split())
        if find_secret(line) is not None:
            self.tell(
                f"{what.capitalize()} held a secret and was left out. A secret belongs into the "
                "vault; change it, since it stood in a file."
            )
            return ""
        if len(line) > most:
            self.tell(f"{what.capitalize()} was cut to {most} characters.")
        return line[:most].rstrip()

    def done(self) -> Proposed:
        """The proposal."""
        return Proposed(
            self.kind,
            slug_of(self.name),
            self.name,
            self.owner,
            self.facts,
            tuple(self.servers),
            tuple(self.tools),
            tuple(self.told),
        )


def slug_of(name: str) -> str:
    """A name for the register made from any other."""
    return _NO_SLUG.sub("-", name.lower()).strip("-")[:60].rstrip("-")


def host_of(url: Any) -> str:
    """The host of an address, without what may stand before and after it; "" if there is none."""
    if not isinstance(url, str):
        return ""
    try:
        return (urlsplit(url.strip()).hostname or "")[:253]
    except ValueError:
        return ""


def mapping(value: Any) -> Mapping[str, Any]:
    """A mapping as it is, anything else as an empty one."""
    return value if isinstance(value, Mapping) else {}


def listed(value: Any) -> list[Any]:
    """A list as it is, anything else as an empty one."""
    return value if isinstance(value, list) else []
