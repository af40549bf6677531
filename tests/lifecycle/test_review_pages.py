"""Reviews in the admin and over REST: who sees what, and what an answer does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from governance.kernel.database_clock import database_now
from lifecycle.models import Review
from lifecycle.reviews import selectors, services
from registry import services as register
from registry.enums import AgentState, GroupName
from registry.models import Agent, Person
from tests.factories.registry import make_agent, make_person, make_system, make_tool

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _plain(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False
    settings.MUSTER_PROBE_GATES = dict.fromkeys(settings.MUSTER_PROBE_GATES, "off")


def as_person(person: Person) -> Client:
    client = Client()
    client.force_login(person)
    return client


def staff(*groups: GroupName) -> Person:
    return make_person(*groups, is_staff=True)


def sent(tier: str = "confidential", **fields: Any) -> Review:
    return Review.objects.get(agent=make_agent(AgentState.IN_REVIEW, tier=tier, **fields))


def post(client: Client, path: str, body: dict[str, Any] | None = None) -> Any:
    return client.post(path, body or {}, content_type="application/json")


@pytest.mark.parametrize(
    ("group", "status"),
    [("security", 200), ("dpo", 200), ("auditor", 200), ("platform_admin", 200)],
)
def test_readers_open_queue_and_page(group: str, status: int) -> None:
    review = sent("restricted")
    client = as_person(staff(GroupName(group)))

    for path in ("", "?queue=mine", "?queue=overdue", "?queue=all", f"{review.pk}/change/"):
        assert client.get(f"/admin/lifecycle/review/{path}").status_code == status


@pytest.mark.parametrize("group", [GroupName.SOURCE_OWNER])
def test_others_do_not_open_the_queue(group: GroupName) -> None:
    client = as_person(staff(group))

    assert client.get("/admin/lifecycle/review/").status_code == 403


def test_a_signature_that_is_late_says_since_when(time_machine: Any) -> None:
    review = sent("restricted")
    page, reader = f"/agents/{review.agent.slug}/", as_person(make_person(GroupName.AUDITOR))

    in_time = reader.get(page).content.decode()
    time_machine.move_to(review.steps.latest("due").due + timedelta(hours=1))
    over = as_person(make_person(GroupName.AUDITOR)).get(page).content.decode()

    assert ("late: was due" in in_time, "late: was due" in over) == (False, True)


def test_an_answer_in_the_admin_is_for_what_was_shown() -> None:
    review = sent("confidential")
    client = as_person(staff(GroupName.SECURITY))
    step = review.steps.get()
    place = f"/admin/lifecycle/review/{review.pk}"

    client.post(f"{place}/approve/", {"step": step.pk, "digest": "0" * 64})
    before = Agent.objects.get(pk=review.agent_id).state
    client.post(f"{place}/approve/", {"step": step.pk, "digest": review.digest, "reason": "Yes."})

    assert (before, Agent.objects.get(pk=review.agent_id).state) == ("in_review", "active")
    assert client.get(f"{place}/change/").status_code == 200


@pytest.mark.parametrize("step", ["", "x", "9" * 30, "999999"])
def test_an_answer_to_no_step_is_told(step: str) -> None:
    review = sent()
    client = as_person(staff(GroupName.SECURITY))

    answer = client.post(
        f"/admin/lifecycle/review/{review.pk}/approve/", {"step": step}, follow=True
    )

    assert answer.status_code == 200
    assert "oad the review again" in answer.content.decode()


def test_a_change_of_a_live_row_has_its_page() -> None:
    agent = make_agent(tier="restricted")
    register.set_allowlist_entry(
        agent_id=agent.pk, tool=make_tool(make_system(tier="restricted")), by=agent.owner
    )
    review = Review.objects.get(agent=agent, kind="change")
    page = as_person(staff(GroupName.DPO)).get(f"/admin/lifecycle/review/{review.pk}/change/")
    inbox = as_person(make_person(GroupName.DPO)).get(f"/inbox/?item=change:{review.change_id}")

    assert page.status_code == 200
    assert "What changes" in page.content.decode()
    assert "Data protection officer" in inbox.content.decode() or "DPO" in inbox.content.decode()


def test_the_dpo_signs_a_change_in_the_inbox() -> None:
    agent = make_agent(tier="restricted")
    tool = make_tool(make_system(tier="restricted"))
    register.set_allowlist_entry(agent_id=agent.pk, tool=tool, by=agent.owner)
    review = Review.objects.get(agent=agent, kind="change")
    place = f"/inbox/change:{review.change_id}/approve/"

    as_person(make_person(GroupName.SECURITY)).post(place, {"digest": review.digest})
    during = agent.allowlist.count()
    as_person(make_person(GroupName.DPO)).post(place, {"digest": review.digest})

    assert (during, agent.allowlist.count()) == (1, 2)


def test_the_owner_sees_how_far_it_is() -> None:
    review = sent("restricted")
    page = as_person(review.agent.owner).get(f"/agents/{review.agent.slug}/").content.decode()

    assert "DPO" in page
    assert "sent for review" in page


# REST


def test_the_queue_over_rest() -> None:
    late, other = sent("restricted"), sent("confidential")
    dpo, stranger = make_person(GroupName.DPO), make_person()

    mine = as_person(dpo).get("/api/v1/reviews?queue=mine&state=open").json()
    every = as_person(dpo).get("/api/v1/reviews").json()

    assert [each["agent"] for each in mine["results"]] == [late.agent.slug]
    assert [each["agent"] for each in every["results"]] == [other.agent.slug, late.agent.slug]
    assert as_person(stranger).get("/api/v1/reviews").json()["results"] == []
    assert as_person(stranger).get(f"/api/v1/reviews/{late.pk}").status_code == 404
    assert as_person(dpo).get("/api/v1/reviews?queue=all").status_code == 400


def test_signing_over_rest() -> None:
    review = sent("restricted")
    guard, dpo = make_person(GroupName.SECURITY), make_person(GroupName.DPO)
    steps = {step.role: step.pk for step in review.steps.all()}
    place = f"/api/v1/reviews/{review.pk}"
    digest = as_person(guard).get(place).json()["digest"]

    def approve(person: Person, role: str, body: dict[str, Any]) -> Any:
        return post(as_person(person), f"{place}/steps/{steps[role]}/approve", body)

    assert approve(guard, "security", {}).status_code == 400
    assert approve(guard, "dpo", {"digest": digest}).status_code == 403
    assert approve(guard, "security", {"digest": "0" * 64}).json()["code"] == "row_changed"
    assert approve(guard, "security", {"digest": digest}).json()["state"] == "open"
    assert approve(guard, "security", {"digest": digest}).json()["code"] == "step_answered"
    said = post(as_person(dpo), f"{place}/comments", {"text": "Soon."})
    assert approve(dpo, "dpo", {"digest": digest, "reason": "Yes."}).json()["state"] == "approved"

    assert said.status_code == 201
    assert [each["kind"] for each in as_person(dpo).get(place).json()["events"]] == [
        "opened", "approved", "comment", "approved", "closed",
    ]  # fmt: skip


@pytest.mark.parametrize("word", ["ask-for-change", "reject"])
def test_refusing_over_rest(word: str) -> None:
    review = sent("confidential")
    guard = as_person(make_person(GroupName.SECURITY))
    place = f"/api/v1/reviews/{review.pk}/steps/{review.steps.get().pk}/{word}"

    without = post(guard, place)
    answer = post(guard, place, {"reason": "Narrow it."})

    assert without.status_code == 400
    assert answer.json()["state"] == {"ask-for-change": "changes", "reject": "rejected"}[word]
    assert post(guard, place, {"reason": "Again."}).status_code == 409


def test_absences_over_rest() -> None:
    away, deputy = make_person(GroupName.DPO), make_person(GroupName.DPO)
    today = database_now().date()
    body = {
        "stand_in": deputy.email,
        "first_day": today.isoformat(),
        "last_day": (today + timedelta(days=2)).isoformat(),
    }

    made = post(as_person(away), "/api/v1/absences", body)
    other = post(as_person(away), "/api/v1/absences", body | {"stand_in": make_person().email})
    listed = as_person(deputy).get("/api/v1/absences").json()["results"]
    ended = post(as_person(away), f"/api/v1/absences/{made.json()['id']}/end")
    foreign = post(as_person(make_person()), f"/api/v1/absences/{made.json()['id']}/end")

    assert (made.status_code, other.status_code, len(listed)) == (201, 400, 1)
    assert ended.json()["ended_at"] is not None
    assert foreign.status_code == 404


def test_metrics_are_counted_and_for_readers() -> None:
    review = sent("confidential")
    guard = make_person(GroupName.SECURITY)
    services.approve_step(step_id=review.steps.get().pk, by=guard)
    Review.objects.filter(pk=review.pk).update(opened_at=database_now() - timedelta(hours=30))
    refused, late = sent("confidential"), sent("restricted")
    services.reject_step(step_id=refused.steps.get().pk, by=guard, reason="No.")
    late.steps.update(due=database_now() - timedelta(hours=1))

    found = as_person(guard).get("/api/v1/reviews/metrics").json()

    assert (found["open"], found["overdue"], found["decided"], found["approved"]) == (1, 1, 2, 1)
    times = {each["tier"]: each for each in found["time_to_live"]}
    assert round(times["confidential"]["hours"]) == 30
    assert times["restricted"] == {"tier": "restricted", "hours": None, "live": 0}
    assert as_person(make_person()).get("/api/v1/reviews/metrics").status_code == 403
    assert selectors.metrics(database_now()).rate == "50 % of 2"


def test_absences_page() -> None:
    away, deputy = make_person(GroupName.DPO), make_person(GroupName.DPO)
    client, today = as_person(away), database_now().date()
    given = {"stand_in": deputy.pk, "first_day": today, "last_day": today + timedelta(days=1)}

    wrong = client.post("/absences/", given | {"last_day": today - timedelta(days=4)})
    client.post("/absences/", given)
    row = away.absences.get()
    client.post(f"/absences/{row.pk}/end/")
    row.refresh_from_db()

    assert wrong.status_code == 200
    assert row.ended_at is not None
    assert client.get("/absences/").status_code == 200
