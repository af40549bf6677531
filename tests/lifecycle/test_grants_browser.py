"""My grants in a real browser: seen, renewed with less, ended one and all, by keyboard."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from authz.decide import decide
from authz.models import Grant
from authz.services.delegations import HandOver, delegate
from lifecycle import sweeps
from tests.factories.grants import acting_desk, given, given_before
from tests.factories.registry import security
from tests.factories.sweeping import sweep_at
from tests.lifecycle.browsing import CHROMIUM, signed_in, wrong
from tests.lifecycle.test_grants import second_agent
from tests.lifecycle.test_grants_beforehand import make_sales

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


def test_a_person_sees_renews_and_ends_what_acts_for_them(
    browser: Browser, live_server: Any
) -> None:
    sales, night = acting_desk(slug="sales-copilot"), acting_desk(slug="night-desk")
    jane = sales.person(name="Jane Okafor")
    night.desk.role.people.add(jane)
    narrowing = {"properties": {"amount": {"maximum": 700}}}
    given(sales, jane, refund=narrowing, read={})
    given_before(night, jane, days=85, left=5)
    decide([sales.ask_read(jane), sales.ask_read(jane), sales.ask(jane)], sales.desk.caller)
    wanted = HandOver(second_agent(sales), tools={sales.read.name: {}}, user=jane.pid)
    delegate(caller=sales.desk.caller, wanted=wanted)
    with signed_in(browser, live_server.url, jane) as context:
        page = context.new_page()
        page.goto(f"{live_server.url}/my/grants/")
        expect(page.get_by_role("heading", level=1)).to_have_text("Two agents may act for you")
        expect(page.get_by_role("link", name="My grants").first).to_have_attribute(
            "aria-current", "page"
        )
        expect(page.get_by_text("3 calls, last")).to_be_visible()
        assert wrong(page, "grants-mine") == []
        page.get_by_role("link", name="Everything sales-copilot did for you").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("What agents did in your name")
        assert wrong(page, "grants-calls") == []
        page.goto(f"{live_server.url}/my/grants/")
        page.get_by_role("link", name="Let it do less").first.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_label("Read a claim", exact=False)).to_be_checked()
        assert wrong(page, "grants-again") == []
        page.get_by_label("Pay a refund").uncheck()
        page.get_by_label("For how long").select_option("30")
        page.get_by_role("button", name="Let it act for me").click()
        expect(page.get_by_text("sales-copilot may act for you again.")).to_be_visible()
        page.get_by_role("link", name="End this grant… (night-desk)").click()
        assert wrong(page, "grants-end") == []
        page.get_by_role("button", name="End this grant").click()
        expect(page.get_by_text("night-desk acts for you no more.")).to_be_visible()
        assert wrong(page, "grants-after") == []
        page.goto(f"{live_server.url}/my/grants/end/")
        page.get_by_role("button", name="End all of them").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("No agent may act for you")
        assert wrong(page, "grants-none") == []
    assert not Grant.objects.filter(person=jane, ended_at__isnull=True).exists()
    assert decide([sales.ask_read(jane)], sales.desk.caller)[0].decision.code == "consent.none"


def test_security_finds_one_and_ends_it(browser: Browser, live_server: Any) -> None:
    acting, noor = acting_desk(slug="sales-copilot"), security()
    jane, emil = acting.person(name="Jane Okafor"), acting.person(name="Emil Brandt")
    given(acting, jane)
    given_before(acting, emil, days=90, left=-1)
    sweep_at(given(acting, acting.person()).given_at, "grants")
    with signed_in(browser, live_server.url, noor) as context:
        page = context.new_page()
        page.goto(f"{live_server.url}/grants/")
        assert wrong(page, "grants-all") == []
        page.get_by_label("For").fill("okafor")
        page.get_by_role("button", name="Search").click()
        page.get_by_role("link", name="End…").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(
            "End what sales-copilot may do for Jane Okafor?"
        )
        assert wrong(page, "grants-end-of-another") == []
        page.get_by_role("button", name="End this grant").click()
        expect(page.get_by_text("sales-copilot acts for Jane Okafor no more.")).to_be_visible()
        page.goto(f"{live_server.url}/agents/sales-copilot/")
        expect(page.get_by_text("Who lets it act for them")).to_be_visible()
        assert wrong(page, "grants-agent") == []
    assert Grant.objects.get(person=jane).end_cause == "security"


def test_two_people_approve_drafts_beforehand(browser: Browser, live_server: Any) -> None:
    sales, first, second = make_sales(), security(), security()
    jane = sales.person()
    with signed_in(browser, live_server.url, first) as context:
        page = context.new_page()
        page.goto(f"{live_server.url}/grants/")
        page.get_by_role("link", name="Approved beforehand").click()
        assert wrong(page, "grants-beforehand-none") == []
        page.get_by_role("link", name="Propose it…").click()
        page.get_by_label("For everyone who holds the role").select_option("sales")
        page.get_by_label("Why").fill("They all draft offers.")
        assert wrong(page, "grants-beforehand-propose") == []
        page.get_by_role("button", name="Propose it").click()
        expect(page.get_by_text("It holds when somebody else of security agrees.")).to_be_visible()
    with signed_in(browser, live_server.url, second) as context:
        page = context.new_page()
        page.goto(f"{live_server.url}/inbox/")
        page.get_by_role("button", name="Agree").click()
        page.goto(f"{live_server.url}/grants/beforehand/")
        expect(page.get_by_role("heading", level=1)).to_have_text(
            "One agent is approved beforehand"
        )
        assert wrong(page, "grants-beforehand") == []
    sweeps.run_sweep("grants")
    with signed_in(browser, live_server.url, jane) as context:
        page = context.new_page()
        page.goto(f"{live_server.url}/my/grants/")
        expect(page.get_by_text("Approved beforehand for your group.")).to_be_visible()
        assert wrong(page, "grants-mine-beforehand") == []
