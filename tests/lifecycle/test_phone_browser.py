"""Long lists on a phone: folded, or with the head of each column beside its value."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from governance.kernel import clock
from lifecycle import sweeps
from lifecycle.models import BreakGlass
from registry.enums import GroupName
from tests.factories.registry import make_person, security
from tests.lifecycle.browsing import CHROMIUM, WIDE, shot, signed_in, wrong

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here"),
    pytest.mark.django_db(transaction=True),
]
BEFORE = "each => getComputedStyle(each, '::before').content"


def test_sweeps_fold_and_emergencies_say_what_each_value_is(
    browser: Browser, live_server: Any, settings: Any
) -> None:
    settings.MUSTER_APPROVER_MFA = False
    sweeps.run_sweep("runs")
    by, second, ago = (
        make_person(GroupName.SECURITY, name="Sam"),
        security(),
        clock.now() - timedelta(hours=2),
    )
    BreakGlass.objects.create(
        person=by,
        second=second,
        reason="The provider is away.",
        opened_at=ago,
        expires_at=ago + timedelta(hours=1),
    )
    with signed_in(browser, live_server.url, by) as context:
        page = context.new_page()
        page.goto(f"{live_server.url}/sweeps/")
        row = page.get_by_role("row").filter(has_text="previews").first
        expect(row).to_be_visible()
        page.set_viewport_size({"width": 390, "height": 844})
        expect(row).to_be_hidden()
        assert page.evaluate("document.documentElement.scrollHeight") < 4 * 844
        shot(page, "sweeps-folded")
        page.get_by_text("sweeps", exact=False).and_(page.locator("summary")).first.click()
        expect(row).to_be_visible()
        assert page.evaluate(WIDE) <= 0
        shot(page, "sweeps-open")
        page.goto(f"{live_server.url}/emergency/uses/")
        cell = page.get_by_role("cell", name="Sam").or_(page.locator("td", has_text="Sam")).first
        assert cell.evaluate(BEFORE) == '"By "'
        assert wrong(page, "emergencies") == []
