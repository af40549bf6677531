"""Registration, from the form to the first secret."""

from __future__ import annotations

from typing import Any

import pytest

from authz.models import Role
from governance.kernel.errors import Invalid
from lifecycle import services
from lifecycle.apply.execute import Outcome
from registry.errors import Incomplete, ReachChanged
from registry.models import Agent, Clearance, Client, Person, Tool, UnregisteredCaller
from registry.reach import reach_of
from registry.selectors import agent_by_slug
from registry.services import note_caller
from tests.lifecycle.inventory import ADMIN, OWNER, SECOND

FACTS = {
    "purpose": "Reads tickets.",
    "rate_per_minute": 10,
    "rate_per_hour": 100,
    "spend_cap_minor": 0,
}


@pytest.fixture
def owner(loaded: Outcome) -> Person:
    return Person.objects.get(email=OWNER)


@pytest.fixture
def tool(loaded: Outcome) -> Tool:
    return Tool.objects.get(name="ticket.reply")


def register(owner: Person, tool: Tool, **more: Any) -> Agent:
    given = {"slug": "newcomer", "facts": FACTS, "tools": [tool], "roles": []}
    return services.register_agent(by=owner, **(given | more))


def test_registered_agent_is_a_draft_with_its_tools_and_roles(owner: Person, tool: Tool) -> None:
    agent = register(owner, tool, roles=[Role.objects.get(slug="support")])

    assert (agent.state, agent.owner, agent.name) == ("draft", owner, "Newcomer")
    assert [entry.tool for entry in agent.allowlist.all()] == [tool]
    assert [role.slug for role in agent.roles.all()] == ["support"]


def test_nothing_is_registered_when_a_part_is_refused(owner: Person, tool: Tool) -> None:
    system = Tool.objects.get(name="refund.issue").system
    unsaved = Tool(name="not.saved", system=system, effect="read")

    with pytest.raises(ValueError, match="must be saved"):
        register(owner, tool, tools=[tool, unsaved])

    assert not Agent.objects.filter(slug="newcomer").exists()


def test_taken_name_is_told_beside_its_field(owner: Person, tool: Tool) -> None:
    with pytest.raises(Invalid) as caught:
        register(owner, tool, slug="ticket-reader")

    assert caught.value.fields == {"slug": ["Agent with this Slug already exists."]}


def test_attesting_makes_it_live_with_one_secret(owner: Person, tool: Tool) -> None:
    agent = register(owner, tool)
    digest = reach_of(agent_by_slug(agent.slug)).digest

    issued = services.attest_agent(agent_id=agent.pk, by=owner, reach_digest=digest)

    agent.refresh_from_db()
    assert agent.state == "active"
    assert agent.clearances.get().basis == Clearance.Basis.ATTESTATION
    assert Client.objects.get(agent=agent).client_id == issued.client_id
    assert issued.secret not in repr(issued)
    assert issued.secret not in str(Client.objects.filter(agent=agent).values())


def test_attesting_what_has_changed_is_refused_and_nothing_is_kept(
    owner: Person, tool: Tool
) -> None:
    agent = register(owner, tool)

    with pytest.raises(ReachChanged):
        services.attest_agent(agent_id=agent.pk, by=owner, reach_digest="0" * 64)

    agent.refresh_from_db()
    assert (agent.state, Client.objects.filter(agent=agent).count()) == ("draft", 0)


def test_attesting_without_limits_names_what_is_missing(owner: Person, tool: Tool) -> None:
    agent = register(owner, tool, facts={"purpose": "Reads tickets."})

    with pytest.raises(Incomplete) as caught:
        services.attest_agent(agent_id=agent.pk, by=owner)

    assert set(caught.value.fields) == {"rate_per_minute", "rate_per_hour", "spend_cap_minor"}


def test_another_secret_ends_the_first(owner: Person, tool: Tool) -> None:
    agent = register(owner, tool)
    first = services.attest_agent(agent_id=agent.pk, by=owner)

    second = services.new_secret(agent_id=agent.pk, by=owner)

    assert second.client_id == first.client_id
    assert second.secret != first.secret
    assert Client.objects.get(agent=agent).version == first.client.version + 1


def test_security_clears_what_is_confidential(owner: Person) -> None:
    agent = register(owner, Tool.objects.get(name="refund.issue"))
    services.register.submit_for_review(agent_id=agent.pk, by=owner)

    cleared = services.register.approve_agent(
        agent_id=agent.pk, by=Person.objects.get(email=SECOND)
    )

    assert cleared.state == "active"
    assert agent.clearances.get().basis == Clearance.Basis.SECURITY


def test_changing_a_live_agent_narrows_at_once_and_widens_with_two(
    owner: Person, tool: Tool
) -> None:
    agent = register(owner, tool)
    services.attest_agent(agent_id=agent.pk, by=owner)
    refund = Tool.objects.get(name="refund.issue")

    waits = services.change_agent(
        agent_id=agent.pk, by=owner, facts=FACTS, tools=[refund], roles=[]
    )

    assert waits == 1
    assert [entry.tool.name for entry in agent.allowlist.all()] == []


def test_unregistered_caller_becomes_a_draft(tool: Tool) -> None:
    admin = Person.objects.get(email=ADMIN)
    caller = note_caller(claimed="shadow-bot", source="192.0.2.7").caller

    agent = register(admin, tool, slug="shadow-bot", adopt=caller)

    adopted = UnregisteredCaller.objects.get(pk=caller.pk)
    assert (adopted.state, adopted.adopted_as) == ("adopted", agent)
    assert agent.purpose == FACTS["purpose"]
