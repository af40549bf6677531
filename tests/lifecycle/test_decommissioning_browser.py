"""The end of an agent in a real browser: plan, word, end, certificate."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from lifecycle.decommissioning import working
from registry import services as register
from registry import vault
from registry.models import Agent
from tests.factories.registry import make_agent, make_person
from tests.lifecycle.browsing import CHROMIUM, signed_in, wrong

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here"),
    pytest.mark.django_db(transaction=True),
]


def test_plan_word_end_certificate(browser: Browser, live_server: Any) -> None:
    agent, friend = make_agent(slug="night-desk"), make_person(name="Lars Holm")
    register.set_dependents(agent_id=agent.pk, people=[friend], agents=[], by=agent.owner)
    vault.create("vault://night/desk", "worth", agent=agent, by=agent.owner)
    at = f"{live_server.url}/agents/{agent.slug}/"
    with signed_in(browser, live_server.url, agent.owner) as context:
        page = context.new_page()
        page.goto(at)
        page.get_by_role("link", name="What would end with it").click()
        expect(page.get_by_role("heading", name="End night-desk?")).to_be_visible()
        assert wrong(page, "end-plan") == []
        page.get_by_label("Reason, shown to everyone who looks").fill("Its task is over.")
        page.get_by_role("button", name="Tell them, and end it then").click()
        expect(page.get_by_text("Its end is ordered")).to_be_visible()

    with signed_in(browser, live_server.url, friend) as context:
        page = context.new_page()
        page.goto(f"{live_server.url}/inbox/")
        assert wrong(page, "end-inbox") == []
        page.get_by_role("button", name="I know that night-desk ends").first.click()
        expect(page.get_by_role("heading", name="night-desk is ending")).to_be_visible()

    with signed_in(browser, live_server.url, agent.owner) as context:
        page = context.new_page()
        page.goto(f"{at}end/")
        expect(page.get_by_text("its turn comes").first).to_be_visible()
        assert wrong(page, "end-running") == []
        working.carry_on(run_id=Agent.objects.get(pk=agent.pk).end_run.pk)
        # By itself, without anybody loading the page.
        expect(page.get_by_role("heading", name="What was ended")).to_be_visible()
        expect(page.get_by_text("Not everything is ended")).to_be_visible()
        page.reload()
        assert wrong(page, "end-done") == []
        with page.expect_download() as download:
            page.get_by_role("link", name="PDF of edition 1").click()
        assert download.value.suggested_filename == "night-desk-end-1.pdf"
