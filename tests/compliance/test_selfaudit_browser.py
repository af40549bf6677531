"""Security in a real browser: from the overview to an open point, to its row, and mended."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from registry.enums import GroupName
from tests.compliance.world import World, planted
from tests.factories.registry import make_person
from tests.lifecycle.browsing import CHROMIUM, signed_in, wrong_at_a_glance

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture
def company(settings: Any) -> World:
    settings.MUSTER_APPROVER_MFA = False
    return planted()


def test_security_finds_what_is_open_and_mends_it(
    company: World, browser: Browser, live_server: Any
) -> None:
    security = make_person(GroupName.SECURITY)
    page = signed_in(browser, live_server.url, security).new_page()

    page.goto(f"{live_server.url}/")
    page.get_by_role("link", name="Overview", exact=True).first.click()
    assert wrong_at_a_glance(page, "overview") == []
    page.locator("dl.figures").get_by_role("link", name="of 16").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("of 16 points are not met")
    assert wrong_at_a_glance(page, "self-audit") == []

    page.get_by_role("link", name="1. Every agent that runs").click()
    stranger = page.locator("tbody").get_by_role("link", name="stranger calls from")
    expect(stranger).to_be_visible()
    many = page.locator("tbody tr").count()
    assert wrong_at_a_glance(page, "self-audit-point") == []

    stranger.click()
    page.get_by_role("button", name="Block").click()
    expect(page.get_by_text("is blocked")).to_be_visible()

    page.goto(f"{live_server.url}/self-audit/1/")
    expect(page.locator("tbody tr")).to_have_count(many - 1)
    expect(stranger).to_have_count(0)
    page.get_by_role("link", name="Point 2").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("2. No row, no key")
