"""The owner's pages, as the browser asks for them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from audit.models import Record
from governance.kernel import clock
from registry.enums import AgentState
from registry.models import Agent, Agreement, Person, System
from tests.factories.authz import make_desk
from tests.factories.registry import make_agent, make_draft, make_person, make_system, make_tool

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> Person:
    return make_person()


@pytest.fixture
def page(client: Client, owner: Person) -> Client:
    client.force_login(owner)
    return client


def form(**given: Any) -> dict[str, Any]:
    return {
        "slug": "digest",
        "purpose": "Reads and tells.",
        "kind": "agent",
        "pattern": "service",
        "rate_per_minute": "10",
        "rate_per_hour": "100",
        "spend_cap": "5.50",
        **given,
    }


def test_home_of_nobody_s_agents_says_what_to_do_first(page: Client) -> None:
    said = page.get("/").content.decode()

    assert "You own no agents yet" in said
    assert "Nothing waits for you" in said


def test_pages_want_someone_signed_in(client: Client) -> None:
    places = ["/", "/agents/", "/agents/register/", "/trail/", "/systems/", "/callers/"]

    answers = {place: client.get(place) for place in places}

    assert {place: a.status_code for place, a in answers.items()} == dict.fromkeys(places, 302)
    assert all("/accounts/login/" in a["Location"] for a in answers.values())


def test_registering_makes_a_draft_of_the_person_who_sends_it(page: Client, owner: Person) -> None:
    tool = make_tool(make_system(tier="internal"))

    answer = page.post("/agents/register/", form(tools=[tool.pk]))

    agent = Agent.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, "/agents/digest/")
    assert (agent.owner, agent.state, agent.spend_cap_minor) == (owner, AgentState.DRAFT, 550)
    assert [entry.tool for entry in agent.allowlist.all()] == [tool]


def test_who_relies_on_it_is_kept_and_can_be_changed(page: Client, owner: Person) -> None:
    someone, other = make_person(), make_draft()

    page.post("/agents/register/", form(relying_people=[someone.pk], relying_agents=[other.pk]))
    agent = Agent.objects.get(slug="digest")
    first = {(one.person, one.dependent) for one in agent.dependents.all()}
    page.post("/agents/digest/change/", form(relying_people=[someone.pk], prompt_digest="ab12"))
    agent.refresh_from_db()

    assert first == {(someone, None), (None, other)}
    assert [one.person for one in agent.dependents.all()] == [someone]
    assert agent.prompt_digest == "ab12"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"slug": "No Spaces"}, "Use lower-case letters"),
        ({"slug": "register"}, "This word stands for a page"),
        ({"purpose": ""}, "This field is required"),
        ({"rate_per_minute": "0"}, "Enter 1 or more."),
        ({"spend_cap": "-1"}, "greater than or equal to 0"),
        ({"backup_owner": "99999"}, "not one of the available choices"),
        ({"tools": ["99999"]}, "not one of the available choices"),
        ({"tools": ["x\0y"]}, "Null characters are not allowed"),
        ({"purpose": "a\0b"}, "Null characters are not allowed"),
    ],
)
def test_wrong_input_is_told_beside_its_field_and_kept(
    page: Client, wrong: dict[str, Any], said: str
) -> None:
    answer = page.post("/agents/register/", form(**wrong))

    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert not Agent.objects.exists()


def test_taken_name_is_refused_whatever_its_case(page: Client) -> None:
    make_draft(slug="digest")

    answer = page.post("/agents/register/", form())

    assert "An agent of this name is on the register" in answer.content.decode()


def test_verdict_follows_the_form_and_changes_nothing(page: Client) -> None:
    tool = make_tool(make_system(tier="confidential"))

    said = page.post("/agents/verdict/", {"tools": [tool.pk], "slug": ""}).content.decode()

    assert "One person signs first" in said
    assert tool.name in said
    assert not Agent.objects.exists()


def test_attesting_shows_the_secret_once(page: Client, owner: Person) -> None:
    agent = make_draft(owner)
    page.get(f"/agents/{agent.slug}/")

    answer = page.post(f"/agents/{agent.slug}/attest/")

    agent.refresh_from_db()
    assert agent.state == AgentState.ACTIVE
    assert answer["Cache-Control"] == "no-store"
    secret = answer.context["issued"].secret
    assert secret in answer.content.decode()
    assert secret not in page.get(f"/agents/{agent.slug}/").content.decode()


def test_attesting_what_changed_meanwhile_is_refused(page: Client, owner: Person) -> None:
    agent = make_draft(owner)

    answer = page.post(f"/agents/{agent.slug}/attest/", {"reach_digest": "0" * 64}, follow=True)

    agent.refresh_from_db()
    assert agent.state == AgentState.DRAFT
    assert [message.level_tag for message in answer.context["messages"]] == ["error"]


def test_nobody_else_may_attest_or_suspend(client: Client, owner: Person) -> None:
    draft, active = make_draft(owner), make_agent(owner=owner)
    client.force_login(make_person())

    client.post(f"/agents/{draft.slug}/attest/")
    client.post(f"/agents/{active.slug}/suspend/", {"reason": "Because"})

    draft.refresh_from_db()
    active.refresh_from_db()
    assert (draft.state, active.state) == (AgentState.DRAFT, AgentState.ACTIVE)


def test_suspending_wants_a_reason_and_starting_again_undoes_it(
    page: Client, owner: Person
) -> None:
    agent = make_agent(owner=owner)

    without = page.post(f"/agents/{agent.slug}/suspend/", {"reason": ""})
    page.post(f"/agents/{agent.slug}/suspend/", {"reason": "It loops."})
    agent.refresh_from_db()
    suspended = (agent.state, agent.state_reason)
    page.post(f"/agents/{agent.slug}/resume/")
    agent.refresh_from_db()

    assert without.status_code == 200
    assert suspended == (AgentState.SUSPENDED, "It loops.")
    assert agent.state == AgentState.ACTIVE


def test_changing_a_row_starts_from_what_it_says(page: Client, owner: Person) -> None:
    agent = make_draft(owner)

    answer = page.get(f"/agents/{agent.slug}/change/")

    assert answer.status_code == 200
    assert answer.context["form"].initial["tools"] == [
        entry.tool_id for entry in agent.allowlist.all()
    ]


def test_narrowing_is_read_as_json_or_refused(page: Client, owner: Person) -> None:
    agent = make_draft(owner)
    entry = agent.allowlist.get()
    place = f"/agents/{agent.slug}/narrow/{entry.tool.name}/"

    shown = page.get(place)
    wrong = page.post(place, {"narrowing": "{"})
    page.post(place, {"narrowing": '{"maxProperties": 3}'})

    entry.refresh_from_db()
    assert shown.status_code == 200
    assert "This is not JSON" in wrong.content.decode()
    assert entry.narrowing == {"maxProperties": 3}


def test_a_secret_is_no_credential_reference(page: Client, owner: Person) -> None:
    agent = make_draft(owner)
    secret = "AKIA" + "Z" * 16

    page.post(f"/agents/{agent.slug}/credentials/", {"reference": secret})
    page.post(f"/agents/{agent.slug}/credentials/", {"reference": "vault://care/digest"})

    assert [each.reference for each in agent.credentials.all()] == ["vault://care/digest"]


@pytest.mark.parametrize("rows", [1, 3])
def test_lists_ask_the_same_queries_for_any_number_of_rows(
    page: Client, owner: Person, rows: int, django_assert_max_num_queries: Any
) -> None:
    for _ in range(rows):
        make_agent(owner=owner)

    for place in ("/", "/agents/", "/agents/?all=1"):
        with django_assert_max_num_queries(40):
            assert page.get(place).status_code == 200


def test_trail_is_narrowed_to_one_s_own_agents(client: Client, owner: Person) -> None:
    mine, other = make_agent(owner=owner), make_agent()
    client.force_login(owner)

    answer = client.get("/trail/")

    shown = {row["record"].agent for row in answer.context["rows"]}
    assert mine.slug in shown
    assert other.slug not in shown
    foreign = Record.objects.filter(agent=other.slug).first()
    assert foreign is not None
    assert client.get(f"/trail/{foreign.id}/").status_code == 404


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_export_is_recorded(client: Client, form: str) -> None:
    auditor = make_person("auditor")
    client.force_login(auditor)

    answer = client.get(f"/trail/export.{form}")
    body = b"".join(answer.streaming_content)

    assert answer["Content-Disposition"] == f'attachment; filename="muster-trail.{form}"'
    assert body
    newest = Record.objects.filter(kind="access", actor=auditor.pid).order_by("-at").first()
    assert newest is not None


@pytest.mark.parametrize(
    "query",
    [
        "effect=x",
        "since=yesterday",
        "user=nobody at all",
        "since=2026-02-01T00:00&until=2026-01-01T00:00",
    ],
)
def test_trail_says_what_is_wrong_with_a_search(page: Client, query: str) -> None:
    answer = page.get(f"/trail/?{query}")

    assert answer.status_code == 400
    assert "The search is not right yet" in answer.content.decode()


def test_systems_tools_policies_people_open(client: Client) -> None:
    desk = make_desk()
    client.force_login(desk.owner)
    places = [
        "/systems/",
        f"/systems/{desk.tool.system.slug}/",
        "/tools/",
        f"/tools/{desk.tool.name}/",
        "/people/",
        "/callers/",
        "/policies/",
        f"/agents/{desk.agent.slug}/",
        f"/agents/{desk.agent.slug}/history/",
        f"/agents/{desk.agent.slug}/change/",
    ]

    codes = {place: client.get(place).status_code for place in places}

    assert codes == dict.fromkeys(places, 200)


def test_a_row_whose_systems_were_tagged_higher_says_that_nobody_cleared_it(
    client: Client,
) -> None:
    agent = make_agent(AgentState.ACTIVE, tier="internal")
    client.force_login(agent.owner)
    place = f"/agents/{agent.slug}/"

    before = client.get(place).content.decode()
    System.objects.update(tier="restricted")
    after = client.get(place).content.decode()

    said = "Nobody has cleared what it reaches now"
    assert (said in before, said in after) == (False, True)


def test_a_provider_shows_whose_models_run_there_and_what_has_ended(client: Client) -> None:
    provider = make_system(slug="lumen", provider="Lumen", tier="restricted")
    desk = make_desk(agent_fields={"slug": "quotes", "model_provider": provider})
    today = clock.now().date()
    for kind, until in (("baa", today - timedelta(days=1)), ("dpa", today)):
        Agreement.objects.create(
            system=provider, kind=kind, reference=kind, signed_on=today - timedelta(days=9),
            expires_on=until,
        )  # fmt: skip
    client.force_login(desk.owner)

    page = client.get("/systems/lumen/").content.decode()

    assert "/agents/quotes/" in page
    assert page.count('class="bad">ended') == 1


@pytest.mark.parametrize(
    "place", ["/systems/none/", "/tools/none/", "/agents/none/", "/policies/x/"]
)
def test_what_is_not_there_is_not_found(page: Client, place: str) -> None:
    assert page.get(place).status_code == 404
