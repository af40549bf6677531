"""A real browser on a server of the test's own, signed in as anyone."""

import os
import shutil
from pathlib import Path

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


def shot(page: Page, name: str) -> None:
    """A picture of the page, where someone asked for pictures."""
    if folder := os.environ.get("MUSTER_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)
