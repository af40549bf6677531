"""A real browser on a server of the test's own, signed in as anyone."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = os.environ.get("MUSTER_CHROMIUM") or shutil.which("chromium") or ""
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def signed_in(browser: Browser, base: str, person: object, **options: object) -> BrowserContext:
    """A context of its own in which `person` is signed in."""
    client = Client()
    client.force_login(person)  # type: ignore[arg-type]
    given = {"viewport": {"width": 1440, "height": 900}} | options
    context = browser.new_context(**given)  # type: ignore[arg-type]
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": base}])
    context.set_default_timeout(30_000)
    return context


LOOKS = ((1440, "light"), (390, "dark"))
EVERY_LOOK = ((1440, "light"), (1440, "dark"), (390, "light"), (390, "dark"))
SETTLE_MS = 400


def wrong(
    page: Page, name: str, looks: Sequence[tuple[int, Literal["light", "dark"]]] = EVERY_LOOK
) -> list[str]:
    """What axe finds, and where the page scrolls sideways, at each width and in each theme."""
    found = []
    for width, theme in looks:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        page.wait_for_timeout(SETTLE_MS)
        found += [each["id"] for each in Axe().run(page).response["violations"]]
        if page.evaluate(WIDE) > 0:
            found.append(f"{width} scrolls sideways")
        shot(page, f"{name}-{width}-{theme}")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.emulate_media(color_scheme="light")
    return found


def wrong_at_a_glance(page: Page, name: str) -> list[str]:
    """The same, wide and light and on a phone and dark; all of it where pictures are asked for."""
    return wrong(page, name, EVERY_LOOK if "MUSTER_SCREENSHOTS" in os.environ else LOOKS)


def shot(page: Page, name: str) -> None:
    """A picture of the page, where someone asked for pictures."""
    if folder := os.environ.get("MUSTER_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)
