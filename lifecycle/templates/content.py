"""What a template fixes, and what it leaves to the owner. `docs/reference/templates.md` tells all.

The content of a version is JSON of a fixed shape; here it is checked, and read into plain values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from authz.engine.acting import MAX_DEPTH
from governance.kernel import json_schema
from registry import gates
from registry.enums import AgentKind, IdentityPattern, ToolEffect

MAX_INTEGER = 2**53 - 1
# Name and purpose are asked of every agent; the rest of eight fields is a template's.
MOST_FIELDS = 8
MOST_SLOTS = MOST_FIELDS - 2
OWNER, ASKED = "owner", "asked"
# What may be approved beforehand for the people of a role.
DRAFTING = frozenset({str(ToolEffect.READ), str(ToolEffect.WRITE)})

_COUNT = {"type": "integer", "minimum": 1, "maximum": 1_000_000}
_MONEY = {"type": "integer", "minimum": 0, "maximum": MAX_INTEGER}
_SLOT: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "label", "effects"],
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z]{1,20}$"},
        "label": {"type": "string", "minLength": 1, "maxLength": 80},
        "help": {"type": "string", "maxLength": 200},
        "effects": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {"enum": [str(each) for each in ToolEffect]},
        },
        "least": {"type": "integer", "minimum": 0, "maximum": 20},
        "most": {"type": "integer", "minimum": 1, "maximum": 20},
        "systems": {"type": "integer", "minimum": 1, "maximum": 20},
        "to": {"enum": [OWNER, ASKED]},
        "to_label": {"type": "string", "minLength": 1, "maxLength": 80},
    },
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["kind", "pattern", "purpose", "slots", "limits", "renewal_months"],
    "properties": {
        "kind": {"enum": [str(each) for each in AgentKind]},
        "pattern": {"enum": [str(each) for each in IdentityPattern]},
        "purpose": {"type": "string", "minLength": 1, "maxLength": 300},
        "slots": {"type": "array", "minItems": 1, "maxItems": MOST_SLOTS, "items": _SLOT},
        "same_tier": {"type": "boolean"},
        "limits": {
            "type": "object",
            "additionalProperties": False,
            "required": ["rate_per_minute", "rate_per_hour", "spend_cap_minor"],
            "properties": {
                "rate_per_minute": _COUNT,
                "rate_per_hour": _COUNT,
                "spend_cap_minor": _MONEY,
                "spend_cap_month_minor": _MONEY,
                "write_quota_per_hour": _MONEY,
            },
        },
        "gates": gates.SCHEMA,
        "renewal_months": {"type": "integer", "minimum": 1, "maximum": 24},
        "beforehand": {"type": "boolean"},
        "delegation_depth": {"type": "integer", "minimum": 0, "maximum": MAX_DEPTH},
        "not_yet": {"type": "string", "maxLength": 300},
    },
}


@dataclass(frozen=True, slots=True)
class Slot:
    """One thing that the owner chooses: tools with these effects, and where they may write.

    `to` is OWNER where the tool may only write to the owner, ASKED where the owner says to whom,
    and empty where it does not matter.
    """

    name: str
    label: str
    effects: frozenset[str]
    help: str = ""
    least: int = 1
    most: int = 20
    systems: int = 20
    to: str = ""
    to_label: str = "To whom"

    @property
    def place(self) -> str:
        """The choice that says where its tool writes."""
        return f"{self.name}_to"


@dataclass(frozen=True, slots=True)
class Content:
    """A template's content, read."""

    kind: str
    pattern: str
    purpose: str
    slots: tuple[Slot, ...]
    limits: Mapping[str, int | None]
    gates: Mapping[str, Any]
    write_quota_per_hour: int | None
    renewal_months: int
    same_tier: bool = False
    beforehand: bool = False
    delegation_depth: int = MAX_DEPTH
    not_yet: str = ""


def fault_in(value: Any) -> str:
    """What is wrong with the content of a template, as a sentence; "" if nothing is."""
    for error in json_schema.compile_schema(SCHEMA).iter_errors(value):
        place = "".join(f"/{part}" for part in error.instance_path)
        return f"The content does not hold{' at ' + place if place else ''}: {error.message}."
    names = [slot["name"] for slot in value["slots"]]
    if len(set(names)) < len(names):
        return "Two slots have the same name. Give each a name of its own."
    if len(names) + sum(each.get("to") == ASKED for each in value["slots"]) > MOST_SLOTS:
        return f"It would ask for more than {MOST_FIELDS} fields. Ask for less."
    if wrong := next((each for each in value["slots"] if _is_contradictory(each)), None):
        return f"The slot {wrong['name']} asks for more tools than it takes."
    if value.get("beforehand") and not _drafts_alone(value):
        return "What is approved beforehand acts for people, and reads and writes alone."
    return ""


def _drafts_alone(value: Mapping[str, Any]) -> bool:
    effects = {effect for slot in value["slots"] for effect in slot["effects"]}
    return value["pattern"] != IdentityPattern.SERVICE and effects <= DRAFTING


def _is_contradictory(slot: Mapping[str, Any]) -> bool:
    return bool(slot.get("least", 1) > slot.get("most", 20))


def read_content(value: Mapping[str, Any]) -> Content:
    """The content that `value`, in which nothing is wrong, stands for."""
    limits: dict[str, int | None] = dict(value["limits"])
    quota = limits.pop("write_quota_per_hour", None)
    return Content(
        kind=value["kind"],
        pattern=value["pattern"],
        purpose=value["purpose"],
        slots=tuple(
            Slot(**{**slot, "effects": frozenset(slot["effects"])}) for slot in value["slots"]
        ),
        limits={"spend_cap_month_minor": None, **limits},
        gates=value.get("gates", {}),
        write_quota_per_hour=quota,
        renewal_months=value["renewal_months"],
        same_tier=value.get("same_tier", False),
        beforehand=value.get("beforehand", False),
        delegation_depth=value.get("delegation_depth", MAX_DEPTH),
        not_yet=value.get("not_yet", ""),
    )
