"""The five, found from the row alone and across two agents of one owner."""

from __future__ import annotations

import pytest

from authz.models import ToxicCombination
from authz.toxic import FIRST
from lifecycle.toxic.findings import Given, found_across, of_draft
from registry import services
from registry.models import Agent, Person, Tool
from registry.reach import catalogue, reach_of
from registry.selectors import agent_by_slug
from tests.factories.registry import make_draft, make_person, make_system, make_tool

pytestmark = pytest.mark.django_db

PAIRS = [pytest.param(one["slug"], one["categories"], id=one["slug"]) for one in FIRST[:5]]


def reader_of(categories: list[str], owner: Person, **fields: object) -> Agent:
    """A draft that reads one system for each of these categories."""
    agent: Agent | None = None
    for category in categories:
        tool = make_tool(make_system(categories=[category]))
        agent = agent or make_draft(owner, tool, **fields)
        allow(agent, tool)
    assert agent is not None
    return agent_by_slug(agent.slug)


def allow(agent: Agent, tool: Tool) -> None:
    services.set_allowlist_entry(agent_id=agent.pk, tool=tool, by=agent.owner)


def found_of(agent: Agent):
    agent = agent_by_slug(agent.slug)
    return of_draft(agent.owner, reach_of(agent), agent)


@pytest.mark.parametrize(("slug", "categories"), PAIRS)
def test_each_of_the_five_is_found_from_the_row_alone(slug, categories) -> None:
    agent = reader_of(categories, make_person())

    (found,) = found_of(agent)

    assert (found.slug, found.scope, found.agents) == (slug, "agent", (agent.slug,))
    assert (found.tier, found.connected, found.blocks) == ("restricted", True, True)
    assert sorted({part for given in found.places for part in given.gives}) == sorted(categories)


@pytest.mark.parametrize(("slug", "categories"), PAIRS)
def test_each_of_the_five_is_found_across_two_agents_of_one_owner(slug, categories) -> None:
    owner = make_person()
    one = reader_of(categories[:1], owner)
    other = reader_of(categories[1:], owner)

    (found,) = found_of(other)

    assert (found.slug, found.scope, found.agents) == (slug, "owner", (one.slug, other.slug))
    assert (found.connected, found.blocks) == (False, False)
    assert reach_of(agent_by_slug(other.slug)).combinations == ()


def test_agents_of_two_owners_are_not_put_together() -> None:
    reader_of(["hr-directory"], make_person())
    other = reader_of(["compensation"], make_person())

    assert found_of(other) == ()


def test_what_one_writes_where_the_other_reads_connects_them() -> None:
    owner, drive = make_person(), make_system()
    one = reader_of(["hr-directory"], owner)
    other = reader_of(["compensation"], owner)
    allow(one, make_tool(drive, effect="write"))
    apart = found_of(other)[0].connected
    allow(other, make_tool(drive))

    assert (apart, found_of(other)[0].connected) == (False, True)


def test_a_junction_connects_nobody() -> None:
    owner, drive = make_person(), make_system()
    one, other = reader_of(["hr-directory"], owner), reader_of(["compensation"], owner)
    left = make_tool(drive, effect="write", name="drive.hand_over")
    allow(one, left)
    allow(other, make_tool(drive, name="drive.find"))
    reached = [(each.slug, reach_of(agent_by_slug(each.slug))) for each in (one, other)]

    def connected(junction: frozenset[str]) -> bool:
        return found_across(reached, catalogue(), junction)[0].connected

    assert connected(frozenset()) is True
    assert connected(frozenset({left.name})) is False


def test_a_row_that_is_not_on_the_register_yet_has_no_name() -> None:
    owner = make_person()
    reader_of(["hr-directory"], owner)
    elsewhere = reader_of(["compensation"], make_person())

    (found,) = of_draft(owner, reach_of(elsewhere))

    assert (found.agents[-1], found.connected) == ("", False)


def test_what_gives_it_is_named_with_its_tools() -> None:
    owner = make_person()
    hr = make_system(slug="people", categories=["hr-directory"])
    pay = make_system(slug="pay", categories=["compensation"])
    agent = make_draft(owner, make_tool(hr, name="people.find"), slug="who-earns")
    allow(agent, make_tool(pay, name="pay.find"))

    assert found_of(agent)[0].places == (
        Given("who-earns", "pay", "", ("pay.find",), ("compensation",), "internal"),
        Given("who-earns", "people", "", ("people.find",), ("hr-directory",), "internal"),
    )


def test_the_trifecta_is_listed_and_neither_raises_nor_blocks() -> None:
    inbox = make_system(trust="untrusted")
    agent = make_draft(make_person(), make_tool(inbox))
    allow(agent, make_tool(make_system(tier="confidential")))
    allow(agent, make_tool(make_system(), effect="external_communication"))

    (found,) = found_of(agent)

    assert (found.slug, found.only_listed, found.blocks) == ("lethal-trifecta", True, False)
    assert found.effects == ("external_communication", "private_data", "untrusted_content")
    assert reach_of(agent_by_slug(agent.slug)).tier == "confidential"


def test_an_effect_completes_a_combination_with_a_category() -> None:
    ToxicCombination.objects.create(
        slug="health-by-mail",
        categories=["health"],
        effects=["external_communication"],
        implied_tier="restricted",
        reason="It would leave by mail.",
    )
    agent = make_draft(make_person(), make_tool(make_system(categories=["health"])))
    before = reach_of(agent_by_slug(agent.slug)).tier
    allow(agent, make_tool(make_system(), effect="external_communication"))

    after = reach_of(agent_by_slug(agent.slug))

    assert (before, after.tier) == ("internal", "restricted")
    assert [one.slug for one in after.combinations] == ["health-by-mail"]


@pytest.mark.parametrize("others", [1, 4])
def test_more_agents_ask_no_more_of_the_database(others, django_assert_num_queries) -> None:
    owner = make_person()
    for _ in range(others):
        reader_of(["hr-directory"], owner)
    other = agent_by_slug(reader_of(["compensation"], owner).slug)
    reach = reach_of(other)

    with django_assert_num_queries(11):
        (found,) = of_draft(owner, reach, other)

    assert len(found.agents) == others + 1
