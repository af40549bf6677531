"""What is read in a review: a row, or a live one with the change; its digest, what differs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import rfc8785

from registry import services as register
from registry.models import Agent, Person, ProposedChange
from registry.permissions import Automatic
from registry.reach import Reach
from registry.row import digest_of, facts_of

WATCH = Automatic("reviews")
# What is kept with a proposal besides the change itself.
_NOT_CHANGE = frozenset({"signs", "reach", "tier"})


@dataclass(frozen=True, slots=True)
class Read:
    """What one signs."""

    reach: Reach
    facts: dict[str, Any]
    digest: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs, as texts."""

    name: str
    before: str
    after: str


def read(agent: Agent, change: ProposedChange | None) -> Read:
    """The row as it is now. `ChangeOutdated` where a change does not fit it any more."""
    fresh = Agent.objects.select_related("owner", "backup_owner", "model_provider").get(pk=agent.pk)
    reach = register.fresh_reach(fresh)
    facts = facts_of(fresh, reach)
    if change is None:
        return Read(reach, facts, digest_of(facts, reach))
    then = register.reach_after(change)
    content = {"row": digest_of(facts, reach), "then": then.digest, "change": change.after}
    return Read(then, facts, hashlib.sha256(rfc8785.dumps(content)).hexdigest())


def compared(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """What differs between two readings of a row, field by field."""
    names = sorted({*before, *after})
    return [
        Difference(name, text_of(before.get(name)), text_of(after.get(name)))
        for name in names
        if before.get(name) != after.get(name)
    ]


def differences_of(change: ProposedChange) -> list[Difference]:
    """What a proposed change of a live row changes."""
    before, after = _flat(change.before), _flat(change.after)
    return compared(before, after)


def _flat(side: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in side.items():
        if name not in _NOT_CHANGE:
            flat |= dict(value) if isinstance(value, Mapping) else {name: value}
    return flat


def text_of(value: Any) -> str:
    """A value as one line; people by their names."""
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, str):
        return _name_of(value) if value.startswith("p_") else value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _name_of(pid: str) -> str:
    person = Person.objects.filter(pid=pid).first()
    return str(person) if person else pid


def told_of(differences: Sequence[Difference]) -> str:
    """What changed, as it stands in a sentence."""
    names = [each.name for each in differences]
    if not names:
        return "what it reaches."
    return f"{', '.join(names[:6])}{' and more' if len(names) > 6 else ''}."
