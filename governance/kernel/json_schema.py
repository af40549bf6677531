"""JSON Schema as Muster uses it: draft 2020-12, offline, patterns in linear time.

A schema comes from people and is run on what agents send, so it may neither fetch anything nor
take more than linear time. The register refuses what does not compile here; the decision
compiles the same text the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, reduce
from typing import Any

import jsonschema_rs
import rfc8785
from jsonschema_rs import canonical

from governance.kernel.errors import Invalid

DRAFT = "https://json-schema.org/draft/2020-12/schema"
MAX_SCHEMA_BYTES = 64 * 1024
PATTERNS = jsonschema_rs.RegexOptions(size_limit=1 << 20, dfa_size_limit=1 << 20)

Schema = Mapping[str, Any]


class SchemaError(Invalid):
    """This is not a JSON Schema that Muster runs."""

    code = "bad_schema"


def compile_schema(schema: Schema) -> jsonschema_rs.Validator:
    """A validator of `schema`; raises `SchemaError` with a sentence that says what is wrong.

    Formats are asserted. Refused: look-around, back-references, unknown formats, references
    that leave the schema, other drafts, more than 64 KiB.
    """
    if str(schema.get("$schema", DRAFT)).rstrip("#") != DRAFT:
        raise SchemaError("Only JSON Schema draft 2020-12 is read. Leave $schema out.")
    return _compiled(_bytes(schema))


def check_tool_schema(schema: Schema) -> None:
    """Raise `SchemaError` unless `schema` compiles and describes an object of parameters."""
    compile_schema(schema)
    if schema.get("type") != "object":
        raise SchemaError('The schema of a tool\'s parameters must say "type": "object".')
    if not isinstance(schema.get("properties", {}), dict):
        raise SchemaError("`properties` must be an object.")


def covers(outer: Schema, inner: Schema) -> bool:
    """Whether `outer` surely accepts everything that `inner` accepts. In doubt, False."""
    try:
        return bool(_canonical(outer).covers(_canonical(inner)) == canonical.Containment.YES)
    except ValueError:
        return False


def satisfiable(*schemas: Schema) -> bool:
    """Whether something may meet all of `schemas`; False only where surely nothing can."""
    try:
        first, *others = map(_canonical, schemas)
        answer = reduce(lambda met, each: met.intersect(each), others, first).satisfiability()
    except ValueError:
        return True
    return bool(answer != canonical.Satisfiability.NO)


def _canonical(schema: Schema) -> Any:
    return jsonschema_rs.canonicalize(
        dict(schema), draft=jsonschema_rs.Draft202012, pattern_options=PATTERNS, offline=True
    )


def _bytes(schema: Schema) -> bytes:
    try:
        raw = rfc8785.dumps(dict(schema))
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"The schema is not JSON: {error}.") from error
    if len(raw) > MAX_SCHEMA_BYTES:
        raise SchemaError("A schema may be at most 64 KiB.")
    return bytes(raw)


@lru_cache(maxsize=4096)
def _compiled(raw: bytes) -> jsonschema_rs.Validator:
    try:
        return jsonschema_rs.Draft202012Validator(
            raw.decode(),
            pattern_options=PATTERNS,
            validate_formats=True,
            ignore_unknown_formats=False,
            offline=True,
        )
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise SchemaError(f"The schema does not hold: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")[:300]
