"""Tools: what can be called, and what a call touches."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import rfc8785
from django.db import transaction

from governance.kernel import json_schema
from governance.kernel.errors import Invalid
from registry import changes, permissions, rules
from registry.errors import ChangeOutdated
from registry.gates import Gates, fault_in, lacking
from registry.models import AllowlistEntry, Person, ProposedChange, System, Tool, ToolAccess
from registry.services.fields import AccessFields, ToolFields
from registry.services.saving import (
    Changes,
    Saved,
    assign,
    check,
    check_alone,
    found,
    keep,
    locked,
    record,
)
from registry.signals import catalogue_changed

DEFINITION_KIND = "tool.definition"
PARAMETERS = ("amount", "currency", "count", "recipient", "resource")
# What a tool is; title, description and cost only describe it.
DEFINITION = (
    "system",
    "effect",
    "schema",
    *(f"{name}_parameter" for name in PARAMETERS),
    "secret_parameters",
    "on_taint",
    "amount_is_cost",
    "gates",
)

Accesses = list[list[str]]


@transaction.atomic
def save_tool(
    *,
    name: str,
    by: Person,
    alone: bool = False,
    accesses: Sequence[AccessFields] | None = None,
    **fields: Unpack[ToolFields],
) -> Saved[Tool]:
    """Create or change a tool. Its version rises when what it is changes.

    Where an agent may call it, a definition that lets it do more waits for a second person.
    """
    check_alone(alone)
    tool = found(Tool, "tool", name=name)
    created = tool is None
    tool = tool or Tool(name=name)
    before = None if created else definition(tool)
    homes = [] if created else [tool.system]
    for system in (*homes, fields.get("system")):
        if system is not None:
            permissions.check_can_change_tool(system, by)
    changed = assign(tool, fields)
    after = _definition(tool, _names(accesses) if accesses is not None else before)
    check(tool)
    _check_definition(tool)
    if before and not alone and (sentences := _widening(tool, before, after)):
        change = _propose(tool, before, after, sentences, by)
        return _with(_save_the_rest(tool, changed, before, by), change)
    return _save(tool, changed, before, after, by)


def definition(tool: Tool) -> dict[str, Any]:
    """What a tool is, as JSON: the thing that has a version."""
    rows = tool.accesses.select_related("system")
    return _definition(
        tool, {"accesses": [[one.system.slug, one.resource, one.direction] for one in rows]}
    )


def _definition(tool: Tool, rest: Mapping[str, Any] | None) -> dict[str, Any]:
    if tool.system_id is None:
        raise Invalid(
            "A tool belongs to a system.", fields={"system": ["A tool belongs to a system."]}
        )
    plain = {name: getattr(tool, name) for name in DEFINITION if name != "system"}
    accesses = sorted((rest or {}).get("accesses", []))
    return {**plain, "system": tool.system.slug, "accesses": accesses}


def _names(accesses: Sequence[AccessFields]) -> dict[str, Accesses]:
    rows = {(one["system"].slug, one["resource"], str(one["direction"])) for one in accesses}
    return {"accesses": [list(row) for row in rows]}


def _widening(tool: Tool, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    if not AllowlistEntry.objects.filter(tool=tool, agent__state__in=rules.LIVE).exists():
        return []
    return rules.widened_tool(before, after)


def _propose(
    tool: Tool, before: dict[str, Any], after: dict[str, Any], sentences: list[str], by: Person
) -> ProposedChange:
    return changes.propose(
        kind=DEFINITION_KIND,
        target=tool.name,
        summary=f"{tool.name}: {' '.join(sentences)}",
        before=before,
        after=after,
        by=by,
    )


def _save_the_rest(tool: Tool, changed: Changes, before: dict[str, Any], by: Person) -> Saved[Tool]:
    """The definition waits as a whole; how the tool is described changes at once."""
    for name in DEFINITION:
        if name in changed:
            setattr(tool, name, changed.pop(name)[0])
    return _save(tool, changed, before, before, by)


def _with(saved: Saved[Tool], change: ProposedChange) -> Saved[Tool]:
    return Saved(saved.row, created=saved.created, changed=saved.changed, proposed=(change,))


def _save(
    tool: Tool, changed: Changes, before: dict[str, Any] | None, after: dict[str, Any], by: Person
) -> Saved[Tool]:
    if before == after and not changed:
        return Saved(tool)
    if before is not None and before != after:
        tool.version += 1
    keep(tool, by)
    if before is None or before["accesses"] != after["accesses"]:
        _set_accesses(tool, after["accesses"])
        changed["accesses"] = ((before or {}).get("accesses", []), after["accesses"])
    told = {name: pair for name, pair in changed.items() if name != "schema"}
    record(
        "tool_created" if before is None else "tool_changed",
        by=by,
        resource=f"tool:{tool.name}",
        changes=told,
        more={"version": tool.version, "schema": _digest(tool.schema)},
    )
    if before != after:
        catalogue_changed.send(sender=Tool, systems=_systems_of(tool, after), by=by)
    return Saved(tool, created=before is None, changed=tuple(changed))


def _systems_of(tool: Tool, after: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted({tool.system.slug, *(access[0] for access in after["accesses"])}))


def _digest(schema: Mapping[str, Any]) -> str:
    """A schema is long, and names parameters that look like secrets: its digest is recorded."""
    return hashlib.sha256(rfc8785.dumps(dict(schema))).hexdigest()


def _set_accesses(tool: Tool, accesses: Accesses) -> None:
    systems = {one.slug: one for one in System.objects.filter(slug__in=[a[0] for a in accesses])}
    tool.accesses.all().delete()
    for slug, resource, direction in accesses:
        access = ToolAccess(tool=tool, system=systems[slug], resource=resource, direction=direction)
        check(access)
        access.save()


def apply_definition(change: ProposedChange, by: Person) -> None:
    """Let a tool become what was proposed."""
    tool = locked(Tool, "tool", name=change.target)
    before = definition(tool)
    if before != change.before:
        raise ChangeOutdated()
    after = dict(change.after)
    wanted = {name: after[name] for name in DEFINITION if name != "system"}
    wanted["system"] = locked(System, "system", slug=after["system"])
    changed = assign(tool, wanted)
    check(tool)
    _check_definition(tool)
    _save(tool, changed, before, after, by)


def _check_definition(tool: Tool) -> None:
    try:
        json_schema.check_tool_schema(tool.schema)
    except json_schema.SchemaError as error:
        raise Invalid(error.message, code=error.code, fields={"schema": [error.message]}) from error
    declared = tool.schema.get("properties", {})
    wrong: dict[str, list[str]] = {}
    for field in (f"{name}_parameter" for name in PARAMETERS):
        name = getattr(tool, field)
        if name and name not in declared:
            wrong[field] = [f"The schema has no parameter {name!r}."]
    for name in tool.secret_parameters:
        if name not in declared:
            wrong["secret_parameters"] = [f"The schema has no parameter {name!r}."]
    if tool.resource_parameter and tool.resource_parameter in tool.secret_parameters:
        wrong["resource_parameter"] = ["What names the resource cannot be secret."]
    if wrong:
        raise Invalid("The declared parameters must stand in the schema.", fields=wrong)
    check_gates(tool, tool.gates)


def check_gates(tool: Tool, gates: Gates) -> None:
    """A gate compares something that the tool declares. Raises `Invalid` otherwise."""
    declared = {name: str(getattr(tool, f"{name}_parameter")) for name in PARAMETERS}
    sentence = fault_in(gates) or lacking(gates, declared)
    if sentence:
        raise Invalid(sentence, fields={"gates": [sentence]})
