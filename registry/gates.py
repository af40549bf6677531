"""What a tool or an allowlist entry says about calls that wait for a human.

`docs/reference/holds.md` explains each member. Amounts are minor units of their currency.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance.kernel import json_schema
from registry.enums import GroupName

MAX_INTEGER = 2**53 - 1
DEFAULT_HOURS = 24
APPROVING = (GroupName.SECURITY, GroupName.DPO, GroupName.SOURCE_OWNER)
DEFAULT_GROUPS = (GroupName.SECURITY, GroupName.SOURCE_OWNER)
FLAGS = ("destructive", "grants", "domains")

_ABOVE = {"type": "integer", "minimum": 0, "maximum": MAX_INTEGER}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "amount": {
            "type": "object",
            "required": ["above", "currency"],
            "additionalProperties": False,
            "properties": {
                "above": _ABOVE,
                "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
                "hours": {"type": "integer", "minimum": 1, "maximum": 744},
            },
        },
        "records": {
            "type": "object",
            "required": ["above"],
            "additionalProperties": False,
            "properties": {"above": _ABOVE},
        },
        **{flag: {"type": "boolean"} for flag in FLAGS},
        "approvals": {"type": "integer", "minimum": 1, "maximum": 5},
        "groups": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {"enum": [str(group) for group in APPROVING]},
        },
        "agents": {
            "type": "array",
            "maxItems": 20,
            "uniqueItems": True,
            "items": {"type": "string", "pattern": "^[a-z0-9]+([-_.][a-z0-9]+)*$", "maxLength": 60},
        },
    },
}

Gates = Mapping[str, Any]

_FLAG_WORDS = {
    "destructive": "Destroying something in production would no longer wait for a human.",
    "grants": "Granting rights would no longer wait for a human.",
    "domains": "Writing to a new domain would no longer wait for a human.",
}


def fault_in(value: Any) -> str:
    """What is wrong with gates, as a sentence; "" if nothing is."""
    for error in json_schema.compile_schema(SCHEMA).iter_errors(value):
        place = "".join(f"/{part}" for part in error.instance_path)
        return f"Gates do not hold{' at ' + place if place else ''}: {error.message}."
    return ""


def lacking(gates: Gates, declared: Mapping[str, str]) -> str:
    """What a tool would have to declare for these gates, as a sentence; "" if it does."""
    for gate, parameter in (("amount", "amount"), ("records", "count"), ("domains", "recipient")):
        if gates.get(gate) and not declared[parameter]:
            return f"The gate {gate} needs a tool that declares its {parameter} parameter."
    return ""


def loosened(before: Gates, after: Gates) -> list[str]:
    """Sentences for what would wait for a human no longer, or for fewer or other people."""
    found = [*_amount(before, after), *_records(before, after)]
    found += [_FLAG_WORDS[flag] for flag in FLAGS if before.get(flag) and not after.get(flag)]
    if after.get("approvals", 1) < before.get("approvals", 1):
        found.append("Fewer people would have to approve.")
    if {*groups_of(after)} - {*groups_of(before)}:
        found.append("Further groups could approve.")
    if gained := sorted({*after.get("agents", ())} - {*before.get("agents", ())}):
        found.append(f"{', '.join(gained)} could approve in the place of a human.")
    return found


def groups_of(gates: Gates) -> tuple[str, ...]:
    """The groups whose members may approve."""
    return tuple(gates.get("groups") or map(str, DEFAULT_GROUPS))


def _amount(before: Gates, after: Gates) -> list[str]:
    old, new = before.get("amount"), after.get("amount")
    if not old:
        return []
    if not new:
        return ["Amounts would no longer wait for a human."]
    found = []
    if new["currency"] != old["currency"]:
        found.append("Amounts would be compared in another currency.")
    elif new["above"] > old["above"]:
        found.append("Higher amounts would pass without a human.")
    if new.get("hours", DEFAULT_HOURS) < old.get("hours", DEFAULT_HOURS):
        found.append("Amounts would be added up over fewer hours.")
    return found


def _records(before: Gates, after: Gates) -> list[str]:
    old, new = before.get("records"), after.get("records")
    if not old or (new and new["above"] <= old["above"]):
        return []
    return ["Calls that touch more records would pass without a human."]
