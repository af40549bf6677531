"""A corpus of attacks, read and checked. Its format: docs/reference/probe-corpus.md.

An attack names no tool of an installation. It says what kind of tool it wants (`Selector`) and
what it would send (`fill`), so that one attack is aimed at whichever tools a row has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import rfc8785

from governance.kernel import json_schema
from governance.kernel.errors import Invalid
from lifecycle.apply.nodes import read_yaml

PRODUCT = Path(__file__).with_name("attacks.yaml")
MAX_ATTACKS = 5_000
MAX_BYTES = 8 * 1024 * 1024
MOST_TOLD = 5

EFFECTS = (
    "read",
    "write",
    "destructive",
    "financial",
    "permission_grant",
    "external_communication",
)
MEANINGS = ("amount", "currency", "count", "recipient", "resource", "secret", "text")
# Names of tools that an attacker makes up from one that the row has.
SPELLINGS = ("homoglyph", "other_case", "suffix", "namespace", "space", "registered")
# Where a run gets the attacker's text from.
SOURCES = ("outside", "report", "inside")
FILLERS = (
    "maximum", "beyond", "negative", "outside", "credential", "oversize", "text", "base64", "hex",
    "url", "tags", "full_width", "zero_width", "own",
)  # fmt: skip
PLANS = ("open", "pinned", "reads")

Json = Any
Fill = str | Mapping[str, Json]


class BadCorpus(Invalid):
    """This is not a corpus of attacks."""

    code = "bad_corpus"


@dataclass(frozen=True, slots=True)
class Selector:
    """Which tools a step can be aimed at; what is left empty asks for nothing."""

    effects: frozenset[str] = frozenset()
    has: frozenset[str] = frozenset()
    name: str = ""
    spelled: str = ""
    fetches: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that the run does: it reads the attacker's text, or makes an injected call.

    `source` is where a read gets its text from, "" for a call. `untrusted` says that the result
    is reported back as hostile. `goal` marks the calls that the attack is about.
    """

    source: str = ""
    selector: Selector = Selector()
    text: str = ""
    fill: Mapping[str, Fill] = field(default_factory=dict)
    parameters: Mapping[str, Json] | None = None
    untrusted: bool = False
    goal: bool = False
    times: int = 1
    given: Mapping[str, Json] = field(default_factory=dict)

    @property
    def is_read(self) -> bool:
        return bool(self.source)


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack: a session's steps, and what to do where it gets through."""

    id: str
    title: str
    llm: tuple[str, ...]
    agentic: tuple[str, ...]
    remedy: str
    steps: tuple[Step, ...]
    minor: bool = False
    plan: str | Sequence[Json] | None = None

    @property
    def aim(self) -> Step:
        """The step that is aimed at every tool that fits: the last one of the goal."""
        return [step for step in self.steps if step.goal][-1]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Attacks under one name. `digest` stands for exactly these."""

    name: str
    attacks: tuple[Attack, ...]
    digest: str


@cache
def product_corpus() -> Corpus:
    """The attacks that Muster brings along: they gate going live."""
    return read_corpus(PRODUCT.read_bytes(), PRODUCT.name)


def load_corpus(path: str) -> Corpus:
    """A corpus from a file of YAML or JSON; raises `BadCorpus`."""
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise BadCorpus(f"{path} cannot be read: {error.strerror}.") from error
    return read_corpus(raw, path)


def read_corpus(raw: bytes, file: str) -> Corpus:
    """The corpus in `raw`; raises `BadCorpus` with what is wrong and where."""
    if len(raw) > MAX_BYTES:
        raise BadCorpus(f"{file} is larger than {MAX_BYTES // 1024**2} MiB.")
    node, problems = read_yaml(raw, file)
    if problems or node is None:
        raise BadCorpus("\n".join(map(str, problems[:MOST_TOLD])) or f"{file} is empty.")
    return corpus_of(node.plain(), file)


def corpus_of(document: Json, file: str = "corpus") -> Corpus:
    """The corpus that a document says; raises `BadCorpus`."""
    errors = list(json_schema.compile_schema(SCHEMA).iter_errors(document))
    if errors:
        told = [f"{file}: {_place(error)}: {error.message[:200]}" for error in errors[:MOST_TOLD]]
        raise BadCorpus("\n".join(told))
    attacks = tuple(_attack(each) for each in document["attacks"])
    _check_once([attack.id for attack in attacks], file)
    digest = hashlib.sha256(rfc8785.dumps(document)).hexdigest()
    return Corpus(str(document["corpus"]), attacks, digest)


def _place(error: Any) -> str:
    return "/".join(map(str, error.instance_path)) or "the whole"


def _check_once(ids: Sequence[str], file: str) -> None:
    seen: set[str] = set()
    for each in ids:
        if each in seen:
            raise BadCorpus(f"{file}: two attacks have the id {each}. Give one another id.")
        seen.add(each)


def _attack(told: Mapping[str, Json]) -> Attack:
    owasp = told["owasp"]
    steps = [_step(each) for each in told["steps"]]
    if not any(step.goal for step in steps):
        raise BadCorpus(f"{told['id']}: no step calls a tool, so nothing would be tested.")
    return Attack(
        id=told["id"],
        title=told["title"],
        llm=tuple(owasp.get("llm", ())),
        agentic=tuple(owasp.get("agentic", ())),
        remedy=told.get("remedy", "Narrow the row, or have a policy forbid the call."),
        steps=tuple(steps),
        minor=bool(told.get("minor", False)),
        plan=told.get("plan"),
    )


def _step(told: Mapping[str, Json]) -> Step:
    read = told.get("read")
    wanted = told["call"] if read is None else read
    return Step(
        source="" if read is None else read if isinstance(read, str) else "named",
        selector=Selector() if isinstance(wanted, str) else _selector(wanted),
        text=told.get("text", ""),
        fill=told.get("fill", {}),
        parameters=told.get("parameters"),
        untrusted=told.get("result") == "untrusted",
        goal=bool(told.get("goal", read is None)),
        times=told.get("times", 1),
        given=told.get("with", {}),
    )


def _selector(told: Mapping[str, Json]) -> Selector:
    effects = told.get("effect", ())
    return Selector(
        effects=frozenset([effects] if isinstance(effects, str) else effects),
        has=frozenset(told.get("has", ())),
        name=told.get("name", ""),
        spelled=told.get("spelled", ""),
        fetches=bool(told.get("fetches", False)),
    )


def _object(required: Sequence[str], **properties: Json) -> dict[str, Json]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


_TEXT = {"type": "string", "maxLength": 20_000}
_EFFECT = {"enum": list(EFFECTS)}
_SELECTOR = _object(
    (),
    effect={"oneOf": [_EFFECT, {"type": "array", "items": _EFFECT}]},
    has={"type": "array", "items": {"enum": list(MEANINGS)}},
    name={"type": "string", "minLength": 1, "maxLength": 200},
    spelled={"enum": list(SPELLINGS)},
    fetches={"const": True},
)
_FILL = {
    "oneOf": [
        {"enum": list(FILLERS)},
        _object(("value",), value={}),
        _object(("text",), text=_TEXT, written={"enum": list(FILLERS)}),
    ]
}
_STEP = {
    **_object(
        (),
        read={"oneOf": [{"enum": list(SOURCES)}, _SELECTOR]},
        call=_SELECTOR,
        text=_TEXT,
        fill={
            "type": "object",
            "propertyNames": {"enum": [*MEANINGS, "undeclared"]},
            "additionalProperties": _FILL,
        },
        parameters={"type": "object"},
        result={"enum": ["trusted", "untrusted"]},
        goal={"type": "boolean"},
        times={"type": "integer", "minimum": 1, "maximum": 1_000_000},
        **{
            "with": _object(
                (),
                user={"enum": ["stranger", "owner"]},
                chain={"type": "array", "items": {"type": "string", "maxLength": 60}},
                session={"enum": ["unknown", "other", "ended", "unnamed"]},
                resource={"enum": ["other"]},
                untrusted={"type": "array", "items": {"enum": list(MEANINGS)}},
            )
        },
    ),
    "oneOf": [{"required": ["read"]}, {"required": ["call"]}],
}
_ATTACK = _object(
    ("id", "title", "owasp", "steps"),
    id={"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"},
    title={"type": "string", "minLength": 1, "maxLength": 160},
    owasp=_object(
        (),
        llm={"type": "array", "items": {"type": "string", "pattern": "^LLM[0-9]{2}$"}},
        agentic={"type": "array", "items": {"type": "string", "pattern": "^ASI[0-9]{2}$"}},
    ),
    remedy={"type": "string", "maxLength": 400},
    minor={"type": "boolean"},
    plan={
        "oneOf": [
            {"enum": list(PLANS)},
            {"type": "array", "maxItems": 100, "items": {"type": "object"}},
        ]
    },
    steps={"type": "array", "minItems": 1, "maxItems": 50, "items": _STEP},
)
SCHEMA: dict[str, Json] = _object(
    ("corpus", "version", "attacks"),
    corpus={"type": "string", "minLength": 1, "maxLength": 60},
    version={"const": 1},
    attacks={"type": "array", "minItems": 1, "maxItems": MAX_ATTACKS, "items": _ATTACK},
)
