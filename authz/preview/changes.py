"""Proposed changes, as pure functions over slice documents.

Each gives the documents that the database would have after the change. A document that a change
does not touch is returned as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from authz.engine.policies import governs
from authz.engine.types import Document
from governance.kernel.tiers import RESTRICTED

Json = Any
Names = frozenset[str]
NONE: Names = frozenset()


@dataclass(frozen=True, slots=True)
class Change:
    """A change that touches nothing; the others say what they touch."""

    def world(self, document: Document) -> Document:
        """The global slice afterwards."""
        return document

    def agent(self, document: Document) -> Document:
        """An agent's slice afterwards."""
        return document

    def person(self, document: Document) -> Document:
        """A person's slice afterwards."""
        return document


@dataclass(frozen=True, slots=True)
class PolicyPut(Change):
    """A version of a policy comes into force, in the place of the one before."""

    slug: str
    version: int
    text: str
    log_only: bool = False

    @property
    def uid(self) -> str:
        """The id under which decisions would name it."""
        return f"{self.slug}@v{self.version}"

    def world(self, document: Document) -> Document:
        ours = {"id": self.uid, "text": self.text, "log_only": self.log_only}
        policies = [*_without(document, self.slug), ours]
        governed = set(document["governed"])
        if not self.log_only:
            governed |= governs(self.text, document["tools"])
        return {
            **document,
            "policies": sorted(policies, key=lambda each: slug_of(each["id"])),
            "governed": sorted(governed),
        }


@dataclass(frozen=True, slots=True)
class PolicyRetired(Change):
    """A policy goes out of force. What it governed stays governed."""

    slug: str

    def world(self, document: Document) -> Document:
        return {**document, "policies": _without(document, self.slug)}


def slug_of(uid: str) -> str:
    """The policy whose version this is."""
    return uid.rpartition("@v")[0]


def _without(document: Document, slug: str) -> list[Json]:
    return [each for each in document["policies"] if slug_of(each["id"]) != slug]


@dataclass(frozen=True, slots=True)
class Members:
    """Tools, agents (slugs) and people (pseudonymous ids) of a role."""

    tools: Names = NONE
    agents: Names = NONE
    people: Names = NONE

    def __bool__(self) -> bool:
        return bool(self.tools or self.agents or self.people)


@dataclass(frozen=True, slots=True)
class RoleChanged(Change):
    """A role grants other tools, or others hold it."""

    slug: str
    added: Members = field(default_factory=Members)
    removed: Members = field(default_factory=Members)

    def world(self, document: Document) -> Document:
        granted = _changed(document["roles"][self.slug], self.added.tools, self.removed.tools)
        return {**document, "roles": {**document["roles"], self.slug: granted}}

    def agent(self, document: Document) -> Document:
        return self._holder(document, document["slug"], self.added.agents, self.removed.agents)

    def person(self, document: Document) -> Document:
        return self._holder(document, document["pid"], self.added.people, self.removed.people)

    def _holder(self, document: Document, name: str, added: Names, removed: Names) -> Document:
        if name not in added | removed:
            return document
        ours = frozenset([self.slug])
        roles = _changed(
            document["roles"],
            ours if name in added else NONE,
            ours if name in removed else NONE,
        )
        return {**document, "roles": roles}


def _changed(names: Collection[str], added: Names, removed: Names) -> list[str]:
    return sorted((set(names) | added) - removed)


@dataclass(frozen=True, slots=True)
class EntryPut(Change):
    """An agent may call a tool, as narrow as said. `tier` is what its row is cleared for then."""

    slug: str
    tool: str
    narrowing: Mapping[str, Json] = field(default_factory=dict)
    tier: str = ""

    def agent(self, document: Document) -> Document:
        if document["slug"] != self.slug:
            return document
        rates = dict.fromkeys(("rate_per_minute", "rate_per_hour", "write_quota_per_hour"))
        had = document["allowlist"].get(self.tool, rates)
        entry = {**had, "narrowing": dict(self.narrowing)}
        allowlist = {**document["allowlist"], self.tool: entry}
        return {**document, "allowlist": allowlist, "tier": self.tier or document["tier"]}


@dataclass(frozen=True, slots=True)
class EntryRemoved(Change):
    """An agent may not call a tool any more."""

    slug: str
    tool: str
    tier: str = ""

    def agent(self, document: Document) -> Document:
        if document["slug"] != self.slug:
            return document
        allowlist = {
            name: entry for name, entry in document["allowlist"].items() if name != self.tool
        }
        return {**document, "allowlist": allowlist, "tier": self.tier or document["tier"]}


@dataclass(frozen=True, slots=True)
class SystemPut(Change):
    """A system has another tier or other categories.

    `inheriting` are its resources (name and match) that have no categories of their own.
    """

    slug: str
    tier: str = ""
    categories: tuple[str, ...] = ()
    inheriting: frozenset[tuple[str, str]] = frozenset()

    def world(self, document: Document) -> Document:
        categories = list(self.categories)
        resources = [
            {**each, "categories": categories}
            if (each["name"], each["match"]) in self.inheriting
            else each
            for each in document["systems"][self.slug]["resources"]
        ]
        given = {"tier": self.tier or RESTRICTED, "categories": categories, "resources": resources}
        return _with_system(document, self.slug, given)


@dataclass(frozen=True, slots=True)
class ResourcePut(Change):
    """A resource of a system is listed, with a tier and categories."""

    system: str
    name: str
    match: str
    tier: str = ""
    categories: tuple[str, ...] = ()

    def world(self, document: Document) -> Document:
        system = document["systems"][self.system]
        ours = {
            "name": self.name,
            "match": self.match,
            "tier": self.tier or RESTRICTED,
            "categories": list(self.categories) or system["categories"],
        }
        listed = [*_unlisted(system, self.name, self.match), ours]
        return _with_system(document, self.system, {"resources": sorted(listed, key=_order)})


@dataclass(frozen=True, slots=True)
class ResourceRemoved(Change):
    """A resource of a system is not listed any more."""

    system: str
    name: str
    match: str

    def world(self, document: Document) -> Document:
        listed = _unlisted(document["systems"][self.system], self.name, self.match)
        return _with_system(document, self.system, {"resources": listed})


def _order(resource: Mapping[str, Json]) -> tuple[str, str]:
    return resource["name"], resource["match"]


def _unlisted(system: Mapping[str, Json], name: str, match: str) -> list[Json]:
    return [each for each in system["resources"] if _order(each) != (name, match)]


def _with_system(document: Document, slug: str, given: Mapping[str, Json]) -> Document:
    systems = document["systems"]
    return {**document, "systems": {**systems, slug: {**systems[slug], **given}}}
