"""In whose name a call was made, in a real browser: its chain, and where it stopped."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from authz.asks import Ask
from authz.decide import decide
from authz.services import grants
from governance.kernel import clock
from registry import services as register
from registry.enums import GroupName
from registry.permissions import Automatic
from tests.factories.authz import Desk
from tests.factories.registry import make_person
from tests.lifecycle.browsing import CHROMIUM, signed_in, wrong
from tests.lifecycle.worlds_acting import acts_for_somebody, another_for, hands_over

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


def decided(desk: Desk, **ask: Any) -> tuple[str, str]:
    """The record of a call, and its code."""
    (answer,) = decide([Ask(**{**_plain(desk), **ask})], desk.caller)
    return str(answer.id), answer.decision.code


def _plain(desk: Desk) -> dict[str, Any]:
    asked = desk.ask()
    return {name: getattr(asked, name) for name in ("kind", "tool", "agent", "parameters")}


def test_an_auditor_reads_whose_call_it_was_and_where_it_stopped(
    browser: Browser, live_server: Any
) -> None:
    world = acts_for_somebody(name="Ana Lund")
    desk, other = world.desk, another_for(world.desk, pattern="impersonation")
    link = hands_over(desk, other.agent, desk.tool.name, user=world.user.pid)
    on_it = {"tool": desk.tool.name, "user": world.user.pid, "delegation": str(link.pk)}
    went_on, code = decided(other, **on_it)
    assert code == ""
    grants.end_grant(grant_id=world.grant.pk, by=world.user)
    stopped, code = decided(other, **on_it)
    assert code == "delegation.ended"
    decided(other)
    auditor = make_person(GroupName.AUDITOR)

    with signed_in(browser, live_server.url, auditor) as context:
        page = context.new_page()
        page.goto(f"{live_server.url}/trail/{went_on}/")
        expect(page.get_by_role("heading", name="In whose name")).to_be_visible()
        chain = page.get_by_role("img", name=f"Ana Lund lets it act, {desk.agent.slug} hands over")
        expect(chain).to_be_visible()
        assert wrong(page, "chain") == []
        page.goto(f"{live_server.url}/trail/{stopped}/")
        expect(page.get_by_text("has ended", exact=True).last).to_be_visible()
        assert wrong(page, "chain-stopped") == []

        page.goto(f"{live_server.url}/trail/?user={world.user.pid}")
        expect(page.get_by_role("cell", name="may act for a person")).to_be_visible()
        expect(page.get_by_role("cell", name=f"handed over to {other.agent.slug}")).to_be_visible()
        expect(page.get_by_role("link", name=other.agent.slug)).to_have_count(2)
        page.goto(f"{live_server.url}/incident/?handle=record:{went_on}")
        expect(page.get_by_role("img", name="Ana Lund lets it act")).to_be_visible()
        assert wrong(page, "chain-incident") == []

        page.goto(f"{live_server.url}/deviations/")
        expect(page.get_by_role("link", name=other.agent.slug)).to_be_visible()
        assert wrong(page, "deviations") == []

    with signed_in(browser, live_server.url, make_person()) as context:
        page = context.new_page()
        page.goto(f"{live_server.url}/deviations/")
        expect(page.get_by_role("heading", name="Every call kept to its pattern")).to_be_visible()
        assert wrong(page, "deviations-empty") == []


def test_who_left_is_acted_for_no_more_and_their_page_says_so(
    browser: Browser, live_server: Any
) -> None:
    boss = make_person(name="Mara")
    world = acts_for_somebody(name="Ana Lund", manager=boss)
    register.set_employment(
        person_id=world.user.pk,
        employment="left",
        last_day=clock.now().date(),
        by=Automatic("scim"),
    )

    with signed_in(browser, live_server.url, boss) as context:
        page = context.new_page()
        page.goto(f"{live_server.url}/leavers/{world.user.pid}/")
        expect(page.get_by_role("heading", name="Agents that acted for them")).to_be_visible()
        expect(page.get_by_role("link", name=world.desk.agent.slug)).to_be_visible()
        assert wrong(page, "leaver-grants") == []
