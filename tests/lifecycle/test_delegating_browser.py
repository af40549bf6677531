"""Whom an agent hands over to, in a real browser: declared, changed, taken away, in both themes."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from registry.models import SubAgent
from tests.factories.registry import make_agent, make_person
from tests.lifecycle.browsing import CHROMIUM, signed_in, wrong

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here"),
    pytest.mark.django_db(transaction=True),
]

SCHEMA = '{"type": "object", "properties": {"ids": {"type": "array"}}}'


def test_an_owner_declares_a_sub_agent_and_takes_it_away(
    browser: Browser, live_server: Any
) -> None:
    owner = make_person()
    agent, other = make_agent(owner=owner, slug="planner"), make_agent(slug="researcher")
    with signed_in(browser, live_server.url, owner) as context:
        page = context.new_page()
        page.goto(f"{live_server.url}/agents/{agent.slug}/")
        page.get_by_role("link", name="What it takes in from them").or_(
            page.get_by_role("link", name="Declare whom it hands over to")
        ).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Whom planner hands over to")
        expect(page.get_by_text("It hands over to no other agent")).to_be_visible()
        assert wrong(page, "sub-agents-none") == []
        page.get_by_label("Agent", exact=True).select_option(label="researcher")
        page.get_by_label("JSON Schema that an answer must meet").fill("{")
        page.get_by_role("button", name="Declare it").click()
        expect(page.get_by_text("This is not JSON").first).to_be_visible()
        assert wrong(page, "sub-agents-error") == []
        page.get_by_label("JSON Schema that an answer must meet").fill(SCHEMA)
        page.get_by_role("button", name="Declare it").click()
        expect(page.get_by_role("row", name="researcher")).to_contain_text("untrusted")
        assert wrong(page, "sub-agents") == []
        page.get_by_role("link", name="Change researcher").click()
        page.get_by_label("Its answers may be at the most").select_option("public")
        assert wrong(page, "sub-agent") == []
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("row", name="researcher")).to_contain_text("public")
        page.goto(f"{live_server.url}/agents/{agent.slug}/")
        expect(page.get_by_text("answers up to public, untrusted, by a schema")).to_be_visible()
        page.goto(f"{live_server.url}/agents/{agent.slug}/sub-agents/")
        page.get_by_role("button", name="Take it away").click()
        expect(page.get_by_text("planner hands over to researcher no more")).to_be_visible()
    assert not SubAgent.objects.filter(agent=agent, sub_agent=other).exists()
