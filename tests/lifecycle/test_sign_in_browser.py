"""In a real browser: in through the house's provider, and the drill when that is away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from lifecycle.models import BreakGlass
from registry import services as register
from registry.enums import AgentState, GroupName
from registry.models import Agent
from tests.factories.registry import make_agent, make_person, security
from tests.lifecycle.browsing import CHROMIUM, shot, signed_in, wrong_at_a_glance
from tests.registry.peers import House

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed"),
]
PASSWORD = "correct horse battery staple"


def test_in_through_the_house_and_the_drill_when_it_is_away(
    browser: Browser, live_server: Any, settings: Any, tmp_path: Path
) -> None:
    base = live_server.url
    settings.MUSTER_BASE_URL, settings.MUSTER_LOCAL_SIGN_IN = base, "off"
    house = House(tmp_path, f"{base}/sign-in/with/house/back/")
    settings.MUSTER_EGRESS_CA = str(house.ca)
    settings.MUSTER_EGRESS_ALLOWED = frozenset({f"localhost:{house.port}"})
    entry = {"id": "house", "name": "House", "issuer": house.issuer, "client_id": "muster"}
    entry |= {"groups_claim": "groups"}
    settings.MUSTER_SIGN_IN_PROVIDERS = [entry | {"secret": house.secret}]
    one, two = security(), security()
    agent, auditor = make_agent(), make_person(GroupName.AUDITOR)
    admin = make_person(GroupName.PLATFORM_ADMIN)
    for person in (one, two):
        register.set_own_password(person_id=person.pk, password=PASSWORD, by=person)
    house.knows("ada", email=one.email, email_verified=True, amr=["mfa"])

    try:
        given: dict[str, Any] = {"ignore_https_errors": True}
        page = browser.new_context(**given).new_page()
        page.goto(f"{base}/agents/")
        shot(page, "sign-in")
        page.emulate_media(color_scheme="dark")
        shot(page, "sign-in-dark")
        page.get_by_role("link", name="Sign in with House").click()
        page.get_by_label("Name").fill("ada")
        page.get_by_role("button", name="Sign in at the house").click()
        page.wait_for_url(f"{base}/agents/")
    finally:
        house.stop()

    page = browser.new_context().new_page()
    page.goto(f"{base}/accounts/login/")
    page.get_by_role("link", name="Sign in with House").click()
    page.get_by_role("heading", name="You are not signed in").wait_for()
    shot(page, "house-away")
    page.get_by_role("link", name="Other ways to sign in").click()
    page.get_by_role("link", name="Emergency access").click()
    shot(page, "emergency")
    page.emulate_media(color_scheme="dark")
    shot(page, "emergency-dark")
    page.get_by_label("Your e-mail address").fill(one.email)
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_label("Why").fill("The house is away and an agent runs wild.")
    page.get_by_label("E-mail address of the second person").fill(two.email)
    page.get_by_label("Their password").fill(PASSWORD)
    page.get_by_role("button", name="Open it and page everyone").click()
    page.get_by_text("Emergency access, yours until").wait_for()
    shot(page, "emergency-on")
    page.goto(f"{base}/agents/{agent.slug}/suspend/")
    page.locator("[name=reason]").fill("It runs wild.")
    page.get_by_role("button", name="Suspend").last.click()
    page.get_by_role("button", name="Give it back").click()

    assert Agent.objects.get(pk=agent.pk).state == AgentState.SUSPENDED
    used = BreakGlass.objects.get()
    page = signed_in(browser, base, auditor).new_page()
    page.goto(f"{base}/emergency/uses/{used.pk}/")
    shot(page, "emergency-review")
    page.get_by_label("What you found").fill("It was needed, and what was done was right.")
    page.get_by_role("button", name="Close it").click()
    page.get_by_text("Reviewed and closed.").wait_for()
    settings.MUSTER_APPROVER_MFA = False
    the_groups_of_the_house_are_named(signed_in(browser, base, admin).new_page(), base)
    assert page.get_by_text("Emergency access was used").count() == 0


def the_groups_of_the_house_are_named(page: Page, base: str) -> None:
    page.goto(f"{base}/people/")
    page.get_by_role("link", name="Groups", exact=True).click()
    page.get_by_label("Group there").fill("sec-ops")
    page.get_by_label("Group here").select_option(GroupName.SECURITY)
    page.get_by_role("button", name="Propose it").click()
    page.get_by_role("link", name="Open it").wait_for()
    assert wrong_at_a_glance(page, "sign-in-groups") == []
