"""What a sub-agent answers, against what the row of the agent that asked declares for it.

Every reason is found, so that whoever answers can put all of it right at once. None repeats what
the answer says: names that the schema does not declare are shown as `*`, since whoever reads the
reasons may be a model.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from authz.engine.schema import ParameterSchema, parameter_schema
from authz.engine.signatures import search
from authz.engine.types import Input, Json
from governance.kernel.json_schema import SchemaError
from governance.kernel.tiers import rank

SCHEMA, TIER, SYSTEM = "result.schema", "result.tier", "result.system"
SECRET, SIGNATURE = "result.secret", "result.signature"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an answer is not taken in: a code, where (RFC 6901, "" for the whole), a sentence."""

    code: str
    pointer: str
    sentence: str

    def document(self) -> dict[str, Json]:
        return {"code": self.code, "pointer": self.pointer, "sentence": self.sentence}


@dataclass(frozen=True, slots=True)
class Declared:
    """What the row takes in: answers that meet `schema`, from these systems, `tier` at the most."""

    schema: Mapping[str, Json]
    tier: str
    systems: Collection[str]


def reasons_against(
    value: Json,
    declared: Declared,
    *,
    label: str,
    inputs: Sequence[Input],
    signatures: Sequence[Mapping[str, Json]],
) -> list[Reason]:
    """Why this answer is not taken in, [] where it is.

    `label` is what the runs behind it have read, `inputs` what the answer says it is made of,
    `signatures` the denied ones. Raises `SignatureError` where one of those is broken.
    """
    try:
        schema = parameter_schema(declared.schema)
    except SchemaError as error:
        return [Reason(SCHEMA, "", f"The row's own schema does not hold. {error.message}")]
    return [
        *_of_schema(value, schema),
        *_of_scope(declared, label, inputs),
        *_of_content(value, schema, signatures),
    ]


def _of_schema(value: Json, schema: ParameterSchema) -> Iterator[Reason]:
    for one in schema.findings(value):
        yield Reason(SCHEMA, one.pointer, one.sentence)


def _of_scope(declared: Declared, label: str, inputs: Sequence[Input]) -> Iterator[Reason]:
    if rank(label) > rank(declared.tier):
        yield Reason(
            TIER,
            "",
            f"The runs behind it have read {label} data, and the row takes in {declared.tier} "
            "at the most.",
        )
    for number, each in enumerate(inputs):
        if each.system not in declared.systems:
            yield Reason(
                SYSTEM,
                f"/inputs/{number}",
                "It is made of a system that nothing of what was handed over touches.",
            )


def _of_content(
    value: Json, schema: ParameterSchema, signatures: Sequence[Mapping[str, Json]]
) -> Iterator[Reason]:
    """Signatures of single tools are for their calls; all others are for what is read as well."""
    concerned = [one for one in signatures if not one.get("tools")]
    found = search(concerned).find({"result": value})
    if found is not None:
        yield Reason(
            SIGNATURE,
            schema.pointer(found.path[1:]),
            f"What stands there has the denied signature {found.slug}.",
        )
