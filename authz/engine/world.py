"""The global slice, made ready to judge: schemas, policies, roles and relationships, indexed.

`compile_world` costs about what reading the document costs; what only one tool needs is made when
that tool is first called. A world is never changed after it was made, only filled in.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, TypeVar

import cedarpy

from authz.engine import cedar_schema, names, policies
from authz.engine.projection import Fields, parameters_of
from authz.engine.reads import EVERYTHING, Reads
from authz.engine.schema import ParameterSchema, parameter_schema
from authz.engine.signatures import SignatureIndex
from authz.engine.types import Document, Json, Slice

KEPT_WORLDS = 8
KEPT_NARROWINGS = 4096
KEPT_ENTITIES = 8192
KEPT_OPEN = 1024
KEPT_SCHEMAS = 4096
TEAM_WORDS = ("team", "group")
MEMBER = "member"

Facts = Mapping[str, Json]
Thing = tuple[str, str]
Entity = dict[str, Json]
Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass
class Relations:
    """Relationships by resource: who is what of it, what lies above it; and members of teams."""

    related: dict[Thing, dict[str, list[Thing]]] = field(default_factory=dict)
    parents: dict[Thing, list[Thing]] = field(default_factory=dict)
    teams: dict[str, list[str]] = field(default_factory=dict)
    seen: dict[str, set[tuple[str, str]]] = field(default_factory=dict)

    def add(self, thing: Thing, relation: str, subject: Thing) -> None:
        attribute = names.relation_attribute(relation, subject[0])
        self.related.setdefault(thing, {}).setdefault(attribute, []).append(subject)
        self.seen.setdefault(thing[0], set()).add((relation, subject[0]))
        if relation == cedar_schema.PARENT:
            self.parents.setdefault(thing, []).append(subject)
        if thing[0] in TEAM_WORDS and relation == MEMBER:
            self.teams.setdefault(subject[1], []).append(thing[1])


@dataclass(frozen=True, slots=True)
class CompiledTool:
    """One tool, ready: its document, the schema of its parameters, what policies see of them."""

    name: str
    document: Facts
    schema: ParameterSchema
    parameters: Fields
    actions: frozenset[str]
    cedar: Any


@dataclass(frozen=True)
class World:
    """The compiled global slice."""

    document: Document
    tools: Facts
    systems: Facts
    types: Facts
    entities: Facts
    grants: Mapping[str, frozenset[str]]
    relations: Relations
    relation_types: Mapping[str, Mapping[str, str]]
    policies: policies.PolicyIndex
    toxic: tuple[Facts, ...]
    signatures: SignatureIndex
    _tools: dict[str, CompiledTool] = field(default_factory=dict)
    _open: dict[tuple[str, frozenset[str]], Any] = field(default_factory=dict)
    _whole: list[Any] = field(default_factory=list)
    _cut: dict[tuple[str, Reads], Any] = field(default_factory=dict)
    _entities: dict[tuple[str, ...], Any] = field(default_factory=dict)

    def tool(self, name: str) -> CompiledTool:
        """The tool of exactly this name; KeyError, or `SchemaError` where its schema is broken."""
        found = self._tools.get(name)
        if found is None:
            found = self._tools[name] = self._compile(name)
        return found

    def _compile(self, name: str) -> CompiledTool:
        document = self.tools[name]
        parameters = parameters_of(document)
        return CompiledTool(
            name=name,
            document=document,
            schema=parameter_schema(document.get("schema") or {"type": "object"}),
            parameters=parameters,
            actions=policies.groups_of(document) | {name},
            cedar=self._cedar({name: (document, parameters)}),
        )

    def open_schema(self, name: str, lacking: frozenset[str]) -> Any:
        """The Cedar schema of one tool for a call that need not have the parameters `lacking`."""
        found = self._open.get((name, lacking))
        if found is None:
            if len(self._open) >= KEPT_OPEN:
                self._open.clear()
            tool = self.tool(name)
            asked = replace(tool.parameters, required=tool.parameters.required - lacking)
            found = self._open[name, lacking] = self._cedar({name: (tool.document, asked)})
        return found

    def schema_for(self, tool: CompiledTool, reads: Reads) -> Any:
        """The Cedar schema of one tool with no more of the context than `reads`."""
        found = self._cut.get((tool.name, reads))
        if found is None:
            if len(self._cut) >= KEPT_SCHEMAS:
                self._cut.clear()
            found = self._cut[tool.name, reads] = self._cedar(
                {tool.name: (tool.document, tool.parameters)}, reads
            )
        return found

    def cedar_schema(self) -> Any:
        """The Cedar schema of all tools, which policies are checked against."""
        if not self._whole:
            tools = {name: (tool, parameters_of(tool)) for name, tool in self.tools.items()}
            self._whole.append(self._cedar(tools))
        return self._whole[0]

    def parsed_entities(
        self, about: tuple[str, ...], made: Callable[[], list[Entity]], schema: Any
    ) -> Any:
        """The entities that `made` gives, checked and parsed; once for each `about`."""
        found = self._entities.get(about)
        if found is None:
            if len(self._entities) >= KEPT_ENTITIES:
                self._entities.clear()
            found = cedarpy.Entities.from_json_str(json.dumps(made()), schema)
            self._entities[about] = found
        return found

    def _cedar(self, tools: Mapping[str, tuple[Facts, Fields]], reads: Reads = EVERYTHING) -> Any:
        document = cedar_schema.build(
            types=self.types, relations=self.relation_types, tools=tools, reads=reads
        )
        return cedarpy.Schema.from_json_str(json.dumps(document))


_worlds: OrderedDict[str, World] = OrderedDict()
_narrowings: OrderedDict[tuple[str, str], ParameterSchema] = OrderedDict()
_given: OrderedDict[str, ParameterSchema] = OrderedDict()
_lock = Lock()


def world_of(part: Slice) -> World:
    """The world of a snapshot; compiled once for each digest, the last eight are kept."""
    with _lock:
        found = _worlds.get(part.digest)
        if found is not None:
            _worlds.move_to_end(part.digest)
            return found
    found = compile_world(part.document)
    _keep(_worlds, part.digest, found, KEPT_WORLDS)
    return found


def narrowing_of(agent: Slice, tool: str, narrowing: Facts) -> ParameterSchema:
    """The compiled narrowing of an agent's allowlist entry; kept by the slice's digest."""
    key = (agent.digest, tool)
    with _lock:
        found = _narrowings.get(key)
    if found is None:
        found = parameter_schema(narrowing)
        _keep(_narrowings, key, found, KEPT_NARROWINGS)
    return found


def given_narrowing(narrowing: Facts) -> ParameterSchema:
    """The compiled narrowing of a grant or a delegation; kept by what it says."""
    key = json.dumps(narrowing, sort_keys=True)
    with _lock:
        found = _given.get(key)
    if found is None:
        found = parameter_schema(narrowing)
        _keep(_given, key, found, KEPT_NARROWINGS)
    return found


def _keep(kept: OrderedDict[Key, Value], key: Key, value: Value, most: int) -> None:
    with _lock:
        kept[key] = value
        while len(kept) > most:
            kept.popitem(last=False)


def compile_world(document: Document) -> World:
    """The world of a global slice's document."""
    types = document.get("types") or {}
    relations = _relations(document.get("relationships") or ())
    return World(
        document=document,
        tools=document.get("tools") or {},
        systems=document.get("systems") or {},
        types=types,
        entities=document.get("entities") or {},
        grants=_grants(document.get("roles") or {}),
        relations=relations,
        relation_types=cedar_schema.relation_types(types, relations.seen),
        policies=policies.index(document.get("policies") or (), document.get("governed") or ()),
        toxic=tuple(document.get("toxic") or ()),
        signatures=SignatureIndex(tuple(document.get("signatures") or ())),
    )


def _grants(roles: Facts) -> dict[str, frozenset[str]]:
    """Tool → the roles that grant it."""
    found: dict[str, set[str]] = {}
    for role, tools in roles.items():
        for tool in tools:
            found.setdefault(tool, set()).add(role)
    return {tool: frozenset(slugs) for tool, slugs in found.items()}


def _relations(rows: Iterable[tuple[str, str, str, str, str]]) -> Relations:
    found = Relations()
    for kind, identity, relation, subject_type, subject in rows:
        found.add((kind, identity), relation, (subject_type, subject))
    return found
