"""The drill of promise 28 in a real browser: codes from a safe, an hour, a review."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from audit import leaf
from audit.models import Record
from lifecycle.models import BreakGlass, SealedCode
from registry import services as register
from registry.enums import AgentState, GroupName
from registry.models import Agent, Person, ProposedChange
from tests.factories.registry import make_agent, make_person, make_system, security
from tests.lifecycle.browsing import CHROMIUM, signed_in, wrong_at_a_glance

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here"),
    pytest.mark.django_db(transaction=True),
]
PASSWORD = "correct horse battery staple"
WHY = "The provider is away and an agent runs wild."


def test_the_drill_from_the_safe_to_the_review(
    browser: Browser,
    live_server: Any,
    settings: Any,
) -> None:
    settings.MUSTER_LOCAL_SIGN_IN, settings.MUSTER_APPROVER_MFA = "off", False
    base, agent = live_server.url, make_agent(slug="refund-desk")
    one, two = security(), security()
    auditor = make_person(GroupName.AUDITOR, name="Ida Rask")
    for person in (one, two):
        register.set_own_password(person_id=person.pk, password=PASSWORD, by=person)
    system = make_system(tier="restricted")
    register.save_system(slug=system.slug, by=one, tier="internal")
    asked = ProposedChange.objects.get()

    one.refresh_from_db()
    with signed_in(browser, base, one) as context:
        codes = the_codes_are_sealed(context.new_page(), base, two)
    with browser.new_context() as context:
        page = context.new_page()
        comes_in(page, base, one, codes[0])
        stops_and_no_more(page, base, agent, asked)
        page.get_by_role("button", name="Give it back").click()
        page.goto(f"{base}/emergency/")
        expect(page.get_by_text("It cannot be opened now")).to_be_visible()
        assert wrong_at_a_glance(page, "emergency-shut") == []

    used = BreakGlass.objects.get()
    assert Agent.objects.get(pk=agent.pk).state == AgentState.SUSPENDED
    assert SealedCode.objects.filter(used_at__isnull=True).count() == 3
    assert everything_is_marked(used, agent)
    with signed_in(browser, base, auditor) as context:
        is_reviewed(context.new_page(), base)
    used.refresh_from_db()
    assert (used.closed_by, used.slot) == (auditor, None)


def the_codes_are_sealed(page: Page, base: str, second: Person) -> list[str]:
    page.goto(f"{base}/emergency/uses/")
    assert wrong_at_a_glance(page, "emergency-none") == []
    page.get_by_role("link", name="Seal new codes").click()
    assert wrong_at_a_glance(page, "emergency-seal") == []
    page.get_by_label("E-mail address of the second person").fill(second.email)
    page.get_by_label("Their password").fill(PASSWORD)
    page.get_by_role("button", name="Make them").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Print these now")
    assert wrong_at_a_glance(page, "emergency-sealed") == []
    return page.locator("main li .mono").all_inner_texts()


def comes_in(page: Page, base: str, person: Person, code: str) -> None:
    page.goto(f"{base}/accounts/login/")
    page.get_by_role("link", name="Emergency access").click()
    assert wrong_at_a_glance(page, "emergency-open") == []
    page.get_by_label("Your e-mail address").fill(person.email)
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_label("Why").fill(WHY)
    page.get_by_role("textbox", name="Sealed code").fill(code.lower())
    page.get_by_role("button", name="Open it and page everyone").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You have emergency access")
    assert wrong_at_a_glance(page, "emergency-mine") == []


def stops_and_no_more(page: Page, base: str, agent: Agent, asked: ProposedChange) -> None:
    page.get_by_role("link", name="Find the agent").click()
    page.get_by_role("link", name=agent.slug, exact=True).first.click()
    page.goto(f"{base}/agents/{agent.slug}/suspend/")
    page.locator("[name=reason]").fill("It runs wild.")
    page.get_by_role("button", name="Suspend").last.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(agent.slug)
    token = page.locator("[name=csrfmiddlewaretoken]").first.input_value()
    for place in (f"/inbox/change:{asked.pk}/approve/", f"/agents/{agent.slug}/resume/"):
        sent = page.request.post(
            f"{base}{place}", form={"csrfmiddlewaretoken": token}, headers={"Referer": base}
        )
        assert (sent.status, "Not under emergency access" in sent.text()) == (403, True)
    asked.refresh_from_db()
    assert asked.state == "proposed"


def everything_is_marked(used: BreakGlass, agent: Agent) -> bool:
    """Whether each entry made under it names it, the suspension among them."""
    made = Record.objects.filter(at__gte=used.opened_at, at__lte=used.ended_at)
    bodies = [leaf.parse_body(bytes(each.body))["asked"] for each in made]
    assert "agent_suspended" in {each["did"] for each in bodies}
    return {each.get("break_glass") for each in bodies} == {str(used.pk)}


def is_reviewed(page: Page, base: str) -> None:
    page.goto(f"{base}/inbox/")
    assert wrong_at_a_glance(page, "emergency-inbox") == []
    page.get_by_role("link", name="Read what was done, and review it").click()
    expect(page.get_by_text("Agent suspended")).to_be_visible()
    assert wrong_at_a_glance(page, "emergency-review") == []
    page.get_by_label("What you found").fill("It was needed, and what was done was right.")
    page.get_by_role("button", name="Close it").click()
    expect(page.get_by_text("Reviewed and closed.")).to_be_visible()
    expect(page.get_by_text("Emergency access was used")).to_have_count(0)
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Emergency").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("is reviewed")
    assert wrong_at_a_glance(page, "emergency-uses") == []
