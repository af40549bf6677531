"""Gates: what may be said of them, and what loosens one."""

from __future__ import annotations

from typing import Any

import pytest

from governance.kernel.errors import Invalid
from registry import gates, services
from registry.models import AllowlistEntry, ProposedChange
from tests.factories.registry import make_agent, make_system, make_tool, security

AMOUNT = {"amount": {"above": 100, "currency": "EUR"}}
FULL: dict[str, Any] = {
    "amount": {"above": 100, "currency": "EUR", "hours": 48},
    "records": {"above": 10},
    "destructive": True,
    "grants": True,
    "domains": True,
    "approvals": 2,
    "groups": ["security"],
    "agents": ["checker"],
}


@pytest.mark.parametrize("value", [{}, AMOUNT, FULL])
def test_these_are_gates(value: dict[str, Any]) -> None:
    assert gates.fault_in(value) == ""


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"amounts": {}},
        {"amount": {"above": 100}},
        {"amount": {"above": -1, "currency": "EUR"}},
        {"amount": {"above": 1.5, "currency": "EUR"}},
        {"amount": {"above": 2**53, "currency": "EUR"}},
        {"amount": {"above": 1, "currency": "euro"}},
        {"amount": {"above": 1, "currency": "EUR", "hours": 0}},
        {"records": 5},
        {"destructive": "yes"},
        {"approvals": 0},
        {"groups": []},
        {"groups": ["platform_admin"]},
        {"groups": ["auditor"]},
        {"agents": ["Not a slug"]},
    ],
)
def test_these_are_none(value: Any) -> None:
    assert gates.fault_in(value) != ""


@pytest.mark.parametrize(
    ("change", "loosens"),
    [
        ({"amount": {"above": 101, "currency": "EUR", "hours": 48}}, True),
        ({"amount": {"above": 99, "currency": "EUR", "hours": 48}}, False),
        ({"amount": {"above": 100, "currency": "USD", "hours": 48}}, True),
        ({"amount": {"above": 100, "currency": "EUR", "hours": 47}}, True),
        ({"amount": {"above": 100, "currency": "EUR", "hours": 49}}, False),
        ({"amount": {"above": 100, "currency": "EUR"}}, True),
        ({"amount": None}, True),
        ({"records": {"above": 11}}, True),
        ({"records": {"above": 9}}, False),
        ({"records": None}, True),
        ({"destructive": False}, True),
        ({"grants": None}, True),
        ({"domains": False}, True),
        ({"approvals": 1}, True),
        ({"approvals": 3}, False),
        ({"groups": ["security", "dpo"]}, True),
        ({"groups": None}, True),
        ({"agents": ["checker", "other"]}, True),
        ({"agents": None}, False),
        ({}, False),
    ],
)
def test_what_loosens_a_gate(change: dict[str, Any], loosens: bool) -> None:
    after = {name: value for name, value in (FULL | change).items() if value is not None}

    assert bool(gates.loosened(FULL, after)) is loosens


def test_a_new_gate_loosens_nothing_but_who_may_answer_it() -> None:
    assert gates.loosened({}, AMOUNT) == []
    assert gates.loosened({}, {"groups": ["dpo"]}) == ["Further groups could approve."]


@pytest.mark.django_db
def test_a_gate_needs_what_it_compares() -> None:
    with pytest.raises(Invalid) as refusal:
        make_tool(gates=AMOUNT)
    assert refusal.value.fields["gates"] == [
        "The gate amount needs a tool that declares its amount parameter."
    ]
    with pytest.raises(Invalid):
        make_tool(gates={"domains": True})
    with pytest.raises(Invalid):
        make_tool(gates={"records": {"above": 1}})

    assert make_tool(gates=AMOUNT, amount_parameter="amount").gates == AMOUNT


@pytest.mark.django_db
def test_loosening_the_gate_of_a_live_tool_waits_for_a_second_person() -> None:
    tool = make_tool(gates=AMOUNT, amount_parameter="amount")
    make_agent(tool=tool)
    looser = {"amount": {"above": 101, "currency": "EUR"}}
    tighter = {"amount": {"above": 99, "currency": "EUR"}}

    waiting = services.save_tool(name=tool.name, by=security(), gates=looser)
    tool.refresh_from_db()

    assert (len(waiting.proposed), tool.gates) == (1, AMOUNT)
    ProposedChange.objects.all().delete()
    at_once = services.save_tool(name=tool.name, by=security(), gates=tighter)
    tool.refresh_from_db()
    assert (at_once.proposed, tool.gates) == ((), tighter)


@pytest.mark.django_db
def test_loosening_the_gate_of_a_confidential_row_waits_for_a_second_person() -> None:
    tool = make_tool(make_system(tier="confidential"), amount_parameter="amount")
    agent = make_agent(tool=tool, tier="confidential")
    services.set_allowlist_entry(agent_id=agent.pk, tool=tool, by=agent.owner, gates=AMOUNT)
    entry = AllowlistEntry.objects.get(agent=agent, tool=tool)
    assert entry.gates == AMOUNT

    kept = services.set_allowlist_entry(agent_id=agent.pk, tool=tool, by=agent.owner)
    gone = services.set_allowlist_entry(agent_id=agent.pk, tool=tool, by=agent.owner, gates={})

    entry.refresh_from_db()
    assert (kept.changed, entry.gates, len(gone.proposed)) == ((), AMOUNT, 1)
