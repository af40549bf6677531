"""The world under every row: read, compiled and digested once for each of its revisions.

It is read past the process's own kept slices, since a probe also runs inside a transaction that
changes the world. Revisions come from a sequence and are never given twice, so that one that is
the same means facts that are the same, inside a transaction too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from audit.payloads import canonical
from authz import slices
from authz.engine import names
from authz.engine.policies import Statement, groups_of
from authz.engine.reads import names_read, reads_of
from authz.engine.types import Document, Slice
from authz.engine.world import Thing, World, world_of

# What of the world every run rests on.
_SHARED = ("policies", "governed", "toxic", "signatures", "types", "rates")
_DATES = frozenset({"now"})
_EVERY_THING = ("entities", "relationships")

Json = Any


def digest_of(document: Json) -> str:
    """What stands for a document."""
    return hashlib.sha256(canonical(document)).hexdigest()


def slice_of(key: str, document: Document) -> Slice:
    """A document as the walk takes it."""
    return Slice(key, 0, digest_of(document), document)


@dataclass(frozen=True)
class Ground:
    """The world at one revision, and digests of its parts."""

    world: Slice
    _pieces: dict[tuple[str, str], str] = field(default_factory=dict)

    @cached_property
    def compiled(self) -> World:
        return world_of(self.world)

    @cached_property
    def shared(self) -> str:
        """A digest of what of it every run rests on."""
        rests = {name: self.world.document.get(name) for name in _SHARED}
        return digest_of({**rests, "relations": self.compiled.relation_types})

    def piece(self, kind: str, name: str) -> str:
        """A digest of one tool, system or role; "" where it is not there."""
        if (kind, name) not in self._pieces:
            found = self.world.document[kind].get(name)
            self._pieces[kind, name] = "" if found is None else digest_of(found)
        return self._pieces[kind, name]

    def about(self, things: Iterable[Sequence[str]] | None) -> str:
        """A digest of what is known of these resources and of all that lies above them.

        None stands for every resource there is.
        """
        if things is None:
            return self._about_all
        wanted = sorted({(kind, identity) for kind, identity in things})
        return digest_of([self._known(one) for one in self._with_parents(wanted)])

    @cached_property
    def _about_all(self) -> str:
        return digest_of([self.world.document.get(name) for name in _EVERY_THING])

    def _with_parents(self, wanted: Sequence[Thing]) -> list[Thing]:
        found = dict.fromkeys(wanted)
        waiting = list(found)
        while waiting:
            above = self.compiled.relations.parents.get(waiting.pop(), ())
            new = [thing for thing in above if thing not in found]
            found |= dict.fromkeys(new)
            waiting += new
        return list(found)

    def _known(self, thing: Thing) -> list[Json]:
        kind, identity = thing
        attributes = (self.compiled.entities.get(kind) or {}).get(identity)
        related = self.compiled.relations.related.get(thing) or {}
        return [kind, identity, attributes, [[name, *related[name]] for name in sorted(related)]]

    @cached_property
    def _dated(self) -> list[Statement]:
        """The statements of policies that read the date."""
        statements = self.compiled.policies.statements
        return [one for one in statements if names_read(reads_of([one.source]), _DATES)]

    def is_dated(self, tools: Iterable[str], roles: frozenset[str]) -> bool:
        """Can a policy that reads the date concern an agent's call of one of these tools?"""
        return bool(self._dated) and any(
            one.concerns(groups_of(self.compiled.tools[name]) | {name}, names.AGENT, roles)
            for name in tools
            for one in self._dated
        )


# The newest one alone, by its revision.
_kept: dict[int, Ground] = {}


def read_ground() -> Ground:
    """The world as this transaction has it."""
    found = _kept.get(slices.revision(slices.WORLD))
    if found is None:
        (read,) = slices.read([slices.WORLD])
        found = Ground(slice_of(slices.WORLD, read.document or {}))
        _kept.clear()
        # Under 0 nothing ever changed, which says nothing of what comes next.
        if read.revision:
            _kept[read.revision] = found
    return found
