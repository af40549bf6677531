"""What a policy may speak of, read off the very schema that policies are checked against."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from authz.engine import cedar_schema, names
from authz.engine.projection import parameters_of
from authz.engine.types import Json
from authz.engine.world import World

_NAMED = re.compile(r'Action::"([^"\\\n]{1,120})"')
_MOST_NAMED = 12
_PLAIN = {"String": "text", "Long": "whole number", "Boolean": "true or false"}
_ABOUT = {
    "Agent": "an agent, by its slug; agents are in their roles",
    "Person": "a person, by pseudonymous id; people are in their roles and teams",
    "System": "a system, by its slug",
}


@dataclass(frozen=True, slots=True)
class Attribute:
    """One name that a policy may read. `sure` is False where a policy must ask `has` first."""

    name: str
    type: str
    sure: bool


@dataclass(frozen=True, slots=True)
class ToolWords:
    """One tool: how a policy names it, and its parameters. `hidden` are not for policies."""

    name: str
    system: str
    effect: str
    parameters: tuple[Attribute, ...]
    hidden: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TypeWords:
    """One entity type with its attributes."""

    name: str
    about: str
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the help panel shows."""

    tools: tuple[ToolWords, ...]
    context: tuple[Attribute, ...]
    types: tuple[TypeWords, ...]
    roles: tuple[str, ...]


def named_tools(text: str, world: World) -> list[str]:
    """The tools that a text names, in its order."""
    found = dict.fromkeys(_NAMED.findall(text))
    return [name for name in found if name in world.tools][:_MOST_NAMED]


def vocabulary(world: World, tools: Iterable[str]) -> Vocabulary:
    """The words for these tools, and those that go with every one."""
    wanted = {name: (world.tools[name], parameters_of(world.tools[name])) for name in tools}
    some = wanted or _any_tool()
    schema = cedar_schema.build(types=world.types, relations=world.relation_types, tools=some)
    document = schema[names.NAMESPACE]
    context = next(
        action["appliesTo"]["context"]
        for action in document["actions"].values()
        if "appliesTo" in action
    )
    return Vocabulary(
        tools=tuple(_tool(name, world.tools[name], document["actions"][name]) for name in wanted),
        context=_attributes(context, without="parameters"),
        types=tuple(_types(document["entityTypes"])),
        roles=tuple(sorted(world.document.get("roles") or ())),
    )


def _any_tool() -> dict[str, tuple[Mapping[str, Json], Json]]:
    """Stands in where a text names no tool, for what goes with every one."""
    tool: Mapping[str, Json] = {"system": "any", "effect": "read"}
    return {"any": (tool, parameters_of(tool))}


def _tool(name: str, tool: Mapping[str, Json], action: Mapping[str, Json]) -> ToolWords:
    record = action["appliesTo"]["context"]["attributes"]["parameters"]
    known = {attribute.name for attribute in _attributes(record)}
    schema = tool.get("schema")
    declared = (schema.get("properties") or {}) if isinstance(schema, Mapping) else {}
    return ToolWords(
        name=name,
        system=str(tool["system"]),
        effect=str(tool["effect"]),
        parameters=_attributes(record),
        hidden=tuple(sorted(str(each) for each in set(declared) - known)),
    )


def _types(entities: Mapping[str, Json]) -> Iterable[TypeWords]:
    for name, document in entities.items():
        attributes = _attributes(document.get("shape") or {"attributes": {}})
        if attributes:
            yield TypeWords(name, _ABOUT.get(name, "a thing of this resource type"), attributes)


def _attributes(record: Mapping[str, Json], without: str = "") -> tuple[Attribute, ...]:
    return tuple(
        Attribute(name, _type(spec), spec.get("required", True))
        for name, spec in record["attributes"].items()
        if name != without
    )


def _type(spec: Mapping[str, Json]) -> str:
    kind = str(spec["type"])
    if kind == "Set":
        return f"set of {_type(spec['element'])}"
    if kind == "Entity":
        return str(spec["name"]).removeprefix("Muster::")
    if kind == "Extension":
        return str(spec["name"])
    if kind == "Record":
        return f"record of {_names(spec)}"
    return _PLAIN.get(kind, kind)


def _names(spec: Mapping[str, Json]) -> str:
    inner: Sequence[Attribute] = _attributes(spec)
    return ", ".join(f"{each.name} ({each.type})" for each in inner) or "nothing"
