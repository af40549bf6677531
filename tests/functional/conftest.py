"""Installations that tests share, since bringing one up takes a while."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.functional.installation import Installation, running

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


@pytest.fixture(scope="session")
def demo() -> Iterator[Installation]:
    """The made-up company, which stops no agent for what tests make it ask."""
    patient = {
        f"MUSTER_BREAKER_DENIALS_{tier}": "0"
        for tier in ("PUBLIC", "INTERNAL", "CONFIDENTIAL", "RESTRICTED")
    }
    with running("--demo", **patient) as installation:
        yield installation


@pytest.fixture(scope="session")
def empty() -> Iterator[Installation]:
    """An installation in which there is nothing yet."""
    with running() as installation:
        yield installation


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless browser; skipped, and said so, where there is none."""
    if not CHROMIUM:
        pytest.skip("there is no chromium here")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
