"""The question that is put to the policy engine, made of facts and checked values only.

Nothing that a caller sent goes in as it came: parameters are copied by declared type, vouched
attributes only where the type's declaration lets the caller vouch for them, and a loaded value
always wins over a vouched one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from authz.engine import cedar_schema, names
from authz.engine.projection import ATTRIBUTE_TYPES, Unprojectable
from authz.engine.targets import Target, tier_rank
from authz.engine.types import Document, Json, Request, SubjectKind
from authz.engine.world import CompiledTool, Entity, Facts, Thing, World

MAX_ANCESTORS = 64
BUSINESS_HOURS = range(8, 18)
# What of the context changes with the time of day.
TIMED = frozenset({"now", "local"})


def uid(kind: str, identity: str) -> dict[str, str]:
    """A reference to an entity, as the engine takes it."""
    return {"type": kind, "id": identity}


def _reference(kind: str, identity: str) -> dict[str, Json]:
    return {"__entity": uid(kind, identity)}


def agent_entity(agent: Document) -> Entity:
    """The agent, in its roles."""
    attributes = {
        "kind": str(agent.get("kind") or ""),
        "pattern": str(agent.get("pattern") or ""),
        "tier": tier_rank(str(agent.get("tier") or "")),
        "owner": _reference(names.PERSON, str(agent["owner"])),
    }
    return _entity(names.AGENT, str(agent["slug"]), attributes, _roles(agent))


def person_entity(world: World, person: Document, vouched: Mapping[str, Json]) -> Entity:
    """A person, in their roles and teams. `vouched` is what the caller may say of them."""
    pid = str(person["pid"])
    teams = {*(person.get("groups") or ()), *world.relations.teams.get(pid, ())}
    parents = [*_roles(person), *(uid(names.TEAM, team) for team in sorted(teams))]
    personal = person.get("personal") or {}
    declared = cedar_schema.person_attributes(world.types)
    attributes = _standard(person, personal)
    attributes.update(_attributes(declared, personal.get("attributes") or {}, vouched))
    return _entity(names.PERSON, pid, attributes, parents)


def _standard(person: Document, personal: Facts) -> dict[str, Json]:
    values = {
        "email": personal.get("email"),
        "name": personal.get("name"),
        "department": person.get("department"),
        "employment": person.get("employment"),
    }
    found: dict[str, Json] = {name: value for name, value in values.items() if value}
    if person.get("manager"):
        found["manager"] = _reference(names.PERSON, str(person["manager"]))
    return found


def vouchable(
    world: World, words: Iterable[str], properties: Mapping[str, Json]
) -> dict[str, Json]:
    """Of what a caller says, the attributes that the declared types let a caller vouch for.

    A value of another type than declared counts as not said.
    """
    found: dict[str, Json] = {}
    for word in words:
        declared = (world.types.get(word) or {}).get("attributes") or {}
        for name, spec in declared.items():
            if spec.get("source") == "caller" and name in properties:
                _take(found, name, spec["type"], properties[name])
    return found


def _take(found: dict[str, Json], name: str, kind: str, value: Json) -> None:
    try:
        found[name] = ATTRIBUTE_TYPES[kind].project(value, {})
    except (KeyError, Unprojectable):
        return


def _attributes(
    declared: Mapping[str, str], loaded: Facts, vouched: Mapping[str, Json]
) -> dict[str, Json]:
    """The values of declared attributes, loaded before vouched."""
    found = {name: value for name, value in vouched.items() if name in declared}
    for name, kind in declared.items():
        if loaded.get(name) is not None:
            found[name] = ATTRIBUTE_TYPES[kind].project(loaded[name], {})
    return found


def system_entity(world: World, slug: str) -> Entity:
    """A system; what is not known of it counts as the more sensitive."""
    system = world.systems.get(slug) or {}
    attributes = {
        "tier": tier_rank(str(system.get("tier") or "")),
        "environment": str(system.get("environment") or "production"),
        "country": str(system.get("country") or ""),
        "trust": str(system.get("trust") or "untrusted"),
        "categories": [str(category) for category in system.get("categories") or ()],
    }
    return _entity(names.SYSTEM, slug, attributes, [])


def resource_uid(world: World, target: Target, system: str) -> dict[str, str]:
    """The judged resource: a thing of a resource type, else the system that it lies in."""
    if target.type in world.types:
        return uid(names.entity_type(target.type), target.id)
    return uid(names.SYSTEM, system)


def resource_entities(
    world: World, target: Target, tool: Facts, vouched: Mapping[str, Json]
) -> list[Entity]:
    """The judged resource with its relations, and everything that lies above it."""
    if target.type not in world.types:
        return []
    system = uid(names.SYSTEM, str(tool["system"]))
    return [
        _thing(world, thing, vouched if number == 0 else {}, [system] if number == 0 else [])
        for number, thing in enumerate(_ancestry(world, (target.type, target.id)))
    ]


def _ancestry(world: World, thing: Thing) -> list[Thing]:
    """The thing and what lies above it, each once; refuses more than 64."""
    found = [thing]
    for one in found:
        for parent in world.relations.parents.get(one, ()):
            if parent[0] in world.types and parent not in found:
                found.append(parent)
        if len(found) > MAX_ANCESTORS:
            raise Unprojectable("too much lies above this resource")
    return found


def _thing(
    world: World, thing: Thing, vouched: Mapping[str, Json], above: list[dict[str, str]]
) -> Entity:
    kind, identity = thing
    loaded = (world.entities.get(kind) or {}).get(identity) or {}
    attributes = _attributes(cedar_schema.attributes_of(world.types[kind]), loaded, vouched)
    attributes.update(_sets(world, thing))
    parents = [
        uid(names.entity_type(parent[0]), parent[1])
        for parent in world.relations.parents.get(thing, ())
        if parent[0] in world.types
    ]
    return _entity(names.entity_type(kind), identity, attributes, [*above, *parents])


def _sets(world: World, thing: Thing) -> dict[str, Json]:
    related = world.relations.related.get(thing) or {}
    return {
        attribute: [_reference(entity, subject[1]) for subject in related.get(attribute, ())]
        for attribute, entity in world.relation_types[thing[0]].items()
    }


def _roles(holder: Document) -> list[dict[str, str]]:
    return [uid(names.ROLE, str(role)) for role in holder.get("roles") or ()]


def _entity(
    kind: str, identity: str, attributes: Mapping[str, Json], parents: list[dict[str, str]]
) -> Entity:
    return {"uid": uid(kind, identity), "attrs": attributes, "parents": parents}


def zone_named(zone: str) -> tzinfo:
    """The zone of this name, UTC for none; `ZoneInfoNotFoundError` for one that does not exist."""
    return UTC if zone in ("", "UTC") else ZoneInfo(zone)


def local_time(now: datetime, place: tzinfo) -> dict[str, Json]:
    """The hour, the ISO weekday, and whether it is Monday to Friday from 8 to 18 o'clock there."""
    there = now.astimezone(place)
    weekday = there.isoweekday()
    business = weekday <= 5 and there.hour in BUSINESS_HOURS
    return {"hour": there.hour, "weekday": weekday, "business": business}


def instant(now: datetime) -> dict[str, Json]:
    """An instant, as the engine takes it: UTC, milliseconds."""
    utc = now.astimezone(UTC).replace(tzinfo=None)
    return {"__extn": {"fn": "datetime", "arg": utc.isoformat(timespec="milliseconds") + "Z"}}


def context_of(
    *,
    request: Request,
    tool: CompiledTool,
    target: Target,
    tier: str,
    now: datetime,
    zone: str,
    timed: bool = True,
) -> dict[str, Json]:
    """What a policy can read under `context`; without the time of day unless it is `timed`."""
    place = zone_named(zone)
    context: dict[str, Json] = {
        "system": _reference(names.SYSTEM, str(tool.document["system"])),
        "effect": str(tool.document["effect"]),
        "tier": tier_rank(tier),
        "resource": target.id,
        "parameters": tool.parameters.project(request.parameters, {}),
    }
    if timed:
        context["now"], context["local"] = instant(now), local_time(now, place)
    if request.gateway:
        context["gateway"] = request.gateway
    if request.kind is SubjectKind.AGENT and request.user:
        context["user"] = _reference(names.PERSON, request.user)
    return context
