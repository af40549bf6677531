"""Renewals and periodic reviews at their edges: pages, REST, the check, the badge."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from rest_framework.test import APIClient

from governance.kernel import clock, tiers
from lifecycle.checking.report import check_agent
from lifecycle.models import Attestation, BadgeKey, Review
from lifecycle.models.reviews import ReviewKind
from lifecycle.renewals import badge, sweep
from lifecycle.reviews import looking
from lifecycle.reviews.periodic import services as periodic
from registry import services as register
from registry.models import Agent, Person, ProposedChange
from tests.factories.registry import make_agent, make_person, make_tool, security

pytestmark = pytest.mark.django_db
YES = {each.name: "yes" for each in looking.QUESTIONS}


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


def due_in(days: int, **of: Any) -> Agent:
    agent = make_agent(**of)
    day = clock.now().date() + timedelta(days=days)
    return register.renew_agent(agent_id=agent.pk, by=sweep.ACTOR, due=day, because="For a test.")


def reviewed_in(days: int, **of: Any) -> Review:
    agent = make_agent(**of)
    day = clock.now().date() + timedelta(days=days)
    register.set_review_due(agent_id=agent.pk, by=sweep.ACTOR, due=day, because="For a test.")
    periodic.open_periodic(agent_id=agent.pk, by=periodic.ACTOR)
    return Review.objects.get(agent=agent, kind=ReviewKind.PERIODIC)


def page_of(person: Person) -> Client:
    client = Client()
    client.force_login(person)
    return client


def api_of(person: Person) -> APIClient:
    client = APIClient()
    client.force_login(person)
    return client


# Pages


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_asks_the_same_queries_for_any_number_of_rows(
    rows: int, django_assert_max_num_queries: Any
) -> None:
    owner = make_person()
    for _ in range(rows):
        due_in(3, owner=owner)

    with django_assert_max_num_queries(42):
        answer = page_of(owner).get("/renewals/")

    assert len(answer.context["rows"]) == rows


def test_a_form_that_was_read_before_a_change_is_read_again() -> None:
    agent = due_in(3)
    page = page_of(agent.owner)
    seen = page.get(f"/agents/{agent.slug}/renew/").context["form"].asked.seen
    tool = agent.allowlist.get().tool
    register.remove_allowlist_entry(agent_id=agent.pk, tool=tool, by=agent.owner)

    given = {"needed": "yes", "seen": seen, "drop": [tool.name]}
    answer = page.post(f"/agents/{agent.slug}/renew/", given, follow=True)

    assert [str(each) for each in answer.context["messages"]] == [
        "The agent has changed since you read this. Read it again, then answer."
    ]
    assert not Attestation.objects.exists()


def test_an_empty_answer_says_what_is_missing() -> None:
    agent = due_in(3)

    answer = page_of(agent.owner).post(f"/agents/{agent.slug}/renew/", {"seen": "x"})

    assert answer.status_code == 200
    assert answer.context["form"].errors["needed"] == ["Say whether it is still needed."]


def test_more_time_is_asked_for_on_the_page() -> None:
    agent = due_in(3)
    until = (agent.renewal_due or clock.now().date()) + timedelta(days=20)
    given = {"until": until.isoformat(), "reason": "The desk moves house."}

    page_of(agent.owner).post(f"/agents/{agent.slug}/renew/extend/", given)

    change = ProposedChange.objects.get(kind="agent.extension")
    assert (change.target, change.after) == (agent.slug, {"due": until.isoformat()})
    told = page_of(agent.owner).get(f"/agents/{agent.slug}/renew/")
    assert told.context["extension"] == change


@pytest.mark.parametrize(
    ("days", "asked", "late"), [(60, False, False), (3, True, False), (-2, True, True)]
)
def test_the_agents_own_page_says_what_is_asked(days: int, asked: bool, late: bool) -> None:
    agent = due_in(days)
    for key in sweep.due(clock.now()):
        sweep.ask(key, clock.now())

    answer = page_of(agent.owner).get(f"/agents/{agent.slug}/")

    said = answer.context["renewal"]
    assert (said["is_asked"], said["late"], said["case"] is not None) == (asked, late, asked)
    assert ('class="days"' in answer.content.decode()) == late


def test_others_do_not_find_the_page() -> None:
    agent = due_in(3)

    found = page_of(make_person()).get(f"/agents/{agent.slug}/renew/").status_code

    assert found == 404


def test_security_looks_at_a_live_agent_on_its_page() -> None:
    review = reviewed_in(3)
    page = page_of(security())
    shown = page.get(f"/reviews/{review.pk}/")
    assert shown.context["step"] == review.steps.get()
    given = YES | {"digest": review.digest, "outcome": "suspend"}

    refused = page.post(f"/reviews/{review.pk}/", given)
    assert list(refused.context["form"].errors) == ["reason"]
    page.post(f"/reviews/{review.pk}/", given | {"reason": "Nobody knows it."})

    review.refresh_from_db()
    review.agent.refresh_from_db()
    assert (review.outcome, review.agent.state) == ("suspend", "suspended")
    assert page.get(f"/reviews/{review.pk}/").status_code == 200


def test_a_periodic_review_waits_in_the_inbox_and_its_owner_may_look() -> None:
    review = reviewed_in(3)
    key = f"periodic:{review.pk}"

    looks = page_of(security()).get("/inbox/", {"item": key})
    owner = page_of(review.agent.owner).get("/inbox/", {"item": key})

    assert looks.context["item"]["waiting"].why_not == ""
    assert owner.context["item"]["waiting"].why_not != ""
    assert page_of(review.agent.owner).get(f"/reviews/{review.pk}/").context["step"] is None


# REST


def test_what_is_due_is_listed_and_answered_over_rest() -> None:
    agent, other = due_in(3), due_in(3)
    api = api_of(agent.owner)

    listed = api.get("/api/v1/renewals", {"mine": "true"}).json()
    one = api.get(f"/api/v1/agents/{agent.slug}/renewal").json()
    path = f"/api/v1/agents/{agent.slug}/renewal"
    given = {"needed": True, "seen": one["seen"]}
    done = api.post(path, given, format="json")
    again = api.post(path, given, format="json")

    assert [each["agent"] for each in listed["results"]] == [agent.slug]
    assert (one["used"], one["held"]) == (0, 1)
    assert (done.status_code, done.json()["answer"]) == (201, "renewed")
    assert (again.status_code, again.json()["code"]) == (409, "not_asked")
    assert api.get(f"/api/v1/agents/{other.slug}/renewal").status_code == 404


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({}, 400),
        ({"needed": "perhaps", "seen": "x"}, 400),
        ({"needed": True, "seen": "\0"}, 400),
        ({"needed": True, "seen": "x"}, 409),
        ({"needed": True, "seen": "x", "drop": "all"}, 400),
        ({"needed": True, "seen": "x", "drop": [None]}, 400),
    ],
)
def test_bad_answers_are_refused(given: dict[str, Any], status: int) -> None:
    agent = due_in(3)

    answer = api_of(agent.owner).post(f"/api/v1/agents/{agent.slug}/renewal", given, format="json")

    assert answer.status_code == status
    assert not Attestation.objects.exists()


def test_an_extension_is_asked_for_over_rest() -> None:
    agent = due_in(3)
    until = (agent.renewal_due or clock.now().date()) + timedelta(days=31)
    path, api = f"/api/v1/agents/{agent.slug}/renewal/extension", api_of(agent.owner)

    far = api.post(path, {"until": until.isoformat(), "reason": "Away."}, format="json")
    near = {"until": (until - timedelta(days=1)).isoformat(), "reason": "Away."}

    assert (far.status_code, far.json()["code"]) == (400, "not_extended")
    assert api.post(path, near, format="json").status_code == 202


def test_a_step_is_answered_over_rest() -> None:
    review = reviewed_in(3)
    step = review.steps.get()
    path = f"/api/v1/reviews/{review.pk}/steps/{step.pk}"
    given = {"digest": review.digest, "outcome": "keep"} | dict.fromkeys(YES, True)
    api = api_of(security())

    signed = api.post(f"{path}/approve", {"digest": review.digest}, format="json")
    done = api.post(f"{path}/answer", given, format="json")

    assert (signed.status_code, signed.json()["code"]) == (409, "review_closed")
    assert (done.status_code, done.json()["outcome"]) == (200, "keep")
    assert done.json()["steps"][0]["answers"] == dict.fromkeys(YES, True)


# The check


@pytest.mark.parametrize(
    ("renewal", "review", "found"),
    [
        (15, 30, []),
        (14, 30, [("renewal_due", False)]),
        (0, 30, [("renewal_due", False)]),
        (-1, 30, [("unrenewed", True)]),
        (30, 0, []),
        (30, -1, [("review_overdue", True)]),
        (-1, -1, [("unrenewed", True), ("review_overdue", True)]),
    ],
)
def test_the_check_fails_after_the_day_and_tells_before_it(
    renewal: int, review: int, found: list[tuple[str, bool]]
) -> None:
    agent = due_in(renewal)
    day = clock.now().date() + timedelta(days=review)
    register.set_review_due(agent_id=agent.pk, by=sweep.ACTOR, due=day, because="For a test.")

    checked = check_agent(agent.pk)

    ours = {"unrenewed", "renewal_due", "review_overdue"}
    assert [(each.code, each.fails) for each in checked.findings if each.code in ours] == found


def test_the_gate_of_a_pipeline_fails_and_then_passes(settings: Any, capsys: Any) -> None:
    settings.MUSTER_PROBE_GATES = dict.fromkeys(settings.MUSTER_PROBE_GATES, "off")
    agent = due_in(-1)
    # Nothing else of it fails: it may call nothing, so that nothing is attacked.
    register.remove_allowlist_entry(
        agent_id=agent.pk, tool=agent.allowlist.get().tool, by=agent.owner
    )
    with pytest.raises(SystemExit) as stopped:
        call_command("check_agent", agent.slug)
    assert stopped.value.code == 1

    api = api_of(agent.owner)
    path = f"/api/v1/agents/{agent.slug}/renewal"
    api.post(path, {"needed": True, "seen": api.get(path).json()["seen"]}, format="json")

    call_command("check_agent", agent.slug)
    assert capsys.readouterr().out.strip().endswith("is in order.")


# The badge


def test_a_badge_opens_by_its_key_alone_and_tells_state_and_dates_alone() -> None:
    agent = due_in(60)
    key = badge.make_key(agent_id=agent.pk, by=agent.owner)
    path, nobody = f"/api/v1/agents/{agent.slug}/badge", Client()

    said = nobody.get(f"{path}.json", {"key": key})
    picture = nobody.get(f"{path}.svg", {"key": key}, headers={"accept": "image/*"})
    wrong = nobody.get(f"{path}.json", {"key": "0" * 32})
    none = nobody.get(f"{path}.json")
    unknown = nobody.get("/api/v1/agents/no-such-agent/badge.json", {"key": key})

    assert said.json() == {
        "schemaVersion": 1,
        "label": "muster",
        "message": f"active, renewed until {agent.renewal_due}",
        "color": "brightgreen",
        "isError": False,
        "cacheSeconds": 300,
    }
    assert said["Cache-Control"] == "public, max-age=300"
    assert (picture.status_code, picture["Content-Type"]) == (200, "image/svg+xml; charset=utf-8")
    again = nobody.get(f"{path}.svg", {"key": key}, headers={"if-none-match": picture["ETag"]})
    assert again.status_code == 304
    assert [each.status_code for each in (wrong, none, unknown)] == [404, 404, 404]
    assert wrong.content == none.content == unknown.content


def test_another_key_ends_the_first_and_no_key_is_kept() -> None:
    agent = due_in(60)
    first = page_of(agent.owner).post(f"/agents/{agent.slug}/badge/").context["document"]
    key = first.partition("key=")[2]

    badge.make_key(agent_id=agent.pk, by=agent.owner)

    assert Client().get(f"/api/v1/agents/{agent.slug}/badge.json?key={key}").status_code == 404
    assert BadgeKey.objects.filter(digest__contains=key).count() == 0


def test_whoever_sees_the_agent_needs_no_key_and_is_cached_for_themself() -> None:
    agent = due_in(60)

    mine = page_of(agent.owner).get(f"/api/v1/agents/{agent.slug}/badge.json")
    others = page_of(make_person()).get(f"/api/v1/agents/{agent.slug}/badge.json")

    assert (mine.status_code, mine["Cache-Control"]) == (200, "private, max-age=300")
    assert others.status_code == 404


def test_only_whoever_answers_for_it_makes_a_key() -> None:
    agent = due_in(60)

    page_of(security()).post(f"/agents/{agent.slug}/badge/")

    assert not BadgeKey.objects.exists()


# Settings


@pytest.mark.parametrize(
    ("tier", "least", "most"),
    [("restricted", 1, 6), ("confidential", 1, 12), ("internal", 1, 24), ("public", 1, 24)],
)
def test_months_beyond_the_tier_are_refused_at_start(tier: str, least: int, most: int) -> None:
    refused = [months for months in range(-1, 30) if tiers.wrong_months(tier, months)]

    assert refused == [-1, 0, *range(most + 1, 30)]
    assert least <= tiers.MONTHS_TO_RENEWAL[tier][0] <= most


def test_twenty_four_months_may_be_asked_for_internal(settings: Any) -> None:
    settings.MUSTER_RENEWAL_MONTHS = settings.MUSTER_RENEWAL_MONTHS | {"internal": 24}
    agent = make_agent(tool=make_tool())

    assert agent.renewal_due is not None
    assert (agent.renewal_due - clock.now().date()).days > 725
