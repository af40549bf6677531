"""Corpora: the product's own, what is refused as one, and the values that attacks are made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from audit.redactor import find_secret
from governance.kernel.json_schema import compile_schema
from lifecycle.probes import values
from lifecycle.probes.corpus import BadCorpus, corpus_of, load_corpus, product_corpus, read_corpus

LLM = {f"LLM{number:02}" for number in range(1, 11)}
AGENTIC = {f"ASI{number:02}" for number in range(1, 11)}
ATTACK = {
    "id": "one",
    "title": "One",
    "owasp": {"llm": ["LLM01"]},
    "steps": [{"call": {"effect": "write"}}],
}


def corpus(**attack: Any) -> dict[str, Any]:
    return {"corpus": "own", "version": 1, "attacks": [ATTACK | attack]}


def test_product_s_corpus_has_attacks_for_every_class() -> None:
    attacks = product_corpus().attacks

    assert len(attacks) >= 40
    assert {each for attack in attacks for each in attack.llm} == LLM
    assert {each for attack in attacks for each in attack.agentic} == AGENTIC


def test_product_s_attacks_name_no_tool_of_anybody() -> None:
    names = [step.selector.name for attack in product_corpus().attacks for step in attack.steps]

    assert set(names) == {""}


def test_digest_stands_for_what_a_corpus_says_not_for_how() -> None:
    told = corpus()
    as_yaml = (
        "version: 1\ncorpus: own\nattacks:\n- {id: one, title: One, owasp: {llm: [LLM01]},\n"
        "   steps: [{call: {effect: write}}]}\n"
    )

    digests = {
        read_corpus(json.dumps(told).encode(), "a.json").digest,
        read_corpus(as_yaml.encode(), "a.yaml").digest,
    }

    assert digests == {corpus_of(told).digest}
    assert corpus_of(corpus(title="Two")).digest not in digests


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ([], 'own: the whole: [] is not of type "object"'),
        (corpus(owasp={"llm": ["LLM1"]}), 'own: attacks/0/owasp/llm/0: "LLM1" does not match'),
        (corpus(steps=[]), "own: attacks/0/steps: [] has less than 1 item"),
        (corpus(steps=[{"read": "outside"}]), "one: no step calls a tool"),
        (corpus(steps=[{"call": {"effect": "explode"}}]), "own: attacks/0/steps/0"),
        (corpus(surprise=1), "own: attacks/0: Additional properties are not allowed"),
        ({**corpus(), "version": 2}, "own: version: 1 was expected"),
        ({**corpus(), "attacks": [ATTACK, ATTACK]}, "own: two attacks have the id one."),
    ],
)
def test_what_is_no_corpus_is_refused_with_its_place(told: Any, sentence: str) -> None:
    with pytest.raises(BadCorpus) as refused:
        corpus_of(told, "own")

    assert refused.value.message.startswith(sentence)


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"a: [", "own.yaml:2:1: This is not YAML"),
        (b"", "own.yaml"),
        (b"\xff", "own.yaml:1:1: The file is not UTF-8."),
        (b"corpus: &a [*a]", "own.yaml:1:"),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_place(raw: bytes, sentence: str) -> None:
    with pytest.raises(BadCorpus) as refused:
        read_corpus(raw, "own.yaml")

    assert refused.value.message.startswith(sentence)


def test_file_that_is_not_there_is_named() -> None:
    with pytest.raises(BadCorpus, match=r"nowhere\.yaml cannot be read"):
        load_corpus("nowhere.yaml")


@pytest.mark.parametrize(
    "pattern",
    [
        "^CL-[0-9]{5}$",
        "^[0-9]{1,9}$",
        "^metrics/[a-z_]{1,40}$",
        "^20[0-9]{2}-[0-9]{2}$",
        "^https://",
        "^(?:GB|DE)[0-9]{2}[A-Z]{4}$",
        "^[^a-z]+$",
        r"^\d{3}\s\w+\.$",
        "a|b",
        "^x*y+?z{2,}$",
        "",
    ],
)
def test_text_is_made_that_fits_its_pattern(pattern: str) -> None:
    made = values.text_by({"type": "string", "pattern": pattern})

    assert compile_schema({"type": "string", "pattern": pattern}).is_valid(made)


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        "^[",
        "a{99999999999}",
        "(?P<x>a)(?P=x)",
        "\\p{L}" * 50,
        "(" * 9999,
        "((a{999}){999}){999}",
    ],
)
def test_pattern_that_cannot_be_taken_apart_does_no_harm(pattern: str) -> None:
    assert len(values.matching(pattern)) <= values.MAX_TEXT


@pytest.mark.parametrize(
    "rule",
    [
        {"type": "integer", "minimum": 5},
        {"type": "integer", "exclusiveMinimum": 0},
        {"type": "integer", "maximum": -3},
        {"type": "number", "minimum": 0.5, "maximum": 2.5},
        {"type": "boolean"},
        {"type": "null"},
        {"enum": ["b", 3]},
        {"const": {"a": 1}},
        {"type": ["string", "null"], "minLength": 30},
        {"type": "string", "maxLength": 3},
        {"type": "string", "format": "email"},
        {"type": "string", "format": "date-time"},
        {"type": "string", "format": "uuid"},
        {"type": "array", "items": {"type": "integer", "minimum": 2}, "minItems": 3},
        {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
        {},
    ],
)
@pytest.mark.parametrize("high", [False, True])
def test_example_meets_its_rule(rule: dict[str, Any], high: bool) -> None:
    assert compile_schema(rule).is_valid(values.example(rule, high=high))


def test_lists_in_lists_stay_small() -> None:
    rule: dict[str, Any] = {"type": "integer"}
    for _ in range(4):
        rule = {"type": "array", "minItems": 1000, "items": rule}

    assert len(json.dumps(values.example(rule))) < 500_000


def test_closer_bound_holds_whoever_says_it() -> None:
    tool = {"properties": {"n": {"type": "integer", "maximum": 10, "minimum": 1}}}
    row = {"properties": {"n": {"maximum": 99, "minimum": 3}}}

    assert values.merged(tool, row)["n"] == {"type": "integer", "maximum": 10, "minimum": 3}


@pytest.mark.parametrize("how", ["homoglyph", "other_case", "suffix", "namespace", "space"])
@pytest.mark.parametrize("name", ["refund.issue", "___", "X1"])
def test_look_alike_is_another_name(how: str, name: str) -> None:
    assert values.look_alike(name, how) != name


def test_no_key_stands_in_a_file_and_one_is_made_that_is_recognised() -> None:
    made = values.credential()

    assert find_secret({"text": made}) == "$.text"
    assert made not in Path(values.__file__).read_text()
