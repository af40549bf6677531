"""Every tier's review from end to end in a real browser: the right people, and the wrong ones."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from governance.kernel.database_clock import database_now
from lifecycle.models import Review
from lifecycle.reviews import services
from registry import reach
from registry import services as register
from registry.enums import AgentState, GroupName, Tier
from registry.models import Agent, Person
from tests.factories.registry import make_agent, make_draft, make_person, make_system, make_tool
from tests.lifecycle.browsing import CHROMIUM, WIDE, shot, signed_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here"),
    pytest.mark.django_db(transaction=True),
]
PAIR = reach.Combination("pair", frozenset({"names", "places"}), Tier.RESTRICTED, "Both tell who.")


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False
    settings.MUSTER_PROBE_GATES = dict.fromkeys(settings.MUSTER_PROBE_GATES, "off")


def staff(*groups: GroupName) -> Person:
    return make_person(*groups, is_staff=True)


def state_of(review: Review) -> str:
    return Agent.objects.get(pk=review.agent_id).state


class Desk:
    """The live server, visited as anyone."""

    def __init__(self, browser: Browser, base: str) -> None:
        self.browser, self.base = browser, base

    def visit(self, person: Person, path: str) -> Page:
        page = signed_in(self.browser, self.base, person).new_page()
        page.goto(self.base + path)
        return page

    def admin(self, person: Person, review: Review) -> Page:
        return self.visit(person, f"/admin/lifecycle/review/{review.pk}/change/")

    def sign(self, person: Person, review: Review, role: str) -> str:
        """Approve in the admin; returns what the page says then."""
        page = self.admin(person, review)
        page.get_by_label("Reason, kept on the record").first.fill("Read, and fine.")
        page.get_by_role("button", name=f"Approve as {role}").click()
        said = page.locator(".messagelist").inner_text()
        page.context.close()
        return said

    def refused(self, person: Person, review: Review) -> str:
        """The sentence beside the disabled control."""
        page = self.admin(person, review)
        expect(page.get_by_role("button", name="Approve", exact=True)).to_be_disabled()
        said = page.locator("#why-not").inner_text()
        page.context.close()
        return said


@pytest.fixture
def desk(browser: Browser, live_server: Any) -> Desk:
    return Desk(browser, live_server.url)


def sent(tier: str, **fields: Any) -> Review:
    agent = make_agent(AgentState.IN_REVIEW, tier=tier, **fields)
    return Review.objects.get(agent=agent)


@pytest.mark.parametrize("tier", ["public", "internal"])
def test_the_owner_attests_what_is_public_or_internal(desk: Desk, tier: str) -> None:
    agent = make_draft(tool=make_tool(make_system(tier=tier)))
    page = desk.visit(agent.owner, f"/agents/{agent.slug}/")

    page.get_by_role("button", name="Attest and go live").click()

    page.wait_for_load_state()
    agent.refresh_from_db()
    assert (agent.state, Review.objects.get(agent=agent).state) == ("active", "approved")


def test_confidential_is_signed_by_security(desk: Desk) -> None:
    review = sent("confidential")
    page = desk.visit(review.agent.owner, f"/agents/{review.agent.slug}/")
    expect(page.get_by_text("In review: not live before everyone has signed")).to_be_visible()

    wrong = desk.refused(staff(GroupName.DPO), review)
    said = desk.sign(staff(GroupName.SECURITY), review, "Security")

    assert wrong == f"Only security may clear {review.agent.slug} on this basis."
    assert "it is in effect from now on" in said
    assert state_of(review) == "active"


def test_restricted_is_signed_by_security_and_the_dpo(desk: Desk) -> None:
    owner = staff(GroupName.SECURITY, GroupName.DPO)
    review = sent("restricted", owner=owner)
    both = staff(GroupName.SECURITY, GroupName.DPO)

    own = desk.refused(owner, review)
    first = desk.sign(both, review, "Security")
    hats = desk.refused(both, review)
    between = state_of(review)
    desk.sign(staff(GroupName.DPO), review, "DPO")

    assert own.startswith(f"You own {review.agent.slug}, or stand in for its owner")
    assert "It waits for the others" in first
    assert "Two hats on one head count once" in hats
    assert (between, state_of(review)) == ("in_review", "active")


def test_toxic_is_signed_by_the_owners_of_the_sources_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "_catalogue", [lambda: [PAIR]])
    owners = [make_person(GroupName.SOURCE_OWNER) for _ in range(2)]
    systems = [
        make_system(categories=[name], owner=owner)
        for name, owner in zip(("names", "places"), owners, strict=True)
    ]
    agent = make_draft(tool=make_tool(systems[0]))
    register.set_allowlist_entry(agent_id=agent.pk, tool=make_tool(systems[1]), by=agent.owner)
    review = services.open_review(agent_id=agent.pk, by=agent.owner)
    guard = staff(GroupName.SECURITY)

    page = desk.admin(guard, review)
    expect(page.get_by_text("Toxic together")).to_be_visible()
    shot(page, "review-toxic")
    found = [each["id"] for each in Axe().run(page).response["violations"]]
    page.context.close()
    desk.sign(guard, review, "Security")
    wrong = desk.refused(guard, review)
    desk.sign(staff(GroupName.DPO), review, "DPO")
    for owner in owners:
        before = state_of(review)
        page = desk.visit(owner, f"/inbox/?item=review:{agent.slug}")
        page.get_by_role("button", name="Approve as Owner of").click()
        page.wait_for_load_state()
        page.context.close()
        assert before == "in_review"

    assert found == []
    assert wrong == f"Only the data protection officer may clear {agent.slug} on this basis."
    assert state_of(review) == "active"


def test_a_change_of_the_row_voids_what_was_signed_and_the_owner_sees_it(desk: Desk) -> None:
    review = sent("restricted")
    owner = review.agent.owner
    desk.sign(staff(GroupName.SECURITY), review, "Security")

    register.update_agent(agent_id=review.agent_id, by=owner, purpose="Something else.")
    page = desk.visit(owner, f"/agents/{review.agent.slug}/")
    page.get_by_text("What happened").click()

    expect(page.get_by_text("voided because")).to_be_visible()
    desk.sign(staff(GroupName.DPO), review, "DPO")
    assert state_of(review) == "in_review"


def test_sending_back_needs_a_reason_and_the_queue_is_by_due_date(desk: Desk) -> None:
    later, sooner = sent("restricted"), sent("confidential")
    guard = staff(GroupName.SECURITY)
    queue = desk.visit(guard, "/admin/lifecycle/review/?queue=mine")
    order = queue.locator("#result_list tbody tr th").all_inner_texts()
    wide = queue.evaluate(WIDE)

    page = desk.admin(guard, sooner)
    page.get_by_role("button", name="Ask for a change").click()
    without = page.locator(".messagelist").inner_text()
    page.get_by_label("Reason, kept on the record").fill("Narrow the contacts.")
    page.get_by_role("button", name="Ask for a change").click()
    page.wait_for_load_state()

    assert order == [sooner.agent.slug, later.agent.slug]
    assert wide <= 0
    assert without == "Say why, so that they can do better."
    assert (state_of(sooner), state_of(later)) == ("draft", "in_review")


def test_the_front_page_of_the_admin_has_the_figures(desk: Desk) -> None:
    review = sent("confidential")
    guard = staff(GroupName.SECURITY)
    desk.sign(guard, review, "Security")

    page = desk.visit(guard, "/admin/")
    figures = page.locator("section.sheet", has_text="Reviews, 30 days").inner_text()
    shot(page, "review-figures")

    assert "100 % of 1" in figures
    assert "Time to live, confidential" in figures


def test_somebody_names_who_stands_in(desk: Desk) -> None:
    away, deputy = make_person(GroupName.SOURCE_OWNER), make_person(GroupName.SOURCE_OWNER)
    page = desk.visit(away, "/absences/")

    page.get_by_label("Stand in").select_option(label=str(deputy))
    today = database_now().date()
    page.get_by_label("First day").fill(today.isoformat())
    page.get_by_label("Last day").fill((today + timedelta(days=3)).isoformat())
    page.get_by_role("button", name="Name them").click()

    expect(page.get_by_text(f"{deputy} stands in for you.")).to_be_visible()
    assert Axe().run(page).response["violations"] == []
