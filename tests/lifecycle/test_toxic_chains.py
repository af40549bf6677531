"""What a chain can reach is judged together: an agent by all that it may hand over to."""

from __future__ import annotations

import pytest

from governance.kernel import clock
from lifecycle.models import ToxicDue, ToxicFinding
from lifecycle.toxic import checking
from lifecycle.toxic.errors import CannotSplit
from lifecycle.toxic.splitting import plan_of
from registry import services
from registry.models import Agent, SubAgent
from registry.reach import reach_of
from registry.selectors import agent_by_slug
from tests.factories.registry import make_person
from tests.lifecycle.test_toxic_findings import PAIRS, found_of, reader_of

pytestmark = pytest.mark.django_db


def hands_over(agent: Agent, other: Agent) -> None:
    services.set_sub_agent(agent_id=agent.pk, sub_agent=other, by=agent.owner)


@pytest.mark.parametrize(("slug", "categories"), PAIRS)
def test_each_of_the_five_is_found_over_a_chain(slug: str, categories: list[str]) -> None:
    giver = reader_of(categories[:1], make_person())
    sub = reader_of(categories[1:], make_person())
    assert found_of(giver) == ()

    hands_over(giver, sub)

    (found,) = found_of(giver)
    assert (found.slug, found.scope, found.agents) == (slug, "agent", (giver.slug,))
    assert (found.tier, found.connected, found.blocks) == ("restricted", True, True)
    assert {given.agent for given in found.places} == {giver.slug, sub.slug}
    assert found_of(sub) == ()


def test_it_raises_the_tier_of_who_hands_over_and_of_nobody_else() -> None:
    giver = reader_of(["hr-directory"], make_person())
    sub = reader_of(["compensation"], make_person())

    hands_over(giver, sub)

    assert reach_of(agent_by_slug(giver.slug)).tier == "restricted"
    assert reach_of(agent_by_slug(sub.slug)).tier == "internal"


def test_it_is_found_three_links_away_and_no_further() -> None:
    agents = [reader_of([f"plain-{n}"], make_person()) for n in range(3)]
    giver = reader_of(["hr-directory"], make_person())
    last = reader_of(["compensation"], make_person())
    for one, other in zip([giver, *agents[:2]], [*agents[:2], last], strict=True):
        hands_over(one, other)
    assert [one.slug for one in found_of(giver)] != []

    hands_over(agents[1], agents[2])
    hands_over(agents[2], last)
    SubAgent.objects.filter(agent=agents[1], sub_agent=last).delete()

    assert found_of(giver) == ()


def test_a_circle_of_agents_ends() -> None:
    one = reader_of(["hr-directory"], make_person())
    other = reader_of(["compensation"], make_person())
    hands_over(one, other)
    hands_over(other, one)

    below = reach_of(agent_by_slug(one.slug)).below

    assert [slug for slug, _ in below] == [other.slug]
    assert [len(found_of(each)) for each in (one, other)] == [1, 1]


def test_the_owner_of_the_giver_is_looked_at_when_the_sub_agent_changes() -> None:
    giver, sub = reader_of(["hr-directory"], make_person()), reader_of(["x"], make_person())
    hands_over(giver, sub)
    ToxicDue.objects.all().delete()

    checking.ask_for([sub.owner_id])

    assert set(ToxicDue.objects.values_list("owner", flat=True)) == {sub.owner_id, giver.owner_id}


def test_the_sweep_opens_a_finding_that_no_split_answers() -> None:
    giver = reader_of(["hr-directory"], make_person())
    hands_over(giver, reader_of(["compensation"], make_person()))

    checking.check_owner(giver.owner_id, clock.now())

    finding = ToxicFinding.objects.get(agent=giver)
    assert finding.agents == [giver.slug]
    with pytest.raises(CannotSplit):
        plan_of(finding)
