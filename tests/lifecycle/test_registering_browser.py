"""From opening "register" to the first allowed call, in a real browser: fields, clicks, seconds."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import urlencode

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from lifecycle.models import FromTemplate
from registry.models import Agent
from tests.factories.templates import Fitted, make_fitted
from tests.lifecycle.browsing import CHROMIUM, WIDE, shot, signed_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here"),
    pytest.mark.django_db(transaction=True),
]
MOST_FIELDS, MOST_CLICKS = 8, 10
# Counts what a hand does, over every page of the journey.
COUNT_CLICKS = """
addEventListener("pointerdown", () => {
  sessionStorage.clicks = Number(sessionStorage.clicks || 0) + 1;
}, true);
"""
OPEN_FIELDS = """
() => new Set([...document.querySelectorAll("main form[hx-post] :is(input, textarea, select)")]
  .filter((each) => each.type !== "hidden" && each.checkVisibility())
  .map((each) => each.name)).size
"""


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


@pytest.fixture
def fitted() -> Fitted:
    return make_fitted()


def ask(client_id: str, secret: str, tool: str) -> dict[str, Any]:
    """The agent's own first question."""
    agent = Client()
    given = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    form = "application/x-www-form-urlencoded"
    token = agent.post("/oauth/token", urlencode(given), form).json()["access_token"]
    body = {
        "subject": {"type": "agent", "id": "weekly-figures"},
        "action": {"name": tool, "properties": {"account": "A"}},
        "resource": {"type": "tool", "id": tool},
    }
    answer = agent.post(
        "/access/v1/evaluation",
        json.dumps(body),
        "application/json",
        headers={"Authorization": f"Bearer {token}"},
    )
    return dict(answer.json())


def test_templated_agent_is_live_within_ten_clicks(
    browser: Browser, live_server: Any, fitted: Fitted, record_property: Any
) -> None:
    context = signed_in(browser, live_server.url, fitted.owner)
    context.add_init_script(COUNT_CLICKS)
    page = context.new_page()
    page.goto(f"{live_server.url}/")

    begun = time.monotonic()
    page.get_by_role("link", name="Register an agent").first.click()
    fields = page.evaluate(OPEN_FIELDS)
    page.get_by_label("Name", exact=True).click()
    page.keyboard.type("weekly-figures")
    page.get_by_label("figures.read").click()
    page.get_by_label("chat.post").click()
    verdict = page.locator("#verdict")
    expect(verdict.get_by_role("heading", name="Goes live now, on your word")).to_be_visible()
    expect(verdict).to_contain_text("figures")
    expect(verdict).to_contain_text("chat")
    shot(page, "register-1-filled")
    page.get_by_role("button", name="Register and go live").click()
    expect(page.get_by_label("Secret", exact=True)).to_be_visible()
    client_id, secret = (
        page.get_by_label(label, exact=True).input_value() for label in ("Client id", "Secret")
    )
    answer = ask(client_id, secret, "figures.read")
    seconds = time.monotonic() - begun
    clicks = int(page.evaluate("sessionStorage.clicks"))

    for name, value in (("fields", fields), ("clicks", clicks), ("seconds", round(seconds, 1))):
        record_property(name, value)
    print(f"{fields} fields, {clicks} clicks, {seconds:.1f} s to the first allowed call")
    assert answer["decision"] is True, answer
    assert 3 <= fields <= MOST_FIELDS
    assert 3 <= clicks <= MOST_CLICKS
    assert FromTemplate.objects.get(agent__slug="weekly-figures").template.uid.endswith("@v1")


def test_verdict_follows_the_keyboard_and_never_takes_the_focus(
    browser: Browser, live_server: Any, fitted: Fitted
) -> None:
    type(fitted.reads.system).objects.filter(slug="wiki").update(tier="confidential")
    page = signed_in(browser, live_server.url, fitted.owner).new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{live_server.url}/agents/register/?template=notifier")
    heading = page.locator("#verdict h2").first

    page.get_by_label("wiki.read").focus()
    page.keyboard.press("Space")
    expect(heading).to_have_text("One person signs first")
    focused = page.evaluate("document.activeElement.value")
    page.keyboard.press("Space")
    page.get_by_label("Channel").focus()
    asked.clear()
    page.keyboard.type("#releases", delay=20)
    expect(heading).to_have_text("Goes live now, on your word")
    page.wait_for_timeout(600)

    assert focused == "wiki.read"
    assert len([url for url in asked if url.endswith("/agents/verdict/")]) == 1


def test_wrong_choice_is_told_beside_it_and_linked(
    browser: Browser, live_server: Any, fitted: Fitted
) -> None:
    page = signed_in(browser, live_server.url, fitted.owner).new_page()
    page.goto(f"{live_server.url}/agents/register/?template=notifier")
    page.get_by_label("Name", exact=True).fill("release-bell")
    page.get_by_label("chat.post").check()

    page.get_by_role("button", name="Save a draft").click()

    expect(page.get_by_role("alert")).to_contain_text("Two fields need you first")
    expect(page.locator("#id_slot_reads .error")).to_have_text("Choose one.")
    page.get_by_role("alert").get_by_role("link", name="Channel").click()
    assert page.evaluate("document.activeElement.name") == "slot_posts_to"
    assert not Agent.objects.exists()


def looked_at(page: Page, name: str) -> list[Any]:
    shot(page, name)
    assert page.evaluate(WIDE) == 0
    return [each["id"] for each in Axe().run(page).response["violations"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_pages_hold_in_both_themes_and_on_a_phone(
    browser: Browser, live_server: Any, fitted: Fitted, scheme: str, width: int
) -> None:
    context = signed_in(
        browser,
        live_server.url,
        fitted.owner,
        color_scheme=scheme,
        viewport={"width": width, "height": 900},
    )
    page = context.new_page()
    found: dict[str, list[Any]] = {}
    for place in (
        "register/",
        "register/?template=draft-only-copilot",
        "register/?template=something-else",
        "import/",
        "templates/",
        "templates/notifier/",
    ):
        page.goto(f"{live_server.url}/agents/{place}")
        found[place] = looked_at(page, f"register-{scheme}-{width}-{place.strip('/?=')[:40]}")

    assert [place for place, wrong in found.items() if wrong] == [], found
