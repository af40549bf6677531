"""Parameters as a policy sees them.

Caller JSON never reaches the policy engine. From a tool's JSON Schema this derives, once, which
parameters have a type that Cedar knows; each call then copies those values, one by one, checked.
Floats, mixed lists and free objects have no such type: they are not available to policies.
A value that belongs to an available parameter and yet cannot be carried over is never left out,
since a forbid could depend on it: `Unprojectable` is raised and the call refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Protocol

from authz.engine.types import Json
from governance.kernel.strict_json import FORBIDDEN_KEYS

MAX_DEPTH = 4
_LONG = range(-(2**63), 2**63)
_MONEY_MARKS = frozenset("0123456789.-")
_UNITS = {
    **dict.fromkeys(["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW"], 0),
    **dict.fromkeys(["PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"], 0),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
}


class Unprojectable(ValueError):
    """A value does not fit the type that its parameter has for policies."""


class CedarType(Protocol):
    """A type that a policy can read."""

    def cedar(self) -> dict[str, Json]:
        """The type in Cedar's JSON schema format."""

    def project(self, value: Json, beside: Mapping[str, Json]) -> Json:
        """`value` in Cedar's JSON format; `beside` are the values next to it."""


@dataclass(frozen=True, slots=True)
class Text:
    def cedar(self) -> dict[str, Json]:
        return {"type": "String"}

    def project(self, value: Json, beside: Mapping[str, Json]) -> Json:
        if not isinstance(value, str):
            raise Unprojectable("not a string")
        return value


@dataclass(frozen=True, slots=True)
class Flag:
    def cedar(self) -> dict[str, Json]:
        return {"type": "Boolean"}

    def project(self, value: Json, beside: Mapping[str, Json]) -> Json:
        if not isinstance(value, bool):
            raise Unprojectable("not a boolean")
        return value


@dataclass(frozen=True, slots=True)
class Whole:
    def cedar(self) -> dict[str, Json]:
        return {"type": "Long"}

    def project(self, value: Json, beside: Mapping[str, Json]) -> Json:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value not in _LONG:
            raise Unprojectable("not an integer of 64 bits")
        return value


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units, rounded up: a cap is never passed by a fraction.

    Whole and fractional numbers are taken as major units of the currency that the parameter
    `currency` names (two places where it names none), unless `minor` says otherwise.
    """

    currency: str = ""
    minor: bool = False

    def cedar(self) -> dict[str, Json]:
        return {"type": "Long"}

    def project(self, value: Json, beside: Mapping[str, Json]) -> Json:
        number = _decimal(value)
        if not number.is_finite() or abs(number) >= 2**53:
            raise Unprojectable("not an amount")
        scaled = number.scaleb(self._places(beside))
        return int(scaled.to_integral_value(rounding=ROUND_CEILING))

    def _places(self, beside: Mapping[str, Json]) -> int:
        if self.minor:
            return 0
        currency = beside.get(self.currency) if self.currency else None
        return _UNITS.get(currency, 2) if isinstance(currency, str) else 2


def _decimal(value: Json) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Unprojectable("not an amount")
    if isinstance(value, str) and not (value and _MONEY_MARKS.issuperset(value)):
        raise Unprojectable("not an amount")
    try:
        return Decimal(repr(value) if isinstance(value, float) else value)
    except ArithmeticError as error:
        raise Unprojectable("not an amount") from error


@dataclass(frozen=True, slots=True)
class SetOf:
    element: CedarType

    def cedar(self) -> dict[str, Json]:
        return {"type": "Set", "element": self.element.cedar()}

    def project(self, value: Json, beside: Mapping[str, Json]) -> Json:
        if not isinstance(value, list | tuple):
            raise Unprojectable("not a list")
        return [self.element.project(item, {}) for item in value]


@dataclass(frozen=True, slots=True)
class Fields:
    """A record. An absent or null field is absent for policies too."""

    members: Mapping[str, CedarType]
    required: frozenset[str] = frozenset()

    def cedar(self) -> dict[str, Json]:
        attributes = {
            name: {**member.cedar(), "required": name in self.required}
            for name, member in self.members.items()
        }
        return {"type": "Record", "attributes": attributes}

    def project(self, value: Json, beside: Mapping[str, Json]) -> Json:
        if not isinstance(value, Mapping):
            raise Unprojectable("not an object")
        return {
            name: member.project(value[name], value)
            for name, member in self.members.items()
            if value.get(name) is not None
        }


TEXT, FLAG, WHOLE = Text(), Flag(), Whole()
_SCALARS: dict[str, CedarType] = {"string": TEXT, "boolean": FLAG, "integer": WHOLE}
ATTRIBUTE_TYPES: dict[str, CedarType] = {
    "string": TEXT,
    "long": WHOLE,
    "bool": FLAG,
    "set": SetOf(TEXT),
}


def parameters_of(tool: Mapping[str, Json]) -> Fields:
    """The record of a tool's parameters that policies may read; never a secret one."""
    schema = tool.get("schema")
    root = schema if isinstance(schema, Mapping) else {}
    hidden = frozenset(tool.get("secret") or ())
    found = _fields(root, root, 0) or Fields({})
    members = {name: kind for name, kind in found.members.items() if name not in hidden}
    amount = tool.get("amount") or ""
    if amount in _properties(root) and amount not in hidden:
        members[amount] = _money(_properties(root)[amount], tool.get("currency") or "")
    required = _required(root) & frozenset(
        name for name in members if not _nullable(_resolve(_properties(root)[name], root), root)
    )
    return Fields(members, required)


def amount_of(tool: Mapping[str, Json], parameters: Mapping[str, Json]) -> int:
    """What a call moves, in minor units. Raises `Unprojectable` where it does not say."""
    schema, name = tool.get("schema"), str(tool.get("amount") or "")
    if not name or parameters.get(name) is None:
        raise Unprojectable("no amount")
    root = schema if isinstance(schema, Mapping) else {}
    money = _money(_properties(root).get(name, {}), str(tool.get("currency") or ""))
    return money.project(parameters[name], parameters)  # type: ignore[no-any-return]


def major(minor: int, currency: str) -> str:
    """An amount as people write it: 500.00 EUR."""
    places = _UNITS.get(currency, 2)
    return f"{Decimal(minor).scaleb(-places):,.{places}f} {currency}"


def unavailable_parameters(tool: Mapping[str, Json]) -> list[str]:
    """The declared parameters that policies cannot read, by name."""
    schema = tool.get("schema")
    declared = _properties(schema) if isinstance(schema, Mapping) else {}
    return sorted(set(declared) - set(parameters_of(tool).members))


def _money(schema: Json, currency: str) -> Money:
    unit = schema.get("x-muster-unit") if isinstance(schema, Mapping) else ""
    return Money(currency=currency, minor=unit == "minor")


def _properties(schema: Mapping[str, Json]) -> Mapping[str, Json]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return {}
    return {name: one for name, one in properties.items() if name not in FORBIDDEN_KEYS}


def _required(schema: Mapping[str, Json]) -> frozenset[str]:
    required = schema.get("required")
    return frozenset(required) if isinstance(required, list | tuple) else frozenset()


def _fields(schema: Mapping[str, Json], root: Mapping[str, Json], depth: int) -> Fields | None:
    members: dict[str, CedarType] = {}
    always = set()
    for name, one in _properties(schema).items():
        resolved = _resolve(one, root)
        kind = _type_of(resolved, root, depth + 1)
        if kind is None:
            continue
        members[name] = kind
        if name in _required(schema) and not _nullable(resolved, root):
            always.add(name)
    return Fields(members, frozenset(always)) if members else None


def _type_of(schema: Json, root: Mapping[str, Json], depth: int) -> CedarType | None:
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
        return None
    kinds = {word for word in _type_words(schema, root) if word != "null"}
    if len(kinds) != 1:
        return None
    word = kinds.pop()
    if word == "array":
        return _set_of(_type_of(_resolve(schema.get("items"), root), root, depth + 1))
    if word == "object":
        return _fields(schema, root, depth)
    return _SCALARS.get(word)


def _set_of(element: CedarType | None) -> SetOf | None:
    """Lists of strings, of integers, of booleans; others are no set that Cedar knows."""
    return SetOf(element) if element in (TEXT, WHOLE, FLAG) and element is not None else None


def _type_words(schema: Mapping[str, Json], root: Mapping[str, Json]) -> Iterator[str]:
    """The JSON types that the schema lets through, "" for one that it does not pin down."""
    declared = schema.get("type")
    if isinstance(declared, str):
        yield declared
    elif isinstance(declared, list):
        yield from (str(word) for word in declared)
    elif "enum" in schema or "const" in schema:
        values = schema["enum"] if isinstance(schema.get("enum"), list) else [schema.get("const")]
        yield from (_WORDS.get(type(value), "") for value in values)
    else:
        yield from _alternatives(schema, root)


def _alternatives(schema: Mapping[str, Json], root: Mapping[str, Json]) -> Iterator[str]:
    """Only alternatives of one scalar each: what else they say, no type can hold."""
    branches = schema.get("anyOf") or schema.get("oneOf")
    if not isinstance(branches, list):
        yield ""
        return
    for branch in branches:
        resolved = _resolve(branch, root)
        word = resolved.get("type") if isinstance(resolved, Mapping) else ""
        yield word if isinstance(word, str) and word in _PLAIN_WORDS else ""


_WORDS = {str: "string", bool: "boolean", int: "integer", type(None): "null"}
_PLAIN_WORDS = frozenset(["string", "boolean", "integer", "null"])


def _nullable(schema: Json, root: Mapping[str, Json]) -> bool:
    return isinstance(schema, Mapping) and "null" in _type_words(schema, root)


def _resolve(schema: Json, root: Mapping[str, Json]) -> Json:
    """What a local reference points to; references through references are not followed."""
    reference = schema.get("$ref") if isinstance(schema, Mapping) else None
    if not isinstance(reference, str):
        return schema
    holder, _, name = reference.removeprefix("#/").partition("/")
    definitions = root.get(holder)
    return definitions.get(name) if isinstance(definitions, Mapping) else None
