"""Campaigns and observe mode in a real browser: both themes, wide and on a phone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from governance.kernel import clock
from lifecycle.campaigns.candidates import look_up
from lifecycle.campaigns.reading import read_rows
from lifecycle.campaigns.services import start_campaign
from registry import changes, services
from tests.factories.registry import make_agent, make_person, security
from tests.lifecycle.browsing import CHROMIUM, signed_in, wrong

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here"),
    pytest.mark.django_db(transaction=True),
]
LIST = "name,owner,purpose,tools\nNight bot,{0},Reads the night's claims.,\nOld bot,,,\n!!,{0},,\n"


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


def test_a_list_is_looked_at_sent_out_and_accepted(browser: Browser, live_server: Any) -> None:
    owner, by = make_person(), security()
    with signed_in(browser, live_server.url, by) as context:
        page = context.new_page()
        page.goto(f"{live_server.url}/campaigns/new/")
        page.get_by_label("What is it called?").fill("Autumn")
        page.get_by_label("Or paste it").fill(LIST.format(owner.email))
        page.get_by_role("button", name="Look at it").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("3 found: 2 with an owner")
        assert wrong(page, "campaign-preview") == []
        page.get_by_role("button", name="Send it out").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Autumn")
        assert wrong(page, "campaign") == []
    with signed_in(browser, live_server.url, owner) as context:
        page = context.new_page()
        page.goto(f"{live_server.url}/inbox/")
        expect(page.get_by_role("heading", name="2 agents may be yours")).to_be_visible()
        assert wrong(page, "campaign-inbox") == []
        page.get_by_label("Name of !! on the register").fill("nameless-bot")
        page.get_by_role("button", name="Accept").click()
        expect(page.get_by_text("Accepted 2. Each is your draft now.")).to_be_visible()
    assert {agent.slug for agent in owner.owned_agents.all()} == {"night-bot", "nameless-bot"}


def test_observe_mode_is_loud(browser: Browser, live_server: Any) -> None:
    agent = make_agent()
    with signed_in(browser, live_server.url, agent.owner) as context:
        page = context.new_page()
        page.goto(f"{live_server.url}/agents/{agent.slug}/observe/")
        assert wrong(page, "observe-form") == []
        page.get_by_label("Why is it not enforced yet?").fill("It runs since spring.")
        page.get_by_role("button", name="Ask security").click()
        expect(page.get_by_text("It waits for a second person").first).to_be_visible()
        change = services.propose_observation(
            agent_id=agent.pk, days=14, by=agent.owner, reason="It runs since spring."
        )
        changes.agree(change_id=change.pk, by=security())
        page.goto(f"{live_server.url}/agents/{agent.slug}/")
        expect(page.get_by_text("Observed, not enforced").first).to_be_visible()
        assert wrong(page, "observe-agent") == []
        page.goto(f"{live_server.url}/agents/{agent.slug}/observe/")
        assert wrong(page, "observe-on") == []
        page.get_by_role("button", name="Enforce from now on").click()
        expect(page.get_by_text("is enforced from now on")).to_be_visible()


def test_a_long_list_of_campaigns_reads_on_a_phone(browser: Browser, live_server: Any) -> None:
    by = security()
    due = (clock.now() + timedelta(days=9)).date()
    for name in ("Autumn", "Winter"):
        looked = look_up(read_rows(LIST.format("nobody@x.example").encode()))
        start_campaign(name=name, looked=looked, due=due, by=by)
    with signed_in(browser, live_server.url, by) as context:
        page = context.new_page()
        page.goto(f"{live_server.url}/campaigns/")
        assert wrong(page, "campaigns") == []
