"""Limits over a chain: splitting a call over sub-agents gets nobody more than one call would."""

import time
from dataclasses import dataclass
from typing import Any

import pytest

from authz.decide import Answer, decide
from authz.engine.types import Effect
from authz.models import Counter, Delegation, Movement, Page, Reservation, Role, Stop
from authz.outcomes import read_report, report_outcome
from authz.services import delegations
from authz.services.delegations import HandOver
from authz.services.spending import free_reservation
from registry.models import Agent, AllowlistEntry, Client
from tests.authz.test_limits import at_once, gated_desk
from tests.factories.authz import (
    Desk,
    caller_of,
    declare,
    make_agent,
    make_client,
    make_desk,
    make_person,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _one_window() -> None:
    """No hour, and so no day or month, turns while a test counts in it."""
    left = 3600 - time.time() % 3600
    if left < 20:
        time.sleep(left)


@dataclass
class Chain:
    """A desk that hands the same tool on to sub-agents of other owners."""

    desk: Desk
    subs: list[tuple[Agent, Client, Delegation]]

    def ask(self, number: int, amount: int = 400, **changed: Any) -> Answer:
        agent, client, link = self.subs[number]
        parameters = {"claim": f"CL-{number}-{time.monotonic_ns()}", "amount": amount}
        if self.desk.tool.currency_parameter:
            parameters["currency"] = "EUR"
        ask = self.desk.ask(
            **{
                "agent": agent.slug,
                "delegation": str(link.pk),
                "parameters": parameters,
                **changed,
            }
        )
        (answer,) = decide([ask], caller_of(client))
        return answer

    def code(self, number: int, amount: int = 400) -> str:
        return self.ask(number, amount).decision.code


def sub_of(desk: Desk, giver: Agent, **fields: Any) -> tuple[Agent, Client]:
    limits = {"rate_per_minute": 10_000, "rate_per_hour": 10_000, "spend_cap_minor": 10**9}
    agent = make_agent(make_person(), **(limits | fields))
    AllowlistEntry.objects.create(agent=agent, tool=desk.tool)
    Role.agents.through.objects.create(role=desk.role, agent=agent)
    declare(giver, agent)
    return agent, make_client(agent=agent)


def hand(desk: Desk, client: Client, to: Agent, parent: Delegation | None = None) -> Delegation:
    wanted = HandOver(
        receiver=to.slug, tools={desk.tool.name: {}}, parent=parent.pk if parent else None
    )
    return delegations.delegate(caller=caller_of(client), wanted=wanted)


def chain_of(desk: Desk, many: int = 3) -> Chain:
    subs = [sub_of(desk, desk.agent) for _ in range(many)]
    return Chain(desk, [(a, c, hand(desk, desk.client, a)) for a, c in subs])


def counter(agent: Agent) -> Counter:
    return Counter.objects.get(key=f"agent:{agent.slug}")


# Sums under a gate: promise 20 over sub-agents


def test_three_sub_agents_do_not_pass_below_the_gate() -> None:
    chain = chain_of(gated_desk(above=1000))

    assert [chain.code(number) for number in range(3)] == ["", "", "gate.sum"]
    assert Movement.objects.count() == 2
    # What is small enough for what is left goes on.
    assert chain.code(2, 200) == ""


def test_what_the_giver_moves_itself_and_through_others_is_one_sum() -> None:
    desk = gated_desk(above=1000)
    chain = chain_of(desk, 1)
    own = {"claim": "CL-0", "amount": 600, "currency": "EUR"}

    assert chain.code(0, 400) == ""
    (answer,) = decide([desk.ask(parameters=own)], desk.caller)
    assert answer.decision.code == ""
    (answer,) = decide([desk.ask(parameters={**own, "amount": 1})], desk.caller)
    assert answer.decision.code == "gate.sum"
    assert chain.code(0, 1) == "gate.sum"


def test_a_sub_agent_of_a_sub_agent_counts_with_everyone_above() -> None:
    desk = gated_desk(above=1000)
    chain = chain_of(desk, 1)
    middle, middle_client, link = chain.subs[0]
    last, last_client = sub_of(desk, middle)
    chain.subs.append((last, last_client, hand(desk, middle_client, last, link)))

    assert chain.code(1, 900) == ""
    assert chain.code(0, 101) == "gate.sum"
    (moved,) = Movement.objects.all()
    owners = sorted([desk.owner.pid, middle.owner.pid])
    assert (moved.family, moved.givers) == (last.owner.pid, owners)


def test_two_agents_of_one_owner_add_to_one_sum_once() -> None:
    desk = gated_desk(above=1000)
    sub, client = sub_of(desk, desk.agent)
    Agent.objects.filter(pk=sub.pk).update(owner=desk.owner)
    chain = Chain(desk, [(sub, client, hand(desk, desk.client, sub))])

    assert [chain.code(0, 500), chain.code(0, 500), chain.code(0, 1)] == ["", "", "gate.sum"]
    assert [moved.givers for moved in Movement.objects.all()] == [[], []]


def test_a_gate_in_the_row_of_the_giver_holds_its_sub_agents() -> None:
    desk = gated_desk(above=10**9)
    gate = {"amount": {"above": 1000, "currency": "EUR"}}
    AllowlistEntry.objects.filter(agent=desk.agent).update(gates=gate)
    chain = chain_of(desk, 2)

    assert [chain.code(0, 600), chain.code(1, 600)] == ["", "gate.sum"]


def test_what_a_sub_agent_moves_for_itself_is_not_its_givers() -> None:
    desk = gated_desk(above=1000)
    chain = chain_of(desk, 1)
    agent, client, _ = chain.subs[0]
    parameters = {"claim": "CL-9", "amount": 900, "currency": "EUR"}
    (own,) = decide([desk.ask(agent=agent.slug, parameters=parameters)], caller_of(client))

    assert own.decision.code == ""
    # Its own sum is used up; the giver's is not.
    assert chain.code(0, 900) == "gate.sum"
    (answer,) = decide([desk.ask(parameters={**parameters, "claim": "CL-8"})], desk.caller)
    assert answer.decision.code == ""


def test_sums_hold_while_sub_agents_race() -> None:
    chain = chain_of(gated_desk(above=1000), 4)
    for number in range(4):
        chain.code(number, 0)

    found = at_once(16, lambda n: chain.code(n % 4, 100))

    assert sorted(found) == [""] * 10 + ["gate.sum"] * 6


# Calls, records, money


def test_calls_of_sub_agents_use_up_the_rate_of_the_giver() -> None:
    desk = make_desk(agent_fields={"rate_per_minute": 1000, "rate_per_hour": 3})
    chain = chain_of(desk)

    found = [chain.ask(number) for number in (0, 1, 2, 0)]

    assert [one.decision.code for one in found] == ["", "", "", "rate.hour"]
    assert found[-1].decision.detail["giver"] == desk.agent.slug
    assert counter(desk.agent).hour_calls == 3
    assert counter(chain.subs[0][0]).hour_calls == 1
    page = Page.objects.get()
    assert (page.kind, page.agent) == ("rate", desk.agent.slug)
    (answer,) = decide([desk.ask()], desk.caller)
    assert answer.decision.code == "rate.hour"


def test_a_limit_of_the_givers_entry_counts_too() -> None:
    desk = make_desk()
    AllowlistEntry.objects.filter(agent=desk.agent).update(rate_per_hour=1)
    chain = chain_of(desk, 2)

    assert [chain.code(0), chain.code(1)] == ["", "rate.hour"]


def test_records_of_sub_agents_use_up_the_quota_of_the_giver() -> None:
    desk = make_desk()
    AllowlistEntry.objects.filter(agent=desk.agent).update(write_quota_per_hour=2)
    chain = chain_of(desk)

    assert [chain.code(number) for number in range(3)] == ["", "", "quota.hour"]
    assert Counter.objects.get(key=f"entry:{desk.agent.slug}/{desk.tool.name}").hour_records == 2


def test_money_of_sub_agents_comes_out_of_the_cap_of_the_giver() -> None:
    desk = make_desk(tool_fields={"cost_minor": 100}, agent_fields={"spend_cap_minor": 200})
    chain = chain_of(desk)

    found = [chain.ask(number) for number in range(3)]

    assert [one.decision.code for one in found] == ["", "", "spend.cap"]
    assert counter(desk.agent).day_spent == 200
    assert [one.givers for one in Reservation.objects.all()] == [{desk.agent.slug: 100}] * 2
    # It is the giver that has spent its cap, so it is the giver that stops.
    assert list(Stop.objects.values_list("agent", flat=True)) == [desk.agent.slug]


def test_what_a_call_has_cost_is_settled_with_everyone() -> None:
    desk = make_desk(tool_fields={"cost_minor": 100}, agent_fields={"spend_cap_minor": 1000})
    chain = chain_of(desk, 1)
    sub, client, _ = chain.subs[0]
    answer = chain.ask(0)

    body = {"outcome": "success", "cost_minor": 30, "currency": "EUR"}
    report_outcome(decision_id=answer.id, caller=caller_of(client), report=read_report(body))

    assert (counter(sub).day_spent, counter(desk.agent).day_spent) == (30, 30)


def test_money_of_a_held_call_is_given_back_to_everyone() -> None:
    desk = make_desk(tool_fields={"cost_minor": 100}, agent_fields={"spend_cap_minor": 1000})
    AllowlistEntry.objects.filter(agent=desk.agent).update(write_quota_per_hour=0)
    chain = chain_of(desk, 1)
    sub, _, _ = chain.subs[0]

    held = chain.ask(0)
    assert held.decision.effect is Effect.HOLD
    assert (counter(sub).day_spent, counter(desk.agent).day_spent) == (100, 100)
    assert free_reservation(decision=held.id)
    assert (counter(sub).day_spent, counter(desk.agent).day_spent) == (0, 0)


def test_a_denied_call_costs_nobody_anything() -> None:
    desk = make_desk(tool_fields={"cost_minor": 100})
    chain = chain_of(desk, 1)
    delegations.end_delegation(delegation_id=chain.subs[0][2].pk, caller=desk.caller)

    assert chain.code(0) == "delegation.ended"
    assert not Counter.objects.filter(key__startswith="agent:").exists()
