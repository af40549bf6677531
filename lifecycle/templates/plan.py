"""A template and its owner's choices, made into a row: facts, allowlist entries, roles.

Pure: the same template, choices and register give the same plan. What is wrong with the choices
stands in the plan beside the choice that it is about, so that a half-filled form has one as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from governance.kernel import json_schema
from lifecycle.templates.content import ASKED, OWNER, Content, Slot
from registry import gates
from registry.enums import ToolEffect
from registry.models import Person, Tool
from registry.reach import Reach, reach_of_draft

# A slot's name to the names of the tools chosen, or where a tool writes.
Choices = Mapping[str, Any]
# A role's name to the tools that it grants.
Granting = Mapping[str, frozenset[str]]
MOST_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class PlannedEntry:
    """One tool that the row may call, as narrow as the template says."""

    tool: Tool
    narrowing: Mapping[str, Any]
    gates: Mapping[str, Any]
    write_quota_per_hour: int | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """The entry in the words of the register."""
        return {
            "narrowing": dict(self.narrowing),
            "rate_per_minute": None,
            "rate_per_hour": None,
            "write_quota_per_hour": self.write_quota_per_hour,
            "gates": dict(self.gates),
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """The row that follows, and by choice what is wrong with it."""

    facts: Mapping[str, Any]
    entries: tuple[PlannedEntry, ...]
    roles: tuple[str, ...]
    ungranted: tuple[str, ...]
    wrong: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def reach(self) -> Reach:
        """What the row would reach."""
        return reach_of_draft(entries=[(each.tool, each.narrowing) for each in self.entries])


def plan_of(
    content: Content,
    choices: Choices,
    *,
    tools: Mapping[str, Tool],
    granting: Granting,
    owner: Person,
) -> Plan:
    """The row of `content` with `choices`, from the `tools` and roles on the register."""
    wrong: dict[str, tuple[str, ...]] = {}
    entries: list[PlannedEntry] = []
    for slot in content.slots:
        chosen, faults = _filled(content, slot, choices, tools, owner)
        entries += chosen
        wrong |= {name: sentences for name, sentences in faults.items() if sentences}
    if sentence := _mixed_tiers(content, entries):
        wrong.setdefault(content.slots[-1].name, (sentence,))
    roles, ungranted = roles_for({each.tool.name for each in entries}, granting)
    facts = {"kind": content.kind, "pattern": content.pattern, "isolated_runs": False}
    return Plan(
        {**facts, "purpose": content.purpose, **content.limits},
        tuple(entries),
        roles,
        ungranted,
        wrong,
    )


def cleaned(content: Content, choices: Choices) -> dict[str, Any]:
    """Of the choices those that the template asks for: names that may be tools', and places."""
    found: dict[str, Any] = {}
    for slot in content.slots:
        names = choices.get(slot.name)
        listed = names if isinstance(names, list | tuple) else []
        found[slot.name] = [name for name in listed if isinstance(name, str) and _is_clean(name)]
        if slot.to == ASKED:
            place = choices.get(slot.place)
            found[slot.place] = place if isinstance(place, str) and _is_clean(place) else ""
    return found


def _is_clean(text: str) -> bool:
    return text.isprintable() and len(text) <= MOST_CHARACTERS


def _filled(
    content: Content, slot: Slot, choices: Choices, tools: Mapping[str, Tool], owner: Person
) -> tuple[list[PlannedEntry], dict[str, tuple[str, ...]]]:
    names = choices.get(slot.name) or []
    chosen = [tools[name] for name in names if name in tools and tools[name].effect in slot.effects]
    faults = list(_miscounted(slot, chosen))
    if len(chosen) < len(names):
        faults.append("Not every tool that was chosen fits here any more. Choose again.")
    place = str(choices.get(slot.place) or "")
    entries = [_entry(content, slot, tool, place, owner) for tool in chosen]
    found = {slot.name: tuple(faults)}
    if slot.to == ASKED and chosen and not place:
        found[slot.place] = ("Say where it writes, such as #releases.",)
    elif unfit := [tool.name for tool, each in zip(chosen, entries, strict=True) if each is None]:
        found[slot.place if slot.to == ASKED else slot.name] = (_unfit(slot, unfit, place),)
    return [each for each in entries if each], found


def _miscounted(slot: Slot, chosen: Sequence[Tool]) -> Sequence[str]:
    if len(chosen) < slot.least:
        return ["Choose one." if slot.least == 1 else f"Choose {slot.least} or more."]
    if len(chosen) > slot.most:
        return [f"Choose at most {slot.most}."]
    systems = {tool.system.slug for tool in chosen}
    if len(systems) > slot.systems:
        said = "one system" if slot.systems == 1 else f"{slot.systems} systems"
        return [f"Stay within {said}: these are of {', '.join(sorted(systems))}."]
    return []


def _unfit(slot: Slot, names: Sequence[str], place: str) -> str:
    tools = ", ".join(names)
    if slot.to == OWNER:
        return f"{tools} cannot be held to your address. Choose another."
    return f"No call of {tools} could write to {place}. Enter one that it takes."


def _entry(
    content: Content, slot: Slot, tool: Tool, place: str, owner: Person
) -> PlannedEntry | None:
    """The entry of a chosen tool; None where it cannot be held to its place."""
    narrowing = narrowing_of(slot, tool, place, owner)
    if narrowing is None:
        return None
    writes = tool.effect != ToolEffect.READ
    return PlannedEntry(
        tool,
        narrowing,
        _gates(content, tool) if writes else {},
        content.write_quota_per_hour if writes else None,
    )


def narrowing_of(slot: Slot, tool: Tool, place: str, owner: Person) -> dict[str, Any] | None:
    """What holds `tool` to where the slot lets it write; None where nothing can."""
    if not slot.to:
        return {}
    wanted = [owner.email, owner.chat_handle] if slot.to == OWNER else [place]
    parameter = tool.recipient_parameter
    for value in filter(None, wanted if parameter else []):
        held = {"properties": {parameter: {"const": value}}, "required": [parameter]}
        if json_schema.satisfiable(tool.schema, held) and _takes(tool, parameter, value):
            return held
    return None


def _takes(tool: Tool, parameter: str, value: str) -> bool:
    """Whether the tool's own schema lets the parameter be `value`; formats count as well."""
    properties = tool.schema.get("properties")
    rule = properties.get(parameter, {}) if isinstance(properties, Mapping) else {}
    return bool(json_schema.compile_schema(rule).is_valid(value))


def _gates(content: Content, tool: Tool) -> dict[str, Any]:
    """Of the template's gates, those that this tool declares enough for."""
    declared = {
        name: str(getattr(tool, f"{name}_parameter")) for name in ("amount", "count", "recipient")
    }
    return {
        name: value
        for name, value in content.gates.items()
        if not gates.lacking({name: value}, declared)
    }


def _mixed_tiers(content: Content, entries: Sequence[PlannedEntry]) -> str:
    """What is wrong where a template of one tier touches several."""
    if not content.same_tier or not entries:
        return ""
    reach = reach_of_draft(
        entries=[(each.tool, each.narrowing) for each in entries], combinations=()
    )
    tiers = {str(place.tier): place.system for place in (*reach.reads, *reach.writes)}
    if len(tiers) == 1:
        return ""
    said = " and ".join(f"{system} is {tier}" for tier, system in sorted(tiers.items()))
    return f"It stays within one tier, and {said}. Choose those of one tier."


def roles_for(wanted: Set[str], granting: Granting) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The fewest roles that grant these tools, those first that grant the least besides.

    And the tools that no role grants.
    """
    chosen, open_, order = [], set(wanted), sorted(granting)
    while open_:
        best = max(
            order,
            key=lambda role: (len(granting[role] & open_), -len(granting[role] - wanted)),
            default="",
        )
        if not best or not granting[best] & open_:
            break
        chosen.append(best)
        open_ -= granting[best]
    return tuple(sorted(chosen)), tuple(sorted(open_))
