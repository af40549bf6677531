"""The inbox: who finds what in it, what an answer does, and what is shown of others' words."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from lifecycle.inbox import entries
from registry import services
from registry.enums import AgentState, ChangeState, GroupName
from registry.models import Agent, Person, ProposedChange
from tests.factories.registry import (
    make_agent,
    make_draft,
    make_person,
    make_system,
    security,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


def downgrade(by: Person, reason: str = "") -> ProposedChange:
    system = make_system(by=by, tier="confidential")
    services.save_system(slug=system.slug, by=by, tier="internal")
    change = ProposedChange.objects.get(target=system.slug)
    ProposedChange.objects.filter(pk=change.pk).update(reason=reason)
    return change


def keys(person: Person) -> tuple[list[str], list[str]]:
    queue = entries.queue_of(Person.objects.get(pk=person.pk))
    return [each.key for each in queue.mine], [each.key for each in queue.others]


def test_each_finds_what_they_may_answer_and_their_own_below() -> None:
    one, other, owner = security(), security(), make_person()
    change = f"change:{downgrade(one).pk}"
    agent = make_agent(AgentState.IN_REVIEW, tier="confidential", owner=owner)
    review = f"review:{agent.slug}"
    groups = ("dpo", "auditor", "platform_admin", "source_owner")

    found = {
        "proposer": keys(one),
        "second": keys(other),
        "owner": keys(owner),
        "stranger": keys(make_person()),
        **{group: keys(make_person(GroupName(group))) for group in groups},
        "left": keys(make_person(GroupName.SECURITY, employment="left", last_day="2026-01-01")),
    }

    nothing: tuple[list[str], list[str]] = ([], [])
    assert found == {
        "proposer": ([review], [change]),
        "second": ([review, change], []),
        "owner": ([], [review]),
        "stranger": nothing,
        **dict.fromkeys(groups, nothing),
        "left": nothing,
    }


def test_owner_of_the_agent_in_review_does_not_clear_it(client: Client) -> None:
    owner = security()
    agent = make_agent(AgentState.IN_REVIEW, tier="confidential", owner=owner)
    client.force_login(owner)

    page = client.get("/inbox/").content.decode()
    client.post(f"/inbox/review:{agent.slug}/approve/")

    agent.refresh_from_db()
    assert agent.state == AgentState.IN_REVIEW
    assert "disabled" in page
    assert (
        f"You own {agent.slug}, or stand in for its owner, so someone else must clear it." in page
    )


@pytest.mark.parametrize(
    ("word", "given", "state"),
    [
        ("approve", {}, ChangeState.AGREED),
        ("reject", {"reason": "Too wide"}, ChangeState.REJECTED),
        ("reject", {"reason": " "}, ChangeState.PROPOSED),
        ("withdraw", {}, ChangeState.PROPOSED),
    ],
)
def test_second_person_answers_a_change(
    client: Client, word: str, given: dict[str, str], state: str
) -> None:
    change, by = downgrade(security()), security()
    client.force_login(by)

    answer = client.post(f"/inbox/change:{change.pk}/{word}/", given, follow=True)

    change.refresh_from_db()
    assert (answer.status_code, change.state) == (200, state)
    assert change.answer == (given.get("reason", "").strip() if state == "rejected" else "")


def test_proposer_takes_their_own_back_and_does_not_agree_to_it(client: Client) -> None:
    by = security()
    change = downgrade(by)
    client.force_login(by)

    page = client.get("/inbox/").content.decode()
    client.post(f"/inbox/change:{change.pk}/approve/")
    change.refresh_from_db()
    before = change.state
    client.post(f"/inbox/change:{change.pk}/withdraw/")
    change.refresh_from_db()

    assert "You proposed this, so someone else must agree to it." in page
    assert (before, change.state) == (ChangeState.PROPOSED, ChangeState.WITHDRAWN)


def test_after_an_answer_the_next_comes(client: Client) -> None:
    by = security()
    first, second = downgrade(security()), downgrade(security())
    client.force_login(by)

    answer = client.post(f"/inbox/change:{first.pk}/approve/")

    assert answer["Location"] == f"/inbox/?item={quote(f'change:{second.pk}', safe='')}"


def test_what_another_has_answered_meanwhile_is_told(client: Client) -> None:
    change, other = downgrade(security()), security()
    client.force_login(security())
    from registry import changes

    changes.agree(change_id=change.pk, by=other)

    late = client.post(f"/inbox/change:{change.pk}/reject/", {"reason": "No"}, follow=True)
    gone = client.get(f"/inbox/?item=change:{change.pk}")

    change.refresh_from_db()
    assert change.state == ChangeState.AGREED
    assert "Someone else has decided this already" in late.content.decode()
    assert gone.status_code == 200


def test_security_clears_exactly_what_was_read(client: Client) -> None:
    agent = make_agent(AgentState.IN_REVIEW, tier="confidential")
    client.force_login(security())
    place = f"/inbox/review:{agent.slug}"
    digest = client.get(f"/inbox/?item=review:{agent.slug}").context["item"]["review"].digest

    client.post(f"{place}/approve/", {"digest": "0" * 64})
    agent.refresh_from_db()
    before = agent.state
    client.post(f"{place}/approve/", {"digest": digest})
    agent.refresh_from_db()

    assert (before, agent.state) == (AgentState.IN_REVIEW, AgentState.ACTIVE)


def test_security_sends_back_with_a_reason(client: Client) -> None:
    agent = make_agent(AgentState.IN_REVIEW, tier="confidential")
    client.force_login(security())

    client.post(f"/inbox/review:{agent.slug}/reject/", {"reason": "Which customers?"})

    agent.refresh_from_db()
    assert (agent.state, agent.state_reason) == (AgentState.DRAFT, "Which customers?")


@pytest.mark.parametrize(
    "place",
    [
        "change:999999/approve",
        "change:x/approve",
        "change:99999999999999999999/approve",
        "review:nobody/approve",
        "change:1/explode",
        "nothing:1/approve",
        "nothing/approve",
        ":/approve",
    ],
)
def test_what_is_not_there_is_not_found(client: Client, place: str) -> None:
    client.force_login(security())

    assert client.post(f"/inbox/{place}/", {"reason": "x"}).status_code == 404


@pytest.mark.parametrize("key", ["change:x", "x", "review:", "change:1\0", "%00", "'\"<"])
def test_any_address_shows_a_page(client: Client, key: str) -> None:
    client.force_login(security())
    downgrade(security())

    assert client.get("/inbox/", {"item": key}).status_code in {200, 400}


def test_htmx_gets_the_fragment_alone(client: Client) -> None:
    client.force_login(security())
    downgrade(security())

    said = client.get("/inbox/", headers={"HX-Request": "true"}).content.decode()

    assert said.lstrip().startswith('<div id="inbox"')


@pytest.mark.usefixtures("numbered")
def test_count_stands_in_the_navigation(client: Client) -> None:
    client.force_login(security())
    for _ in range(3):
        downgrade(security())

    said = client.get("/").content.decode()

    assert '<span class="count">3<span class="sr"> waiting</span></span>' in said


def test_admin_has_the_same_inbox_for_who_works_there(client: Client) -> None:
    change, by = downgrade(security()), security()
    Person.objects.filter(pk=by.pk).update(is_staff=True)
    client.force_login(by)
    page = client.get("/admin/inbox/")
    answer = client.post(f"/inbox/change:{change.pk}/approve/", {"place": "/admin/inbox/"})
    client.force_login(make_person())

    assert change.summary.replace("'", "&#x27;") in page.content.decode()
    assert answer["Location"] == "/admin/inbox/"
    assert client.get("/admin/inbox/").status_code == 302


@pytest.mark.parametrize("rows", [1, 3])
def test_the_inbox_asks_the_same_queries_for_any_number(
    client: Client, rows: int, django_assert_max_num_queries: Any
) -> None:
    by = security()
    for _ in range(rows):
        downgrade(security())
        make_agent(AgentState.IN_REVIEW, tier="confidential")
    client.force_login(by)

    with django_assert_max_num_queries(44):
        assert client.get("/inbox/").status_code == 200


def test_nothing_waits(client: Client) -> None:
    client.force_login(make_person())
    make_draft()

    assert "Nothing waits for you" in client.get("/inbox/").content.decode()
    assert Agent.objects.count() == 1
