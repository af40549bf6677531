"""From a draft to its first call in a real browser: one click, then what the page says to paste."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from registry import services as register
from tests.factories.authz import make_desk
from tests.factories.registry import make_draft, make_person
from tests.lifecycle.browsing import CHROMIUM, shot, signed_in, wrong

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here"),
    pytest.mark.django_db(transaction=True),
]


@pytest.mark.parametrize("way", ["Python", "curl"])
def test_what_the_page_says_to_paste_makes_the_line_green(
    way: str, browser: Browser, live_server: Any, settings: Any, tmp_path: Path
) -> None:
    settings.MUSTER_BASE_URL = live_server.url
    desk = make_desk(system_fields={"tier": "internal"})
    owner = make_person()
    agent = make_draft(owner=owner, tool=desk.tool, slug="first-steps")
    desk.role.agents.add(agent)
    with signed_in(browser, live_server.url, owner) as context:
        page = context.new_page()
        page.goto(f"{live_server.url}/agents/{agent.slug}/")
        page.get_by_role("button", name="Attest and go live").click()
        expect(page.get_by_text("Waiting for the first call …")).to_be_visible()
        secret = page.get_by_label("Secret").input_value()

        page.get_by_role("radio", name=way).focus()
        page.keyboard.press("Space")
        code = page.locator(f"#{way.lower()}").inner_text()
        assert wrong(page, "live") == []
        run = [sys.executable, "-c", code] if way == "Python" else ["bash", "-c", code]
        done = subprocess.run(
            run,
            check=False,
            env=os.environ | {"MUSTER_CLIENT_SECRET": secret},
            capture_output=True,
            timeout=60,
        )

        assert done.returncode == 0, done.stderr
        expect(page.get_by_text("Its first call has arrived")).to_be_visible()
        shot(page, "live-green")
        page.get_by_role("link", name="See the decision").click()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
    register.suspend_agent(agent_id=agent.pk, by=owner, reason="The test is over.")
