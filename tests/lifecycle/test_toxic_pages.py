"""Pages and REST of toxic combinations: who sees what, and what one can do there."""

from __future__ import annotations

import json

import pytest

from authz.models import ToxicCombination
from governance.kernel import clock
from lifecycle.inbox.entries import queue_of
from lifecycle.models import ToxicFinding
from lifecycle.toxic import checking
from registry import services
from registry.enums import GroupName
from registry.models import Agent, Person, ProposedChange
from tests.factories.registry import make_draft, make_person, make_system, make_tool, security

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def without_second_factor(settings) -> None:
    settings.MUSTER_APPROVER_MFA = False


def found(owner: Person | None = None) -> ToxicFinding:
    """A draft of somebody that completes `salary-per-person`."""
    owner = owner or make_person()
    agent = make_draft(owner, make_tool(make_system(categories=["hr-directory"])))
    services.set_allowlist_entry(
        agent_id=agent.pk, tool=make_tool(make_system(categories=["compensation"])), by=owner
    )
    for key in checking.due(clock.now()):
        checking.check_owner(key, clock.now())
    return ToxicFinding.objects.get(agent=agent)


@pytest.fixture
def page(client):
    def read(path, person, status=200, **given):
        client.force_login(person)
        answer = client.post(path, given) if given else client.get(path)
        assert answer.status_code == status, answer.content[:2000]
        return answer

    return read


@pytest.mark.parametrize(
    ("group", "sees"),
    [
        (GroupName.SECURITY, True),
        (GroupName.DPO, True),
        (GroupName.AUDITOR, True),
        (None, False),
    ],
)
def test_security_the_dpo_and_auditors_see_all_others_their_own(page, group, sees) -> None:
    row = found()
    person = make_person(*([group] if group else []))

    listed = page("/toxic/", person).context["page"].object_list
    api = page("/api/v1/toxic-findings", person).json()["results"]

    assert [one.pk for one in listed] == ([row.pk] if sees else [])
    assert [one["id"] for one in api] == ([row.pk] if sees else [])
    page(f"/toxic/{row.pk}/", person, 200 if sees else 404)
    page(f"/api/v1/toxic-findings/{row.pk}", person, 200 if sees else 404)
    page(f"/toxic/{row.pk}/", row.agent.owner)


def test_a_finding_shows_where_it_comes_from(page) -> None:
    row = found()

    text = page(f"/toxic/{row.pk}/", row.agent.owner).content.decode()

    for place in row.places:
        assert f"{place['system']} ({place['agent']})" in text
    assert "Together they count as restricted." in text
    # Every button is a button: what names its form is no form itself.
    assert ' form="' not in text
    assert text.count('id="split-reason"') == text.count('id="elevate-reason"') == 1


def test_the_list_is_filtered(page) -> None:
    guard, one, other = security(), found(), found()

    def ids(query):
        return {row.pk for row in page(f"/toxic/?{query}", guard).context["page"].object_list}

    assert ids("") == {one.pk, other.pk}
    assert ids(f"agent={one.agent.slug}") == {one.pk}
    assert ids("state=answered") == set()
    assert ids("combination=salary-per-person&scope=agent&state=open") == {one.pk, other.pk}


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize(("path", "queries"), [("/toxic/", 28), ("/api/v1/toxic-findings", 11)])
def test_lists_ask_the_same_at_any_length(
    page, rows, path, queries, django_assert_max_num_queries
) -> None:
    guard = security()
    for _ in range(rows):
        found()
    page(path, guard)

    with django_assert_max_num_queries(queries):
        page(path, guard)


@pytest.mark.parametrize("word", ["split", "elevate", "aggregate"])
def test_each_answer_is_given_on_the_page(page, word) -> None:
    row = found()

    page(f"/toxic/{row.pk}/{word}/", row.agent.owner, 302, reason="We looked.")

    row.refresh_from_db()
    assert (row.state, row.answer, row.answer_reason) == ("answered", word, "We looked.")
    page(f"/toxic/{row.pk}/", row.agent.owner)


def test_an_answer_without_a_reason_and_an_unknown_word_change_nothing(page) -> None:
    row = found()

    page(f"/toxic/{row.pk}/split/", row.agent.owner, 302, reason=" ")
    page(f"/toxic/{row.pk}/forget/", row.agent.owner, 404, reason="Why not.")

    row.refresh_from_db()
    assert (row.state, Agent.objects.count()) == ("open", 1)


def test_the_api_answers_and_refuses_alike(client) -> None:
    row = found()
    path = f"/api/v1/toxic-findings/{row.pk}"

    def post(word, person, **given):
        client.force_login(person)
        return client.post(f"{path}/{word}", json.dumps(given), content_type="application/json")

    assert post("aggregate", row.agent.owner).status_code == 400
    assert post("aggregate", make_person(), reason="Mine.").status_code == 404
    assert post("aggregate", make_person(GroupName.AUDITOR), reason="Mine.").status_code == 403
    told = post("aggregate", row.agent.owner, reason="It stays with HR.")
    assert (told.status_code, told.json()["answer"]) == (200, "aggregate")
    assert post("split", row.agent.owner, reason="Late.").status_code == 409
    assert post("lower", row.agent.owner, reason="Not needed.").status_code == 200
    assert ProposedChange.objects.get().kind == "toxic.output"


def test_it_waits_in_the_inbox_of_its_owner(page) -> None:
    row = found()
    guard = security()

    assert [one.key for one in queue_of(row.agent.owner).mine] == [f"toxic:{row.pk}"]
    assert [one.key for one in queue_of(guard).everything] == []
    text = page(f"/inbox/?item=toxic:{row.pk}", row.agent.owner).content.decode()
    assert f'href="/toxic/{row.pk}/"' in text


def test_the_agents_page_shows_it(page) -> None:
    row = found()

    text = page(f"/agents/{row.agent.slug}/", row.agent.owner).content.decode()

    assert f'href="/toxic/{row.pk}/"' in text


# The catalogue


def test_the_catalogue_shows_what_each_finds_and_its_versions(page) -> None:
    row = found()
    guard = security()

    assert "lethal-trifecta" in page("/policies/toxic/", guard).content.decode()
    told = page("/toxic/catalogue/salary-per-person/", guard)

    assert [one.pk for one in told.context["found"]] == [row.pk]
    assert [one.version for one in told.context["history"]] == [1]
    page("/toxic/catalogue/none/", guard, 404)


def test_security_adds_and_changes_one_on_the_site(page) -> None:
    guard = security()
    given = {
        "slug": "who-is-ill",
        "categories": "sick-leave, hr-directory",
        "effects": ["external_communication"],
        "implied_tier": "restricted",
        "reason": "It tells who is ill.",
        "is_active": "on",
    }

    assert ' form="' not in page("/toxic/catalogue/new/", guard).content.decode()
    page("/toxic/catalogue/new/", guard, 302, **given)
    page("/toxic/catalogue/new/", guard, 400, **given)
    page("/toxic/catalogue/who-is-ill/change/", guard)
    page("/toxic/catalogue/who-is-ill/change/", guard, 302, **(given | {"reason": "Better said."}))

    row = ToxicCombination.objects.get(slug="who-is-ill")
    assert (row.categories, row.effects, row.reason, row.version) == (
        ["hr-directory", "sick-leave"],
        ["external_communication"],
        "Better said.",
        2,
    )


def test_taking_one_out_on_the_site_waits(page) -> None:
    guard = security()

    page("/toxic/catalogue/supply-chain/remove/", guard, 302, sure="1")

    assert ToxicCombination.objects.get(slug="supply-chain").is_active is True
    assert ProposedChange.objects.get().target == "supply-chain"
    text = page("/toxic/catalogue/supply-chain/", guard).content.decode()
    assert "waits for a second person" in text


def test_nobody_else_changes_the_catalogue(page) -> None:
    person = make_person()
    given = {"slug": "mine", "categories": "a, b", "implied_tier": "public", "reason": "Mine."}

    page("/toxic/catalogue/new/", person, 400, **given)
    page("/toxic/catalogue/supply-chain/remove/", person, 302, sure="1")

    assert ToxicCombination.objects.filter(slug="mine").count() == 0
    assert ProposedChange.objects.count() == 0


def test_the_catalogue_over_rest(client) -> None:
    client.force_login(security())

    def send(method, path, **given):
        return getattr(client, method)(path, json.dumps(given), content_type="application/json")

    new = {"categories": ["a", "b"], "implied_tier": "internal", "reason": "So."}
    assert send("post", "/api/v1/toxic", slug="a-and-b", **new).status_code == 201
    assert send("post", "/api/v1/toxic", slug="a-and-b", **new).status_code == 409
    assert send("post", "/api/v1/toxic", slug="a", categories=["a"]).status_code == 400
    assert send("patch", "/api/v1/toxic/a-and-b", implied_tier="restricted").status_code == 200
    waits = send("patch", "/api/v1/toxic/a-and-b", is_active=False)
    assert waits.status_code == 202
    assert client.get("/api/v1/toxic/a-and-b").json()["is_active"] is True
    assert send("delete", "/api/v1/toxic/supply-chain").status_code == 202
