"""An auditor in a real browser: from a name to the four answers, a record, and the report."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from authz.decide import decide
from registry.enums import GroupName
from tests.factories.authz import Desk, make_agent, make_desk
from tests.factories.registry import make_person
from tests.lifecycle.browsing import CHROMIUM, signed_in, wrong_at_a_glance

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture
def desk() -> Desk:
    """An agent whose run was allowed once, refused once and held once."""
    desk = make_desk(
        system_fields={"tier": "confidential", "categories": ["payment-records"]},
        tool_fields={
            "effect": "financial",
            "gates": {"amount": {"above": 400, "currency": "EUR"}},
        },
    )
    make_agent(desk.owner, slug=f"{desk.agent.slug}-two")
    amounts = ({"claim": "CL-1", "amount": 100}, {"claim": "CL-1", "amount": 900})
    asks = [desk.ask(session="run-1", parameters=each) for each in amounts]
    for ask in (*asks, desk.ask(session="run-2", tool="not.listed")):
        decide([ask], desk.caller)
    return desk


def test_an_auditor_answers_an_incident_from_a_name(
    desk: Desk, browser: Browser, live_server: Any
) -> None:
    auditor = make_person(GroupName.AUDITOR)
    page = signed_in(browser, live_server.url, auditor, accept_downloads=True).new_page()

    # A part of a name offers what may be meant; one of it is chosen.
    page.goto(f"{live_server.url}/incident/")
    page.get_by_label("Record, agent, user").fill(desk.agent.slug[:-1])
    page.get_by_role("button", name="Find it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Which of these do you mean?")
    found = wrong_at_a_glance(page, "incident-choices")
    page.get_by_role("link", name=desk.agent.slug, exact=True).click()

    # The four answers, the picture of both runs, and every entry of it in words.
    expect(page.get_by_role("heading", level=1)).to_have_text(
        f"{desk.agent.slug}: 1 denied, 1 held, 1 allowed"
    )
    expect(page.get_by_role("img", name="2 runs")).to_be_visible()
    expect(page.get_by_role("img", name="1 system")).to_be_visible()
    rows = page.locator("section:has(#h-records) tbody tr")
    expect(rows.filter(has_text="gate.amount")).to_have_count(1)
    expect(page.locator("section:has(#h-data) tbody tr").first).to_contain_text("payment-records")
    found += wrong_at_a_glance(page, "incident")

    # A record leads to what is around it, where it is marked.
    rows.filter(has_text="gate.amount").get_by_role("link").first.click()
    page.get_by_role("link", name="What happened around it").click()
    marked = page.locator("tr[aria-current]")
    expect(marked).to_have_count(1)
    expect(marked).to_contain_text("gate.amount")
    with page.expect_download() as download:
        page.get_by_role("link", name="Incident report").click()

    assert download.value.suggested_filename == "muster-incident.pdf"
    assert found == []
