"""Whom an agent hands over to: pages, REST and inventory say and change the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from lifecycle.apply.execute import Outcome
from lifecycle.apply.export import export_text
from registry.enums import AgentState, GroupName
from registry.models import Agent, Person, ProposedChange, SubAgent
from tests.factories.registry import make_agent, make_draft, make_person, security
from tests.lifecycle.inventory import ADMIN, OWNER

pytestmark = pytest.mark.django_db

SCHEMA = '{"type": "object"}'


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


def as_person(person: Person) -> Client:
    client = Client()
    client.force_login(person)
    return client


def place(agent: Agent, *more: str) -> str:
    return "/".join([f"/agents/{agent.slug}/sub-agents", *more, ""])


def declared(agent: Agent) -> list[tuple[str, str, Any, bool]]:
    rows = SubAgent.objects.filter(agent=agent).select_related("sub_agent")
    return [
        (row.sub_agent.slug, row.result_tier, row.result_schema, row.result_trusted) for row in rows
    ]


# Pages


def test_the_page_says_that_there_is_none_yet() -> None:
    agent = make_draft()

    page = as_person(agent.owner).get(place(agent)).content.decode()

    assert "It hands over to no other agent" in page
    assert "Declare it" in page


def test_an_owner_declares_changes_and_takes_away() -> None:
    agent, other = make_draft(), make_agent()
    client = as_person(agent.owner)
    given = {"sub_agent": other.pk, "result_tier": "confidential", "result_schema": SCHEMA}

    assert client.post(place(agent), given).status_code == 302
    assert declared(agent) == [(other.slug, "confidential", {"type": "object"}, False)]
    page = client.get(place(agent, other.slug)).content.decode()
    assert "&quot;type&quot;: &quot;object&quot;" in page
    changed = {"result_tier": "public", "result_schema": "", "result_trusted": "on"}
    assert client.post(place(agent, other.slug), changed).status_code == 302
    assert declared(agent) == [(other.slug, "public", {}, True)]
    assert other.slug in client.get(f"/agents/{agent.slug}/").content.decode()
    assert client.post(place(agent, other.slug, "remove")).status_code == 302
    assert declared(agent) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"result_schema": "{"}, "This is not JSON"),
        ({"result_schema": "[]"}, "A JSON Schema is a JSON object."),
        ({"result_schema": '{"type": "nothing"}'}, "The schema does not hold"),
        ({"sub_agent": ""}, "This field is required."),
    ],
)
def test_what_is_wrong_is_said_beside_the_form(given: dict[str, str], said: str) -> None:
    agent, other = make_draft(), make_agent()
    wanted = {"sub_agent": other.pk, "result_tier": "internal"} | given

    answer = as_person(agent.owner).post(place(agent), wanted)

    assert (answer.status_code, declared(agent)) == (200, [])
    assert said in answer.content.decode()


def test_only_agents_that_may_be_declared_are_offered() -> None:
    agent, other, ended = make_draft(), make_agent(), make_agent(AgentState.DECOMMISSIONED)
    known = make_agent()
    SubAgent.objects.create(agent=agent, sub_agent=known)

    form = as_person(agent.owner).get(place(agent)).context["form"]

    offered = set(form.fields["sub_agent"].queryset)
    assert other in offered
    assert offered.isdisjoint({agent, ended, known})


def test_who_only_looks_reads_why_they_may_not() -> None:
    agent, other = make_draft(), make_agent()
    SubAgent.objects.create(agent=agent, sub_agent=other)
    reader = as_person(security())

    page = reader.get(place(agent)).content.decode()
    assert other.slug in page
    stranger = as_person(make_person())
    assert stranger.get(place(agent)).status_code == 404
    assert stranger.post(place(agent, other.slug, "remove")).status_code == 404
    assert len(declared(agent)) == 1


def test_on_a_live_confidential_agent_a_review_begins() -> None:
    agent, other = make_agent(tier="confidential"), make_agent()
    client = as_person(agent.owner)
    given = {"sub_agent": other.pk, "result_tier": "internal"}

    answer = client.post(place(agent), given, follow=True)

    assert "wait for a second person" in answer.content.decode()
    assert declared(agent) == []
    change = ProposedChange.objects.get()
    review = change.reviews.get()
    reader = as_person(make_person(GroupName.SECURITY, is_staff=True))
    page = reader.get(f"/admin/lifecycle/review/{review.pk}/change/")
    assert page.status_code == 200
    assert other.slug in page.content.decode()


@pytest.mark.parametrize("rows", [1, 3])
def test_the_page_asks_the_same_at_any_length(
    rows: int, django_assert_max_num_queries: Any
) -> None:
    agent = make_draft()
    for _ in range(rows):
        SubAgent.objects.create(agent=agent, sub_agent=make_agent())
    client = as_person(agent.owner)
    client.get(place(agent))

    with django_assert_max_num_queries(30):
        assert client.get(place(agent)).status_code == 200


# REST


def test_over_rest_it_is_put_and_deleted() -> None:
    agent, other = make_draft(), make_agent()
    client = as_person(agent.owner)
    path = f"/api/v1/agents/{agent.slug}/sub-agents/{other.slug}"

    answer = client.put(path, {"result_tier": "public"}, content_type="application/json")

    assert answer.status_code == 200, answer.content
    assert answer.json()["sub_agents"] == [
        {
            "agent": other.slug,
            "result_schema": {},
            "result_tier": "public",
            "result_trusted": False,
        }
    ]
    assert client.delete(path).json()["sub_agents"] == []
    unknown = f"/api/v1/agents/{agent.slug}/sub-agents/nobody"
    assert client.put(unknown, {}, content_type="application/json").status_code == 404
    itself = f"/api/v1/agents/{agent.slug}/sub-agents/{agent.slug}"
    assert client.put(itself, {}, content_type="application/json").status_code == 400


# Inventories

TWO = f"""
agents:
  - {{slug: planner, name: Planner, purpose: Plans., owner: {OWNER}, state: draft,
      sub_agents: [reader]}}
  - {{slug: reader, name: Reader, purpose: Reads., owner: {OWNER}, state: draft}}
"""


def test_an_inventory_declares_what_comes_later_in_it(
    loaded: Outcome, apply_text: Callable[..., Outcome]
) -> None:
    apply_text(TWO, by_email=ADMIN)

    planner = Agent.objects.get(slug="planner")
    assert declared(planner) == [("reader", "internal", {}, False)]
    assert apply_text(TWO, by_email=ADMIN).is_empty
    assert apply_text(export_text(), by_email=ADMIN).is_empty
    away = TWO.replace("[reader]", "[{agent: reader, absent: true}]")
    apply_text(away, by_email=ADMIN)
    assert declared(planner) == []
