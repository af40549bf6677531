"""Whom an agent hands over to: declared in its row, reviewed as reach, taken away at once."""

from typing import Any

import pytest

from authz import slices
from governance.kernel.errors import Invalid, NotAllowed
from registry import changes, rules, services
from registry.enums import AgentState
from registry.errors import ChangeOutdated, WrongState
from registry.models import Agent, ProposedChange, SubAgent
from registry.reach import reach_of
from registry.row import facts_of
from registry.selectors import agent_by_slug
from tests.factories.registry import make_agent, make_draft, make_person, security

pytestmark = pytest.mark.django_db

IDS = {"type": "object", "properties": {"ids": {"type": "array", "maxItems": 10}}}
PLAIN = {"result_schema": {}, "result_tier": "internal", "result_trusted": False}


def declared(agent: Agent) -> dict[str, Any]:
    rows = SubAgent.objects.filter(agent=agent).select_related("sub_agent")
    return {row.sub_agent.slug: (row.result_tier, row.result_trusted) for row in rows}


def reach(agent: Agent) -> str:
    return reach_of(agent_by_slug(agent.slug)).digest


def test_a_draft_says_whom_it_hands_over_to(mark: Any, records_after: Any) -> None:
    agent, other = make_draft(), make_draft()
    before, at = reach(agent), mark()

    saved = services.set_sub_agent(
        agent_id=agent.pk, sub_agent=other, by=agent.owner, result_schema=IDS
    )

    assert saved.changed == (f"sub_agents.{other.slug}",)
    assert declared(agent) == {other.slug: ("internal", False)}
    (record,) = records_after(at)
    assert (record["actor"], record["agent"]) == (agent.owner.pid, agent.slug)
    assert record["resource"] == f"agent:{other.slug}"
    assert reach(agent) != before
    facts = facts_of(agent, reach_of(agent_by_slug(agent.slug)))
    assert facts[f"sub-agent {other.slug}"] == {**PLAIN, "result_schema": IDS}


def test_saying_it_again_changes_nothing() -> None:
    agent, other = make_draft(), make_draft()
    services.set_sub_agent(agent_id=agent.pk, sub_agent=other, by=agent.owner)
    version = Agent.objects.get(pk=agent.pk).version

    saved = services.set_sub_agent(agent_id=agent.pk, sub_agent=other, by=agent.owner)

    assert (saved.changed, saved.proposed) == ((), ())
    assert Agent.objects.get(pk=agent.pk).version == version


def test_a_reach_without_sub_agents_is_what_it_was() -> None:
    agent, other = make_draft(), make_draft()
    before = reach(agent)
    services.set_sub_agent(agent_id=agent.pk, sub_agent=other, by=agent.owner)

    services.remove_sub_agent(agent_id=agent.pk, sub_agent=other, by=agent.owner)

    assert reach(agent) == before


def test_an_owner_attests_it_for_an_internal_agent() -> None:
    agent, other = make_agent(), make_agent()

    saved = services.set_sub_agent(agent_id=agent.pk, sub_agent=other, by=agent.owner)

    assert saved.proposed == ()
    assert declared(agent) == {other.slug: ("internal", False)}
    assert services.agents.words_for(agent, reach_of(agent_by_slug(agent.slug)))


def test_on_a_confidential_agent_it_waits_for_who_must_sign() -> None:
    agent, other = make_agent(tier="confidential"), make_agent()

    saved = services.set_sub_agent(agent_id=agent.pk, sub_agent=other, by=agent.owner)

    (change,) = saved.proposed
    assert declared(agent) == {}
    assert change.summary == (f"{agent.slug}, {other.slug}: It may hand over to a further agent.")
    changes.agree(change_id=change.pk, by=security())
    assert declared(agent) == {other.slug: ("internal", False)}


def test_an_outdated_declaration_does_not_apply() -> None:
    agent, other = make_agent(tier="confidential"), make_agent()
    services.set_sub_agent(agent_id=agent.pk, sub_agent=other, by=agent.owner)
    declare_beside = SubAgent(agent=agent, sub_agent=other, result_tier="public")
    declare_beside.save()

    with pytest.raises(ChangeOutdated):
        changes.agree(change_id=ProposedChange.objects.get().pk, by=security())

    assert declared(agent) == {other.slug: ("public", False)}


def test_taking_in_less_is_done_at_once() -> None:
    agent, other = make_agent(tier="confidential"), make_agent()
    SubAgent.objects.create(agent=agent, sub_agent=other, result_tier="confidential")

    saved = services.set_sub_agent(
        agent_id=agent.pk, sub_agent=other, by=agent.owner, result_tier="public"
    )

    assert (saved.proposed, declared(agent)) == ((), {other.slug: ("public", False)})


def test_it_is_taken_away_at_once_and_only_once(mark: Any, records_after: Any) -> None:
    agent, other = make_agent(tier="confidential"), make_agent()
    SubAgent.objects.create(agent=agent, sub_agent=other)
    at = mark()

    for _ in range(2):
        services.remove_sub_agent(agent_id=agent.pk, sub_agent=other, by=agent.owner)

    assert declared(agent) == {}
    assert [row["resource"] for row in records_after(at) if row["kind"] == "registry"] == [
        f"agent:{other.slug}"
    ]


def test_only_who_may_change_the_row_declares() -> None:
    agent, other = make_draft(), make_draft()

    with pytest.raises(NotAllowed):
        services.set_sub_agent(agent_id=agent.pk, sub_agent=other, by=make_person())
    with pytest.raises(NotAllowed):
        services.remove_sub_agent(agent_id=agent.pk, sub_agent=other, by=make_person())


def test_nothing_is_handed_over_to_itself_or_to_what_has_ended() -> None:
    agent = make_draft()
    ended = make_agent(AgentState.DECOMMISSIONED)

    for other in (agent, ended):
        with pytest.raises(Invalid) as refused:
            services.set_sub_agent(agent_id=agent.pk, sub_agent=other, by=agent.owner)
        assert set(refused.value.fields) == {"sub_agent"}
    with pytest.raises(WrongState):
        services.set_sub_agent(agent_id=ended.pk, sub_agent=agent, by=ended.owner)


def test_a_schema_that_does_not_hold_is_refused() -> None:
    agent, other = make_draft(), make_draft()

    with pytest.raises(Invalid) as refused:
        services.set_sub_agent(
            agent_id=agent.pk, sub_agent=other, by=agent.owner, result_schema={"type": "nothing"}
        )

    assert (refused.value.code, set(refused.value.fields)) == ("bad_schema", {"result_schema"})


@pytest.mark.parametrize(
    ("before", "after", "many"),
    [
        (None, {}, 1),
        ({}, {}, 0),
        ({}, {"result_schema": IDS}, 0),
        ({"result_schema": IDS}, {}, 1),
        ({}, {"result_tier": "confidential"}, 1),
        ({}, {"result_tier": "public"}, 0),
        ({}, {"result_trusted": True}, 1),
        ({"result_trusted": True}, {}, 0),
    ],
)
def test_what_lets_it_take_in_more(before: Any, after: Any, many: int) -> None:
    was = None if before is None else PLAIN | before

    assert len(rules.widened_sub_agent(was, PLAIN | after)) == many


def test_the_slice_names_them_and_knows_of_every_change() -> None:
    agent, other = make_agent(), make_agent()
    key = f"agent:{agent.slug}"
    seen = [slices.revision(key)]

    row = SubAgent.objects.create(agent=agent, sub_agent=other)
    seen.append(slices.revision(key))
    (read,) = slices.read([key])
    assert (read.document or {})["sub_agents"] == [other.slug]
    row.delete()
    seen.append(slices.revision(key))

    assert len(set(seen)) == 3
    (read,) = slices.read([key])
    assert (read.document or {})["sub_agents"] == []
