"""What a tainted run may hand to a clean one: values that no hostile text can hide in.

An extract is an object of enumerations, numbers, truth values, dates and ids that stand on the
register. Its schema is declared in the plan, before anything hostile was read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from authz.engine.schema import parameter_schema
from authz.engine.types import Json
from governance.kernel.errors import Invalid
from governance.kernel.json_schema import SchemaError

REGISTERED = "x-muster-registered"
MAX_ITEMS = 100
_PLAIN = frozenset({"integer", "number", "boolean", "null"})
_DATES = frozenset({"date", "date-time", "time", "duration"})
_KNOWN = frozenset(
    {
        "type", "properties", "required", "additionalProperties", "items", "minItems", "maxItems",
        "enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
        "multipleOf", "format", "title", "description", REGISTERED,
    }
)  # fmt: skip

Facts = Mapping[str, Json]


class BadExtract(Invalid):
    """This extract could carry free text. Only listed values, numbers, dates and ids may."""

    code = "bad_extract"


def check_schema(schema: Json, place: str = "extract") -> None:
    """Raise `BadExtract` unless no value that meets `schema` can hold free text."""
    if not isinstance(schema, Mapping) or not schema.keys() <= _KNOWN:
        raise BadExtract(f"{place}: only {', '.join(sorted(_KNOWN))} may stand in an extract.")
    if "const" in schema or "enum" in schema:
        return
    kind = schema.get("type")
    if kind in _PLAIN:
        return
    if kind == "string" and (schema.get("format") in _DATES or REGISTERED in schema):
        return
    if kind == "array" and 0 < int(schema.get("maxItems", 0)) <= MAX_ITEMS:
        check_schema(schema.get("items"), f"{place}/items")
        return
    if kind == "object" and schema.get("additionalProperties") is False:
        for name, each in (schema.get("properties") or {}).items():
            check_schema(each, f"{place}/{name}")
        return
    raise BadExtract(
        f"{place} could carry free text. Use enum, a number, a date, {REGISTERED}, an array with "
        "maxItems, or an object with additionalProperties false."
    )


def check_value(schema: Facts, value: Json, systems: Facts) -> None:
    """Raise `BadExtract` unless `value` meets `schema`, its ids being on the register."""
    check_schema(schema)
    try:
        findings = parameter_schema({"properties": {"value": dict(schema)}}).findings(
            {"value": value}
        )
    except SchemaError as error:
        raise BadExtract(error.message) from error
    if findings:
        raise BadExtract(f"{findings[0].pointer}: {findings[0].sentence}")
    for system, name in _ids(schema, value):
        if name not in registered(systems, system):
            raise BadExtract(f"An id is not registered in {system}.")


def registered(systems: Facts, system: str) -> frozenset[str]:
    """The resources of a system that stand on the register by their exact name."""
    resources = (systems.get(system) or {}).get("resources") or ()
    return frozenset(str(one["name"]) for one in resources if one["match"] == "exact")


def _ids(schema: Facts, value: Json) -> Iterator[tuple[str, Json]]:
    if REGISTERED in schema:
        yield str(schema[REGISTERED]), value
    elif isinstance(value, list):
        for item in value:
            yield from _ids(schema.get("items") or {}, item)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _ids((schema.get("properties") or {}).get(name) or {}, item)
