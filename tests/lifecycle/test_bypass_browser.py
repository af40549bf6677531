"""Calls that were not asked for, in a real browser: read in, found, answered; both themes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from authz.decide import decide
from lifecycle.models import SeenCall
from registry.enums import GroupName
from tests.factories.authz import make_desk
from tests.factories.registry import make_person
from tests.lifecycle.browsing import CHROMIUM, signed_in, wrong
from tests.lifecycle.bypassing import COLUMNS, row, sheet, sweep_all

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


def test_a_log_is_read_in_and_what_was_not_asked_is_answered(
    browser: Browser, live_server: Any, tmp_path: Path
) -> None:
    guard, desk = make_person(GroupName.SECURITY), make_desk()
    decide([desk.ask()], desk.caller)
    file, base = tmp_path / "log.csv", live_server.url
    stranger = row(desk, "e-4", actor="someone@example.org")
    unread = ("soon", "x", "y", "", "")
    calls = [row(desk, f"e-{number}") for number in range(3)]
    file.write_bytes(sheet([*calls, stranger, unread]))

    with signed_in(browser, base, guard) as context:
        page = context.new_page()
        page.goto(f"{base}/bypass/")
        expect(page.get_by_role("heading", name="No call went past Muster").first).to_be_visible()
        assert wrong(page, "bypass-empty") == []
        page.get_by_role("link", name=desk.system.slug).click()
        for name, column in COLUMNS.items():
            page.locator(f"#id_{name}").fill(column)
        page.get_by_role("button", name="Keep it").click()
        page.locator("#id_file").set_input_files(file)
        assert wrong(page, "bypass-log") == []
        page.get_by_role("button", name="Look at it").click()
        expect(page.get_by_role("heading", name="would bring 3 new calls")).to_be_visible()
        assert wrong(page, "bypass-import") == []
        page.get_by_role("button", name="Take them in").click()
        expect(page.get_by_text("They are matched with the decisions")).to_be_visible()
        sweep_all()

        page.goto(f"{base}/bypass/")
        expect(page.get_by_role("heading", name="Two calls have no decision")).to_be_visible()
        assert wrong(page, "bypass") == []
        page.get_by_role("link", name=desk.tool.name).click()
        assert wrong(page, "bypass-calls") == []
        page.locator("#id_explain-answer").fill("A drill of the service desk.")
        page.get_by_role("button", name="Explain").click()
        expect(page.get_by_text("2 calls are answered.")).to_be_visible()

    states = SeenCall.objects.values_list("state", flat=True)
    assert sorted(states) == ["explained", "explained", "matched"]
