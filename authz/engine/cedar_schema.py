"""The Cedar schema of the register: what policies may speak of, and the type of each of it.

Entity types: `Role`, `Team`, `Person`, `Agent`, `System` and one for each resource type. Every
attribute that may be missing is optional, so a policy asks `has` before it reads one. Who is
`owner` (`team`, `shared_with`, `assigned_to`, or any relation that was loaded) of a resource is a
set on the resource, which may be empty and is never missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from authz.engine import names
from authz.engine.projection import ATTRIBUTE_TYPES, Fields
from authz.engine.reads import EVERYTHING, Reads, kept_type
from authz.engine.types import Json

STANDARD_RELATIONS = (
    *product(("owner", "shared-with", "assigned-to"), ("person", "team", "agent")),
    ("team", "team"),
)
PARENT = "parent"

_STRING: dict[str, Json] = {"type": "String"}
_LONG: dict[str, Json] = {"type": "Long"}
_OPTIONAL_STRING: dict[str, Json] = {"type": "String", "required": False}
_STANDARD_PERSON: dict[str, Json] = {
    "email": _OPTIONAL_STRING,
    "name": _OPTIONAL_STRING,
    "department": _OPTIONAL_STRING,
    "employment": _OPTIONAL_STRING,
    "manager": {"type": "Entity", "name": names.PERSON, "required": False},
}

Shape = Mapping[str, Mapping[str, Json]]


def attributes_of(type_document: Mapping[str, Json]) -> dict[str, str]:
    """Name to type of the declared attributes that have a type which policies know."""
    attributes = type_document.get("attributes") or {}
    return {
        name: spec["type"] for name, spec in attributes.items() if spec["type"] in ATTRIBUTE_TYPES
    }


def person_attributes(types: Mapping[str, Json]) -> dict[str, str]:
    """What is declared for `person`, `user` and `identity`: all three are one Person here."""
    declared: dict[str, str] = {}
    for word in reversed(names.PERSON_WORDS):
        declared.update(attributes_of(types.get(word) or {}))
    return {name: kind for name, kind in declared.items() if name not in _STANDARD_PERSON}


def relation_types(
    types: Mapping[str, Json], relations: Mapping[str, set[tuple[str, str]]]
) -> dict[str, dict[str, str]]:
    """For each resource type, its relation attributes and the entity type in each set."""
    known = frozenset(types)
    found: dict[str, dict[str, str]] = {}
    for slug, document in types.items():
        pairs = [*STANDARD_RELATIONS, *sorted(relations.get(slug, ()))]
        sets = {
            names.relation_attribute(relation, subject): entity
            for relation, subject in pairs
            if (entity := names.subject_entity_type(subject, known))
        }
        declared = attributes_of(document)
        found[slug] = {name: entity for name, entity in sets.items() if name not in declared}
    return found


def build(
    *,
    types: Mapping[str, Json],
    relations: Mapping[str, Mapping[str, str]],
    tools: Mapping[str, tuple[Mapping[str, Json], Fields]],
    reads: Reads = EVERYTHING,
) -> dict[str, Json]:
    """The schema document for `tools` (name → world document and parameters)."""
    entities = _entity_types(types, relations)
    resources = ["System", *(names.type_name(slug) for slug in types)]
    actions: dict[str, Json] = {}
    for name, (tool, parameters) in tools.items():
        groups = [names.system_group(str(tool["system"])), names.effect_group(str(tool["effect"]))]
        actions.update({group: {} for group in groups})
        actions[name] = _action(groups, resources, parameters, reads)
    return {names.NAMESPACE: {"entityTypes": entities, "actions": actions}}


def _action(
    groups: list[str], resources: list[str], parameters: Fields, reads: Reads
) -> dict[str, Json]:
    context = {
        "now": {"type": "Extension", "name": "datetime"},
        "local": _record(hour=_LONG, weekday=_LONG, business={"type": "Boolean"}),
        "system": {"type": "Entity", "name": names.SYSTEM},
        "effect": _STRING,
        "tier": _LONG,
        "resource": _STRING,
        "gateway": _OPTIONAL_STRING,
        "user": {"type": "Entity", "name": names.PERSON, "required": False},
        "parameters": parameters.cedar(),
    }
    return {
        "memberOf": [{"id": group} for group in groups],
        "appliesTo": {
            "principalTypes": ["Agent", "Person"],
            "resourceTypes": resources,
            "context": kept_type(_record(**context), reads),
        },
    }


def _entity_types(
    types: Mapping[str, Json], relations: Mapping[str, Mapping[str, str]]
) -> dict[str, Json]:
    person = {**_STANDARD_PERSON, **_optional(person_attributes(types))}
    agent = {
        "kind": _STRING,
        "pattern": _STRING,
        "tier": _LONG,
        "owner": {"type": "Entity", "name": names.PERSON},
    }
    system = {
        "tier": _LONG,
        "environment": _STRING,
        "country": _STRING,
        "trust": _STRING,
        "categories": {"type": "Set", "element": _STRING},
    }
    resource_types = {names.type_name(slug) for slug in types}
    found: dict[str, Json] = {
        "Role": {},
        "Team": {},
        "Person": {"memberOfTypes": ["Role", "Team"], "shape": _record(**person)},
        "Agent": {"memberOfTypes": ["Role"], "shape": _record(**agent)},
        "System": {"shape": _record(**system)},
    }
    for slug, document in types.items():
        sets = {
            name: {"type": "Set", "element": {"type": "Entity", "name": entity}}
            for name, entity in relations[slug].items()
        }
        found[names.type_name(slug)] = {
            "memberOfTypes": sorted({"System", *resource_types}),
            "shape": _record(**{**sets, **_optional(attributes_of(document))}),
        }
    return found


def _record(**attributes: Json) -> dict[str, Json]:
    return {"type": "Record", "attributes": attributes}


def _optional(declared: Mapping[str, str]) -> dict[str, Json]:
    return {
        name: {**ATTRIBUTE_TYPES[kind].cedar(), "required": False}
        for name, kind in declared.items()
    }
