"""Every part in a real browser: axe finds nothing, and no width makes the page scroll sideways."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from playwright.sync_api import Page

from tests.lifecycle.browsing import CHROMIUM

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture
def open_page(browser, client, django_user_model, live_server):
    person = django_user_model.objects.create_user(
        "staff@halvern.example", name="Sta Ff", is_staff=True
    )
    client.force_login(person)
    cookie = {
        "name": settings.SESSION_COOKIE_NAME,
        "value": client.cookies[settings.SESSION_COOKIE_NAME].value,
        "url": live_server.url,
    }

    def visit(width: int, theme: str, path: str = "/parts", *, script: bool = True) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme, java_script_enabled=script
        )
        context.add_cookies([cookie])
        page = context.new_page()
        page.goto(f"{live_server.url}{path}")
        return page

    return visit


def test_axe_finds_nothing_in_both_themes_and_widths(open_page):
    found = {
        (width, theme): [violation["id"] for violation in Axe().run(page).response["violations"]]
        for width in (1440, 390)
        for theme in ("light", "dark")
        for page in [open_page(width, theme)]
    }

    assert found == {key: [] for key in found}


def test_page_never_scrolls_sideways(open_page):
    script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

    over = {
        width: open_page(width, "light").evaluate(script) for width in (320, 390, 720, 1024, 1440)
    }

    assert over == dict.fromkeys(over, 0)


def test_nothing_breaks_the_content_security_policy(open_page):
    page = open_page(1440, "light")
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))

    page.reload()
    page.wait_for_load_state()

    assert refused == []


def test_skip_link_is_the_first_stop_and_leads_to_the_content(open_page):
    page = open_page(1440, "light", "/nothing-here")

    page.keyboard.press("Tab")
    first = page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Enter")

    assert first == "Skip to content"
    assert page.evaluate("document.activeElement.id") == "main"


def test_secret_can_be_copied_without_a_script(open_page):
    page = open_page(1440, "light", script=False)

    assert page.locator("#client-secret").get_attribute("readonly") == ""
    assert page.locator("button[data-copy]:visible").count() == 0
