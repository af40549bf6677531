"""The gate: what it compares, and that it holds what it cannot compare."""

from __future__ import annotations

from typing import Any

import pytest

from authz.engine.case import Case
from authz.engine.destinations import domains_of
from authz.engine.gate import gate, sums_of
from authz.engine.projection import major
from authz.engine.types import Mode, Status, Step
from tests.authz.desk import NOW, a_request, documents, snapshot


def case(tool: dict[str, Any], entry: dict[str, Any] | None = None, **given: Any) -> Case:
    """A call of the desk agent's `crm.find` with this said of the tool, the entry and the agent."""
    docs = documents()
    docs["world"]["rates"] = given.pop("rates", {})
    agent = docs["agents"]["desk"]
    agent["domains"] = given.pop("domains", [])
    agent["allowlist"]["crm.find"] = {"narrowing": {}, "gates": entry or {}}
    docs["world"]["tools"]["crm.find"] |= {"money": "EUR", "secret": []} | tool
    environment = given.pop("environment", "production")
    docs["world"]["systems"]["crm"]["environment"] = environment
    request = a_request(**given)
    return Case(request, snapshot(docs, request), NOW, Mode.ENFORCE)


def told(*args: Any, **given: Any) -> str:
    return gate(case(*args, **given)).code


AMOUNT = {
    "amount": "sum",
    "currency": "in",
    "gates": {"amount": {"above": 10_000, "currency": "EUR"}},
    "schema": {"type": "object", "properties": {"sum": {"type": "number"}, "in": {}}},
}


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"sum": 100}, ""),
        ({"sum": 100.0}, ""),
        ({"sum": 100.001}, "gate.amount"),
        ({"sum": 100.01}, "gate.amount"),
        ({"sum": -100.01}, "gate.amount"),
        ({"sum": "100.01"}, "gate.amount"),
        ({"sum": "1e9"}, "gate.amount_unknown"),
        ({"sum": None}, "gate.amount_unknown"),
        ({"sum": True}, "gate.amount_unknown"),
        ({"sum": [1]}, "gate.amount_unknown"),
        ({}, "gate.amount_unknown"),
        ({"sum": 100, "in": "EUR"}, ""),
        ({"sum": 200, "in": "USD"}, ""),
        ({"sum": 200.01, "in": "USD"}, "gate.amount"),
        ({"sum": 1, "in": "eur"}, "gate.currency"),
        ({"sum": 1, "in": "XTS"}, "gate.currency"),
        ({"sum": 1, "in": 5}, "gate.currency"),
    ],
)
def test_amounts(parameters: dict[str, Any], code: str) -> None:
    rates = {"EUR": "1", "USD": "0.5"}

    assert told(AMOUNT, parameters=parameters, rates=rates) == code


def test_without_rates_another_currency_is_held() -> None:
    assert told(AMOUNT, parameters={"sum": 1, "in": "USD"}) == "gate.currency"


def test_amounts_in_minor_units_are_taken_as_they_are() -> None:
    schema = {"type": "object", "properties": {"sum": {"x-muster-unit": "minor"}}}

    assert told(AMOUNT | {"schema": schema}, parameters={"sum": 10_000}) == ""
    assert told(AMOUNT | {"schema": schema}, parameters={"sum": 10_001}) == "gate.amount"


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"ids": ["a", "b"]}, ""),
        ({"ids": ["a", "b", "c"]}, "gate.records"),
        ({"ids": {"a": 1, "b": 2, "c": 3}}, "gate.records"),
        ({"ids": 2}, ""),
        ({"ids": 3}, "gate.records"),
        ({"ids": -3}, "gate.records"),
        ({"ids": "many"}, "gate.records_unknown"),
        ({"ids": True}, "gate.records_unknown"),
        ({}, "gate.records_unknown"),
    ],
)
def test_records(parameters: dict[str, Any], code: str) -> None:
    tool = {"count": "ids", "gates": {"records": {"above": 2}}}

    assert told(tool, parameters=parameters) == code


@pytest.mark.parametrize(
    ("effect", "environment", "code"),
    [
        ("destructive", "production", "gate.destructive"),
        ("destructive", "", "gate.destructive"),
        ("destructive", "staging", ""),
        ("write", "production", ""),
    ],
)
def test_destruction_waits_in_production(effect: str, environment: str, code: str) -> None:
    tool = {"effect": effect, "gates": {"destructive": True}}

    assert told(tool, environment=environment) == code


def test_rights_wait() -> None:
    assert told({"effect": "permission_grant", "gates": {"grants": True}}) == "gate.grant"
    assert told({"effect": "permission_grant", "gates": {"grants": False}}) == ""
    assert told({"effect": "write", "gates": {"grants": True}}) == ""


def test_the_row_can_only_add_to_what_the_tool_says() -> None:
    tool = AMOUNT | {"gates": {"amount": {"above": 10_000, "currency": "EUR"}, "approvals": 2}}
    entry = {"amount": {"above": 5_000, "currency": "EUR"}, "groups": ["dpo"], "agents": ["a"]}

    by_row = gate(case(tool, entry, parameters={"sum": 60}))
    by_both = gate(case(tool, entry, parameters={"sum": 600}))

    assert _terms(by_row) == ("gate.amount", 1, ["dpo"], ["a"])
    assert by_row.detail["limit"] == "50.00 EUR"
    assert _terms(by_both) == ("gate.amount", 2, ["dpo"], [])


def _terms(step: Step) -> tuple[str, int, list[str], list[str]]:
    detail = step.detail
    return step.code, detail["approvals"], detail["groups"], detail["agents"]


def test_a_person_and_a_tool_without_gates_wait_for_nobody() -> None:
    assert gate(case({})).status is Status.PASSED
    assert gate(case(AMOUNT, kind="person", person="p_ann")).status is Status.NOT_APPLICABLE


def test_what_a_step_says_names_no_value_that_was_sent() -> None:
    step = gate(case(AMOUNT, parameters={"sum": 123_456, "in": "EUR"}))

    assert "123" not in str(step.detail)


def test_sums_are_handed_over_also_of_what_passes() -> None:
    rates = {"EUR": "1", "USD": "0.5"}
    passing = case(AMOUNT, parameters={"sum": 10, "in": "USD"}, rates=rates)

    (one,) = sums_of(passing)

    assert (one["amount"], one["currency"], one["above"], one["hours"]) == (500, "EUR", 10_000, 24)
    assert (one["family"], one["tool"]) == (passing.subject["owner"], "crm.find")
    assert sums_of(case(AMOUNT, parameters={})) == []
    assert sums_of(case({})) == []


def test_amounts_are_written_as_people_write_them() -> None:
    told = [major(1_234_567, "EUR"), major(500, "JPY"), major(1_500, "KWD")]

    assert told == ["12,345.67 EUR", "500 JPY", "1.500 KWD"]


# Domains

TO = {"recipient": "to"}


@pytest.mark.parametrize(
    ("to", "domains"),
    [
        ("ann@example.com", {"example.com"}),
        ("Ann@EXAMPLE.com.", {"example.com"}),
        ("Ann <ann@example.com>", {"example.com"}),
        ("a@one.example, b@two.example", {"one.example", "two.example"}),
        ('"a@one.example" <b@two.example>', {"one.example", "two.example"}),
        ("a@one.example@two.example", {"one.example", "two.example"}),
        (["a@one.example", "b@two.example"], {"one.example", "two.example"}),
        ("https://hooks.example.com/x", {"hooks.example.com"}),
        ("https://ok.example@evil.example/", {"evil.example"}),
        ("https://evil.example#@ok.example", {"evil.example"}),
        ("example.com", {"example.com"}),
        ("ann@bücher.example", {"xn--bcher-kva.example"}),
        ("ann@ｅｘａｍｐｌｅ.com", {"example.com"}),
        ("ann@exa\u200bmple.com", None),
        ("ann@localhost", None),
        ("ann@", None),
        ("@", None),
        ("#general", None),
        ("+45 12 34 56 78", None),
        ("https://", None),
        ("https://[::1", None),
        ("", None),
        ([], set()),
        (None, None),
        (5, None),
        ({"email": "ann@example.com"}, None),
        (["ann@example.com", 5], None),
        ("ann@-example.com", None),
        ("ann@" + "a" * 300 + ".com", None),
    ],
)
def test_domains_of_recipients(to: Any, domains: set[str] | None) -> None:
    assert domains_of(TO, {"to": to}) == (None if domains is None else frozenset(domains))


def test_a_copy_is_a_recipient_and_a_text_is_none() -> None:
    parameters = {
        "to": "ann@one.example",
        "cc": ["eve@two.example"],
        "text": "Write to bob@three.example, please.",
        "reply_to": "eve@four.example",
    }

    assert domains_of(TO, parameters) == {"one.example", "two.example", "four.example"}


def test_a_tool_without_a_recipient_names_none() -> None:
    assert domains_of({"recipient": ""}, {"text": "hello"}) is None
    assert domains_of(TO, {}) is None


MAIL = {"effect": "external_communication", "recipient": "to", "gates": {"domains": True}}


@pytest.mark.parametrize(
    ("to", "code"),
    [
        ("ann@known.example", ""),
        (["ann@known.example", "bob@known.example"], ""),
        (["ann@known.example", "eve@new.example"], "gate.domain"),
        ("eve@sub.known.example", "gate.domain"),
        ("eve@known.example.evil.example", "gate.domain"),
        ("nobody", "gate.domain"),
    ],
)
def test_new_domains_wait(to: Any, code: str) -> None:
    assert told(MAIL, parameters={"to": to}, domains=["known.example"]) == code
