"""Parameters against their JSON Schemas, said without repeating a value.

A tool's own schema and the allowlist entry's narrowing are both always evaluated, so that what an
agent may send is a subset of what the tool takes by construction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import jsonschema_rs

from authz.engine.types import Json
from governance.kernel.json_schema import compile_schema

MAX_FINDINGS = 5

_SENTENCES = {
    "additionalProperties": "A parameter stands there that is not declared.",
    "anyOf": "It fits none of the alternatives.",
    "const": "It must be exactly the declared value.",
    "enum": "It must be one of the declared values.",
    "exclusiveMaximum": "It must be less than {limit}.",
    "exclusiveMinimum": "It must be more than {limit}.",
    "format": "It must be in the format {format}.",
    "maxItems": "It may hold at most {limit} items.",
    "maxLength": "It may be at most {limit} characters long.",
    "maxProperties": "It may hold at most {limit} members.",
    "maximum": "It must be at most {limit}.",
    "minItems": "It must hold at least {limit} items.",
    "minLength": "It must be at least {limit} characters long.",
    "minProperties": "It must hold at least {limit} members.",
    "minimum": "It must be at least {limit}.",
    "multipleOf": "It must be a multiple of {multiple_of}.",
    "oneOf": "It must fit exactly one of the alternatives.",
    "pattern": "It does not match the declared pattern.",
    "required": "{property} is missing.",
    "type": "It must be of type {types}.",
    "unevaluatedProperties": "A parameter stands there that is not declared.",
    "uniqueItems": "No item may stand there twice.",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: where (RFC 6901), by which rule, in a sentence. Never the value."""

    pointer: str
    rule: str
    sentence: str

    def document(self) -> dict[str, Json]:
        return {"pointer": self.pointer, "rule": self.rule, "sentence": self.sentence}


@dataclass(frozen=True, slots=True)
class ParameterSchema:
    """A compiled schema and the names that it declares."""

    validator: jsonschema_rs.Validator
    names: frozenset[str]

    def findings(self, parameters: Mapping[str, Json]) -> tuple[Finding, ...]:
        """What is wrong with `parameters`, at most five things; () if nothing is."""
        if self.validator.is_valid(parameters):
            return ()
        errors = islice(self.validator.iter_errors(parameters), MAX_FINDINGS)
        return tuple(self._finding(error) for error in errors)

    def _finding(self, error: jsonschema_rs.ValidationError) -> Finding:
        rule = next((part for part in reversed(error.schema_path) if part in _SENTENCES), "")
        rule = str(rule or error.kind.name)
        return Finding(
            pointer=self.pointer(error.instance_path),
            rule=rule,
            sentence=_sentence(rule, error),
        )

    def pointer(self, path: Sequence[str | int]) -> str:
        """A place. Names that the caller made up are shown as `*`: they could hold anything."""
        parts = (part if isinstance(part, int) or part in self.names else "*" for part in path)
        return "".join(f"/{_escape(str(part))}" for part in parts)


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def _sentence(rule: str, error: jsonschema_rs.ValidationError) -> str:
    """Filled only from what the schema says."""
    words = {name: _word(value) for name, value in error.kind.as_dict().items()}
    try:
        return _SENTENCES[rule].format(**words)
    except KeyError:
        return "It does not meet its schema."


def _word(value: Json) -> str:
    return " or ".join(value) if isinstance(value, list) and rule_words(value) else str(value)


def rule_words(values: Iterable[Json]) -> bool:
    """Whether all of `values` are words."""
    return all(isinstance(value, str) for value in values)


def parameter_schema(schema: Mapping[str, Json]) -> ParameterSchema:
    """`schema` compiled; raises `SchemaError` where it does not hold."""
    return ParameterSchema(compile_schema(schema), frozenset(_names(schema)))


def _names(schema: Json) -> Iterator[str]:
    """Every property name that a schema declares, at any depth."""
    waiting: list[Json] = [schema]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            properties = item.get("properties")
            yield from properties if isinstance(properties, Mapping) else ()
            waiting.extend(item.values())
        elif isinstance(item, list | tuple):
            waiting.extend(item)
