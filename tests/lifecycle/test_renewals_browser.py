"""The owner's page of a renewal in a real browser: answered in a minute, in both themes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from playwright.sync_api import Browser, expect

from governance.kernel import clock
from lifecycle.cases import sweep as cases
from lifecycle.renewals import sweep
from lifecycle.reviews.periodic import sweep as periodic
from registry import services as register
from registry.models import Agent, AllowlistEntry, Person
from tests.factories.registry import make_draft, make_person, make_tool, security
from tests.lifecycle.browsing import CHROMIUM, signed_in, wrong

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


def due_in(days: int, owner: Person, name: str) -> Agent:
    """A live agent that has held two tools and a credential for long, due in so many days."""
    agent = make_draft(owner, make_tool(name=f"{name}.read"), slug=name)
    register.set_allowlist_entry(agent_id=agent.pk, tool=make_tool(name=f"{name}.refund"), by=owner)
    register.add_credential_reference(agent_id=agent.pk, reference=f"vault://{name}/key", by=owner)
    register.attest_agent(agent_id=agent.pk, by=owner)
    long_ago = clock.now() - timedelta(days=200)
    AllowlistEntry.history.filter(agent_id=agent.pk).update(history_date=long_ago)
    day = clock.now().date() + timedelta(days=days)
    return register.renew_agent(agent_id=agent.pk, by=sweep.ACTOR, due=day, because="For a test.")


def swept() -> None:
    now = clock.now()
    for each, handle in ((sweep.due(now), sweep.ask), (cases.due(now), cases.handle)):
        for key in each:
            with transaction.atomic():
                handle(key, now)


def test_an_owner_answers_one_and_ends_another(browser: Browser, live_server: Any) -> None:
    owner = make_person()
    late, soon = due_in(-3, owner, "refund-desk"), due_in(9, owner, "night-desk")
    security()
    swept()
    with signed_in(browser, live_server.url, owner) as context:
        page = context.new_page()
        page.goto(f"{live_server.url}/renewals/")
        expect(page.get_by_role("heading", level=1)).to_have_text("Two renewals wait for you")
        assert wrong(page, "renewals") == []
        page.get_by_role("link", name="Three questions").first.click()
        expect(page.get_by_text("It ends unless it is renewed")).to_be_visible()
        expect(page.get_by_text("Used 0 of 2. Drop 2?")).to_be_visible()
        expect(page.get_by_label("refund-desk.refund")).to_be_checked()
        assert wrong(page, "renewal-late") == []
        page.get_by_label("Yes, it goes on").check()
        page.get_by_label("refund-desk.read").uncheck()
        page.get_by_label("vault://refund-desk/key").check()
        page.get_by_role("button", name="Answer").click()
        expect(page.get_by_text("1 taken away.")).to_be_visible()
        page.get_by_role("link", name="Three questions").click()
        assert wrong(page, "renewal") == []
        page.get_by_label("No, end it").check()
        page.get_by_role("button", name="Answer").click()
        expect(page.get_by_text("night-desk gets nothing from now on.")).to_be_visible()
    late.refresh_from_db()
    soon.refresh_from_db()
    assert [each.tool.name for each in late.allowlist.all()] == ["refund-desk.read"]
    assert late.credentials.get().state == "revoked"
    assert (late.state, soon.state) == ("active", "decommissioning")


def test_security_looks_at_a_live_agent_again(browser: Browser, live_server: Any) -> None:
    agent, by = due_in(60, make_person(), "care-desk"), security()
    day = clock.now().date() + timedelta(days=4)
    register.set_review_due(agent_id=agent.pk, by=sweep.ACTOR, due=day, because="For a test.")
    with transaction.atomic():
        periodic.handle(next(iter(periodic.due(clock.now()))), clock.now())
    with signed_in(browser, live_server.url, by) as context:
        page = context.new_page()
        page.goto(f"{live_server.url}/inbox/")
        page.get_by_role("link", name="Look at it and answer").click()
        assert wrong(page, "periodic") == []
        for each in page.get_by_label("Yes", exact=True).all():
            each.check()
        page.get_by_label("It goes on with less").check()
        page.get_by_text("What is taken away, where it goes on with less").click()
        page.get_by_label("care-desk.read").uncheck()
        page.get_by_label("Why").fill("It refunds nothing.")
        page.get_by_role("button", name="Answer").click()
        expect(page.get_by_text("care-desk goes on with less.")).to_be_visible()
    assert [each.tool.name for each in agent.allowlist.all()] == ["care-desk.read"]
