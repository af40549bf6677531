"""What a call is about: the resource that is judged, and how sensitive what it reads is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from authz.engine.types import Json, Request
from governance.kernel.tiers import RESTRICTED, highest, place_of, rank

RESOURCE_TYPE = "x-muster-resource-type"
READ = "read"
READS, WRITES = "reads", "writes"

Facts = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Target:
    """The resource that is judged. `problem` is the cause if the request contradicts it.

    `type` is the slug of the tool's system or of a declared resource type. `vouched` says that
    the id was computed from a declared parameter, not merely claimed.
    """

    type: str
    id: str
    vouched: bool
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Touched:
    """A place that a call reads or writes, as sensitive and as hostile as it counts."""

    system: str
    resource: str
    tier: str
    categories: tuple[str, ...]
    trusted: bool


def target_of(request: Request, tool: Facts, resource_types: Facts) -> Target:
    """The resource of the call, from the tool's declared parameter where it declares one.

    The parameter's own schema may name its resource type (`x-muster-resource-type`); otherwise
    the resource lies in the tool's system. A tool that declares no resource parameter is judged
    on the resource that the request names, or on its system.
    """
    parameter = str(tool.get("resource") or "")
    if not parameter:
        return _claimed(request, str(tool["system"]), resource_types)
    value = request.parameters.get(parameter)
    if value is not None and (isinstance(value, bool) or not isinstance(value, str | int)):
        return Target(str(tool["system"]), "", True, "resource_unreadable")
    declared = _declared_type(tool, parameter)
    kind = declared if value is not None and declared else str(tool["system"])
    return _compared(request, Target(kind, "" if value is None else str(value), True))


def _declared_type(tool: Facts, parameter: str) -> str:
    schema = tool.get("schema") or {}
    return str(schema.get("properties", {}).get(parameter, {}).get(RESOURCE_TYPE, ""))


def _claimed(request: Request, system: str, resource_types: Facts) -> Target:
    kind = request.resource_type or system
    known = kind == system or kind in resource_types
    return Target(kind, request.resource_id, False, "" if known else "resource_mismatch")


def _compared(request: Request, target: Target) -> Target:
    same_type = request.resource_type in ("", target.type)
    same_id = request.resource_id in ("", target.id)
    if same_type and same_id:
        return target
    return Target(target.type, target.id, True, "resource_mismatch")


def classification(tool: Facts, target: Target, systems: Facts) -> str:
    """The tier of what the tool reads, else of its system. A mere claim can only raise it."""
    tiers = list(_tiers_read(tool, target, systems))
    return highest(tiers or [_tier(systems, str(tool["system"]), "")])


def _tiers_read(tool: Facts, target: Target, systems: Facts) -> Iterator[str]:
    own = str(tool["system"])
    accesses = tool.get("accesses") or [{"system": own, "resource": "", "direction": "reads"}]
    for access in accesses:
        if access["direction"] != "reads":
            continue
        system, resource = str(access["system"]), str(access["resource"])
        if resource or system != own or target.type != own:
            yield _tier(systems, system, resource)
            continue
        yield _tier(systems, own, target.id)
        if not target.vouched:
            yield _tier(systems, own, "")


def _tier(systems: Facts, system: str, resource: str) -> str:
    return place_of(systems[system], resource)[0] if system in systems else RESTRICTED


def tier_rank(tier: str) -> int:
    """0 for public to 3 for restricted: the number that policies compare."""
    return rank(tier)


def touched(tool: Facts, target: Target, systems: Facts, direction: str) -> tuple[Touched, ...]:
    """Every place that a call reads, or that it writes.

    A tool that is more than a read writes into its own system where it declares no other place.
    """
    own = str(tool["system"])
    declared = [one for one in tool.get("accesses") or () if one["direction"] == direction]
    places = [(str(one["system"]), str(one["resource"])) for one in declared]
    reads = tool["effect"] == READ
    if not places and (
        (direction == WRITES and not reads)
        or (direction == READS and reads and not tool.get("accesses"))
    ):
        places = [(own, "")]
    return tuple(
        place
        for system, resource in places
        for place in _touched(systems, system, resource, own, target)
    )


def _touched(
    systems: Facts, system: str, resource: str, own: str, target: Target
) -> Iterator[Touched]:
    """The declared resource, else the judged one; one that was merely claimed counts as both."""
    if resource or system != own or target.type != own:
        yield place_in(systems, system, resource)
        return
    yield place_in(systems, own, target.id)
    if not target.vouched:
        yield place_in(systems, own, "")


def place_in(systems: Facts, system: str, resource: str) -> Touched:
    """A place as the register knows it; what it does not know is restricted and hostile."""
    facts = systems.get(system)
    if facts is None:
        return Touched(system, resource, RESTRICTED, (), trusted=False)
    tier, categories = place_of(facts, resource)
    return Touched(system, resource, tier, categories, trusted=facts.get("trust") == "trusted")
