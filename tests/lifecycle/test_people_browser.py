"""A file of people in a real browser: uploaded, looked at, applied; in both themes."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from lifecycle.sweeps import run_sweep
from registry.enums import GroupName
from registry.models import Person
from tests.factories.registry import make_agent, make_person
from tests.lifecycle.browsing import CHROMIUM, signed_in, wrong

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here"),
    pytest.mark.django_db(transaction=True),
]
FILE = """Employee ID;E-Mail;Display name;Department;Manager;Status;Last day;Shoe size
1;ada@example.org;Ada Lind;Legal;2;;;38
2;bob@example.org;Bob Holm;Claims;;;;44
3;{0};;;;left;;
4;not-an-address;Eve;;;;;41
"""


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


def test_a_file_is_looked_at_and_applied(browser: Browser, live_server: Any) -> None:
    admin = make_person(GroupName.PLATFORM_ADMIN, name="Admin")
    agent = make_agent()
    text = FILE.format(agent.owner.email)
    with signed_in(browser, live_server.url, admin) as context:
        page = context.new_page()
        page.goto(f"{live_server.url}/people/")
        assert wrong(page, "people") == []
        page.get_by_role("link", name="Files").click()
        assert wrong(page, "people-upload") == []
        file = {"name": "hr.csv", "mimeType": "text/csv", "buffer": text.encode()}
        page.get_by_label("The file").set_input_files(file)  # type: ignore[arg-type]
        page.get_by_role("button", name="Look at it").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("This would change")
        expect(page.get_by_text("Shoe size")).to_be_visible()
        assert wrong(page, "people-preview") == []
        page.get_by_role("button", name="Apply it").click()
        expect(page.get_by_text("0 of 3 people done")).to_be_visible()
        run_sweep("people")
        expect(page.get_by_text("3 people were changed")).to_be_visible()
        page.reload()
        assert wrong(page, "people-applied") == []

        gone = Person.objects.get(pk=agent.owner_id)
        assert gone.employment == "left"
        page.goto(f"{live_server.url}/people/{gone.pid}/")
        assert wrong(page, "person") == []
        page.get_by_role("link", name="Is back…").click()
        assert wrong(page, "person-back") == []
        page.get_by_role("button", name="They are back").click()
        expect(page.get_by_text("is employed.")).to_be_visible()
        page.get_by_role("link", name="Has left…").click()
        expect(page.get_by_text("It is denied everything at once")).to_be_visible()
        assert wrong(page, "person-left") == []
        page.goto(f"{live_server.url}/people/webhooks/")
        page.get_by_label("Which system is it?").fill("Workday")
        page.get_by_label("Its name in addresses and records").fill("workday")
        page.get_by_role("button", name="Make its secret").click()
        expect(page.get_by_label("Secret", exact=True)).to_be_visible()
        assert wrong(page, "people-webhooks") == []
