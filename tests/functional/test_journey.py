"""From the form to the first decisions and to the auditor's export, in a real browser."""

import csv
import io
import json
import os
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.functional.installation import Installation

pytestmark = pytest.mark.browser

SLUG = "terms-digest"
CHECKS = 13


def shot(page: Page, name: str) -> None:
    """A picture of the page, where someone asked for pictures."""
    if folder := os.environ.get("MUSTER_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def sign_in(page: Page, demo: Installation, role: str) -> None:
    user = demo.user(role)
    page.goto(f"{demo.base_url}/accounts/login/")
    page.fill("input[name=login]", user["email"])
    page.fill("input[name=password]", user["password"])
    page.press("input[name=password]", "Enter")
    expect(page.get_by_role("navigation", name="Main", exact=True)).to_be_visible()


def ask(demo: Installation, token: str, tool: str, parameters: dict[str, object]) -> dict:
    answer = httpx.post(
        f"{demo.base_url}/access/v1/evaluation",
        headers={"Authorization": f"Bearer {token}"},
        json={
            "subject": {"type": "agent", "id": SLUG},
            "action": {"name": tool, "properties": parameters},
            "resource": {"type": "tool", "id": tool},
        },
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_owner_registers_agent_decides_and_auditor_exports(
    demo: Installation, browser: Browser, tmp_path: Path
) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(30_000)

    # The owner registers an internal agent and attests.
    sign_in(page, demo, "owner")
    shot(page, "1-home")
    page.get_by_role("link", name="Register an agent").first.click()
    page.get_by_role("link", name="Something else").click()
    page.get_by_label("Name", exact=True).fill(SLUG)
    page.get_by_label("What is it for?").fill("Reads the terms and tells the support channel.")
    page.get_by_label("doc.read").check()
    page.get_by_label("chat.post").check()
    page.get_by_label("research", exact=True).check()
    page.get_by_label("Calls a minute").fill("20")
    page.get_by_label("Calls an hour").fill("200")
    page.get_by_label("Spend a day").fill("5")
    verdict = page.locator("#verdict")
    expect(verdict.get_by_role("heading", name="Goes live now, on your word")).to_be_visible()
    shot(page, "2-register")
    page.get_by_role("button", name="Save a draft").click()
    shot(page, "3-draft")
    page.get_by_role("button", name="Attest and go live").click()
    expect(page.get_by_role("heading", name=f"{SLUG} may act now")).to_be_visible()
    client_id, secret = (
        page.get_by_label(label, exact=True).input_value() for label in ("Client id", "Secret")
    )
    shot(page, "4-secret-once")
    page.get_by_role("link", name="I have it").click()
    assert secret not in page.content()

    # It gets a token and asks three times.
    token = demo.token(client_id, secret)
    allowed = ask(demo, token, "doc.read", {"document": "terms/bicycles"})
    undeclared = ask(demo, token, "refund.issue", {"claim": "CL-10000", "amount": 1})
    misfit = ask(demo, token, "doc.read", {"document": 7})

    told = [(each["decision"], each["context"]["check"]) for each in (allowed, undeclared, misfit)]
    assert told == [(True, ""), (False, "allowlist"), (False, "parameters")]

    # All three stand in the trail, each with its walk.
    page.goto(f"{demo.base_url}/trail/?agent={SLUG}&kind=decision")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(3)
    expect(page.locator("svg.strip")).to_have_count(3)
    shot(page, "5-trail")
    for each in (allowed, undeclared, misfit):
        page.goto(f"{demo.base_url}/trail/{each['context']['decision_id']}/")
        expect(page.get_by_role("heading", name="The walk")).to_be_visible()
        expect(page.locator("ol.walk > li")).to_have_count(CHECKS)
        shot(page, f"6-decision-{each['context']['check'] or 'allowed'}")

    # The auditor exports them.
    page.context.clear_cookies()
    sign_in(page, demo, "auditor")
    page.goto(f"{demo.base_url}/trail/?agent={SLUG}&kind=decision")
    shot(page, "7-auditor")
    ids = {each["context"]["decision_id"] for each in (allowed, undeclared, misfit)}
    with page.expect_download() as download:
        page.get_by_role("link", name="Export CSV").click()
    table = csv.DictReader(io.StringIO(Path(download.value.path()).read_text()))
    assert {row["id"] for row in table} == ids
    with page.expect_download() as download:
        page.get_by_role("link", name="Export JSON Lines").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert {json.loads(line)["columns"]["id"] for line in lines} == ids


def test_confidential_agent_waits_for_security(demo: Installation, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(30_000)
    sign_in(page, demo, "owner")
    page.goto(f"{demo.base_url}/agents/register/?template=something-else")
    page.get_by_label("Name", exact=True).fill("contact-reader")
    page.get_by_label("What is it for?").fill("Looks contacts up for the morning call.")
    page.get_by_label("crm.contact.read").check()
    page.get_by_label("support-read", exact=True).check()
    for label, value in (("Calls a minute", "9"), ("Calls an hour", "90"), ("Spend a day", "1")):
        page.get_by_label(label).fill(value)
    page.get_by_role("button", name="Save a draft").click()
    page.get_by_role("button", name="Send for review").click()
    expect(page.get_by_text("In review: not live before everyone has signed")).to_be_visible()
    shot(page, "8-in-review")

    page.context.clear_cookies()
    sign_in(page, demo, "security")
    page.get_by_role("link", name="Inbox").first.click()
    page.get_by_role("link", name="contact-reader asks to go live").click()
    shot(page, "9-review")
    page.get_by_role("button", name="Approve as security").click()

    expect(page.get_by_text("contact-reader is live.")).to_be_visible()
    shot(page, "10-approved")
