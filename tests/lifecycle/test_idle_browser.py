"""Idle agents in a real browser: found among what is due, answered in three ways; both themes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from authz.decide import decide
from governance.kernel import clock
from lifecycle import sweeps
from lifecycle.models import Case
from registry.enums import GroupName
from registry.models import Agent, AllowlistEntry, Person
from tests.factories.authz import Desk, make_desk, make_tool
from tests.factories.registry import make_person
from tests.lifecycle.browsing import CHROMIUM, signed_in, wrong

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


def silent(owner: Person) -> Desk:
    """An agent of this owner that never asked in a hundred days, with two tools."""
    desk = make_desk()
    AllowlistEntry.objects.create(agent=desk.agent, tool=make_tool(desk.system))
    ago = clock.now() - timedelta(days=100)
    rows = Agent.objects.filter(pk=desk.agent.pk)
    rows.update(owner=owner, state_changed_at=ago, activated_at=ago)
    return desk


def answer(page: Page, desk: Desk, base: str) -> None:
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(f"{base}/due/")
    row = page.get_by_role("row").filter(has_text=desk.agent.slug)
    row.get_by_role("link", name="it is idle").click()


def test_an_owner_finds_their_idle_agents_and_answers_for_each(
    browser: Browser, live_server: Any
) -> None:
    owner, admin = make_person(), make_person(GroupName.PLATFORM_ADMIN)
    kept, less, gone = silent(owner), silent(owner), silent(owner)
    sweeps.run_sweep("idle")

    with signed_in(browser, live_server.url, owner) as context:
        page = context.new_page()
        page.goto(live_server.url)
        expect(page.get_by_role("heading", name="Three things wait for you")).to_be_visible()
        page.goto(f"{live_server.url}/due/")
        assert wrong(page, "due") == []

        answer(page, kept, live_server.url)
        assert wrong(page, "idle") == []
        page.set_viewport_size({"width": 1440, "height": 900})
        page.get_by_label("Why is it still needed?").fill("It runs at the end of each quarter.")
        page.get_by_role("button", name="Renew it").click()
        expect(page.get_by_text("Its clock begins anew today.")).to_be_visible()

        answer(page, less, live_server.url)
        page.get_by_label(less.tool.name, exact=True).check()
        page.get_by_role("button", name="Narrow it").click()
        expect(page.get_by_text("is kept with less.")).to_be_visible()

        answer(page, gone, live_server.url)
        page.get_by_role("button", name="End it").click()
        expect(page.get_by_text("gets nothing from now on")).to_be_visible()

    outcomes = dict(Case.objects.values_list("agent__slug", "outcome"))
    assert outcomes == {
        kept.agent.slug: "renewed",
        less.agent.slug: "narrowed",
        gone.agent.slug: "ended",
    }
    # It is called all the same: a zombie now, for whoever operates Muster.
    decide([gone.ask()], gone.gateway_caller)
    with signed_in(browser, live_server.url, admin) as context:
        page = context.new_page()
        page.goto(f"{live_server.url}/strays/")
        expect(page.get_by_role("link", name=gone.agent.slug)).to_be_visible()
        assert wrong(page, "strays") == []
        page.goto(f"{live_server.url}/sweeps/")
        assert wrong(page, "sweeps") == []
