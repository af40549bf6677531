"""The register written as an inventory: the same register gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lifecycle.apply.current import read_register
from lifecycle.apply.kinds import KINDS, VERSION
from lifecycle.apply.writing import write_yaml

# What only an agent that came from a template says.
OF_TEMPLATES = frozenset({"template", "choices"})


def export_text(kinds: Iterable[str] = tuple(KINDS)) -> str:
    """The register, or some kinds of it, as the YAML that `apply` reads."""
    wanted = set(kinds)
    register = read_register([kind for kind in KINDS if kind in wanted])
    document: dict[str, Any] = {"muster": VERSION}
    for kind, items in register.items():
        if items:
            document[kind] = [_item(kind, fields) for fields in items.values()]
    return write_yaml(document)


def _item(kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Every field, so that applying it says all; within entries only what is said."""
    terse = {*KINDS[kind].entries, "accesses"}
    return {
        name: [_said(entry) for entry in value] if name in terse else value
        for name, value in fields.items()
        if value or name not in OF_TEMPLATES
    }


def _said(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in entry.items() if one not in (None, "", [], {})}
