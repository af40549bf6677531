"""The consent page in a real browser: read, narrowed, allowed, refused; in both themes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from authz.models import Grant
from authz.oauth import failures
from registry.identity import tokens
from registry.models import Agent
from tests.factories.consent import World, make_world
from tests.lifecycle.browsing import CHROMIUM, signed_in, wrong

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    tokens.forget()
    failures.forget()
    yield
    tokens.forget()
    failures.forget()


@pytest.fixture
def world(fresh: None, live_server: Any) -> World:
    """The agent's own address is another origin: a page that is there is enough to come back to."""
    made = make_world()
    back = live_server.url.replace("localhost", "127.0.0.1") + "/healthz"
    Agent.objects.filter(pk=made.agent.pk).update(redirect_uris=[back])
    entry = made.agent.allowlist.get(tool=made.note)
    entry.narrowing = {"properties": {"account": {"maxLength": 40}}}
    entry.write_quota_per_hour = 20
    entry.save()
    return made


def asked(page: Page, world: World, base: str, **changed: str) -> None:
    (back,) = Agent.objects.get(pk=world.agent.pk).redirect_uris
    page.goto(base + world.query(redirect_uri=back, **changed))


def test_a_person_lets_an_agent_read_and_no_more(
    browser: Browser, live_server: Any, world: World
) -> None:
    with signed_in(browser, live_server.url, world.person) as context:
        page = context.new_page()
        asked(page, world, live_server.url)
        expect(page.get_by_role("heading", level=1)).to_have_text(
            f"{world.agent.slug} asks to act for you"
        )
        expect(page.get_by_label("Read a contact")).to_be_checked()
        expect(page.get_by_label("Write a note")).not_to_be_checked()
        expect(page.get_by_text("at most 20 records written an hour")).to_be_visible()
        expect(page.get_by_text("Delete an account")).to_be_visible()
        assert wrong(page, "consent") == []
        page.get_by_label("Until").select_option("30")
        page.get_by_label("Read a contact").focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        expect(page.get_by_label("Write a note")).to_be_checked()
        page.keyboard.press("Space")
        page.get_by_role("button", name="Allow what is ticked").press("Enter")
        page.wait_for_url("**/healthz?code=*")
        assert "state=s-1" in page.url
        assert "iss=" in page.url

        asked(page, world, live_server.url)
        expect(page.get_by_text("It acts for you already")).to_be_visible()
        assert wrong(page, "consent-again") == []
        page.get_by_role("button", name="Refuse").click()
        page.wait_for_url("**/healthz?error=access_denied*")
    grant = Grant.objects.get(person=world.person, ended_at=None)
    assert grant.tools == {world.read.name: {}}
    assert 29 <= (grant.until - grant.given_at).days <= 30


def test_what_cannot_be_let_is_said(browser: Browser, live_server: Any, world: World) -> None:
    world.role.tools.remove(world.delete)
    with signed_in(browser, live_server.url, world.person) as context:
        page = context.new_page()
        asked(page, world, live_server.url)
        page.get_by_label("Write a note").check()
        page.get_by_role("button", name="Allow what is ticked").click()
        expect(page.get_by_role("alert")).to_contain_text("gets less than you, never as much")
        assert wrong(page, "consent-everything") == []

        asked(page, world, live_server.url, scope=world.other.name)
        expect(page.get_by_text("Nothing: what it asks for")).to_be_visible()
        assert page.get_by_role("button", name="Allow what is ticked").count() == 0
        assert wrong(page, "consent-nothing") == []

        page.goto(live_server.url + world.query(redirect_uri="https://evil.example/"))
        expect(page.get_by_text("its row does not name")).to_be_visible()
        assert wrong(page, "consent-nowhere") == []
    assert not Grant.objects.exists()
