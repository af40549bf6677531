"""From a reference to the vault that keeps it and the place in it."""

from __future__ import annotations

import re

from registry import references
from registry.vault.errors import NoBackEnd
from registry.vault.types import Place

EMBEDDED, AWS, KV = "vault", "aws-sm", "kv"
SCHEMES = {"embedded": EMBEDDED, "aws": AWS, "kv": KV}
_PART = re.compile(r"[A-Za-z0-9_+=@-][A-Za-z0-9._+=@-]*")


def scheme_of(reference: str) -> str:
    """What stands before `://`, "" where a reference has none."""
    scheme, separator, _ = reference.partition("://")
    return scheme if separator else ""


def place_of(agent: str, reference: str) -> Place:
    """The place that a reference names. Raises `NoBackEnd` for what could lead out of it."""
    path = reference.partition("://")[2]
    whole, _, field = path.partition("#")
    parts = whole.split("/")
    named = [*parts, field] if "#" in path else parts
    if len(reference) > references.MAX_LENGTH or not all(map(_PART.fullmatch, named)):
        raise NoBackEnd(
            "A reference that a vault keeps is scheme://one/or/more/parts, "
            "each of letters, digits and - _ . + = @, none of them empty or beginning with a dot."
        )
    return Place(agent, reference, path)


def as_declared(text: str) -> str:
    """A reference as it is declared, from an address in which slashes may have been merged."""
    scheme, separator, rest = text.partition(":/")
    if separator and scheme in SCHEMES.values():
        return f"{scheme}://{rest.lstrip('/')}"
    return text
