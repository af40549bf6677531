"""JSON Schemas that narrow what tools may be called with: held to, and said in plain words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from authz.engine.schema import parameter_schema
from governance.kernel.errors import Invalid
from governance.kernel.json_schema import SchemaError

MAX_VALUES = 8
LONGEST_VALUE = 60
FURTHER = "narrowed further"
_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "maxLength": "at most {} characters",
    "maxItems": "at most {} at a time",
    "pattern": "of the form {}",
}
_SILENT = frozenset({"type", "description", "title"})


def check(tools: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise `Invalid` where what narrows one of these tools is no schema to hold calls to."""
    for name, narrowing in tools.items():
        try:
            parameter_schema(narrowing)
        except SchemaError as error:
            sentence = f"What narrows {name} is no JSON Schema that Muster can hold calls to."
            raise Invalid(sentence, fields={"tools": [sentence]}) from error


def in_words(narrowing: Mapping[str, Any]) -> list[str]:
    """One phrase for each rule that can be said in words; [] where nothing is narrowed."""
    properties = narrowing.get("properties") or {}
    found = [
        f"{name.replace('_', ' ')} {phrase}"
        for name, rule in sorted(properties.items() if isinstance(properties, Mapping) else ())
        for phrase in _phrases(rule)
    ]
    if narrowing.keys() - {"properties", "type", "$schema"}:
        found.append(FURTHER)
    return found


def _phrases(rule: Any) -> Iterator[str]:
    if not isinstance(rule, Mapping):
        yield FURTHER
        return
    if "const" in rule:
        yield f"only {_value(rule['const'])}"
    if isinstance(values := rule.get("enum"), list):
        more = f" or {len(values) - MAX_VALUES} more" if len(values) > MAX_VALUES else ""
        yield f"only {' or '.join(map(_value, values[:MAX_VALUES]))}{more}"
    yield from (words.format(_value(rule[key])) for key, words in _BOUNDS.items() if key in rule)
    if rule.keys() - _BOUNDS.keys() - _SILENT - {"const", "enum"}:
        yield FURTHER


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
