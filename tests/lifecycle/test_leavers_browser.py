"""The story of a leaver in a real browser: told by a directory, answered by people, read after."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import APIRequestContext, Browser, Page, expect

from governance.kernel import clock
from lifecycle.decommissioning import working
from lifecycle.models import Case, EndRun
from registry import vault
from registry.enums import GroupName
from registry.identity import clients
from registry.models import Agent, Person
from tests.factories.authz import Desk, bearer, make_desk
from tests.factories.oauth import basic
from tests.factories.registry import make_person, security
from tests.factories.scim import PATCH, USER, make_source
from tests.factories.sweeping import sweep_at
from tests.lifecycle.browsing import CHROMIUM, signed_in, wrong_at_a_glance
from tests.lifecycle.moved import moved_clock

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here"),
    pytest.mark.django_db(transaction=True),
]
NAMES = ("claims", "refunds", "reports", "tickets")
REF = "vault://tickets/helpdesk"


class Outside:
    """What speaks to Muster over HTTP: the directory, and the agents themselves."""

    def __init__(self, base: str, http: APIRequestContext) -> None:
        self.base, self.http = base, http

    def directory(self, method: str, path: str, token: str, body: dict[str, Any]) -> Any:
        answer = self.http.fetch(
            f"{self.base}/scim/v2{path}",
            method=method,
            headers={
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/scim+json",
            },
            data=body,
        )
        assert answer.status in {201, 204}, answer.text()
        return answer.json() if answer.status == 201 else None

    def decided(self, desk: Desk) -> tuple[bool, str]:
        """What a gateway is told of one call; it asks again where a busy machine says so."""
        for _ in range(5):
            answer = self.http.post(
                f"{self.base}/access/v1/evaluation",
                headers={"Authorization": bearer(desk.gateway_client)},
                data=desk.body(),
            )
            if answer.status != 503:
                break
        assert answer.status == 200, answer.text()
        return answer.json()["decision"], answer.json()["context"]["code"]

    def token(self, proof: str) -> int:
        return self.http.post(
            f"{self.base}/oauth/token",
            headers={"Authorization": proof},
            form={"grant_type": "client_credentials"},
        ).status

    def lease(self, desk: Desk, reference: str) -> bool:
        """Whether the agent is given the value."""
        desk.client.refresh_from_db()
        answer = self.http.post(
            f"{self.base}/api/v1/credentials/{quote(reference, safe='')}/lease",
            headers={"Authorization": bearer(desk.client)},
        )
        assert answer.status in {201, 401, 403}, answer.text()
        return "value" in answer.json()


def owned(owner: Person, name: str, backup: Person | None) -> Desk:
    desk = make_desk(agent_fields={"slug": name, "name": name, "purpose": f"Sorts {name}."})
    Agent.objects.filter(pk=desk.agent.pk).update(owner=owner, backup_owner=backup)
    desk.agent.refresh_from_db()
    return desk


def leaves(outside: Outside, owner: Person) -> None:
    """The directory knows the owner, and then says that they are active no more."""
    _, token = make_source(slug="okta")
    known = {
        "schemas": [USER],
        "userName": owner.email,
        "emails": [{"value": owner.email, "type": "work", "primary": True}],
        "active": True,
    }
    user = outside.directory("POST", "/Users", token, known)
    gone = {"op": "replace", "value": {"active": "False"}}
    body = {"schemas": [PATCH], "Operations": [gone]}
    outside.directory("PATCH", f"/Users/{user['id']}", token, body)


def test_four_agents_of_a_leaver_come_to_four_ends(
    browser: Browser,
    live_server: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base, time = live_server.url, moved_clock(monkeypatch, clock.now())
    boss, backup = make_person(name="Mara Holm"), make_person(name="Bo Lind")
    owner = make_person(name="Olga Berg", manager=boss, zone="Europe/Copenhagen", calendar="DK")
    desks = {
        name: owned(owner, name, backup=backup if name == "refunds" else None) for name in NAMES
    }
    vault.create(REF, "s3cret-value", agent=desks["tickets"].agent, by=owner)
    issued = clients.rotate_secret(client=desks["tickets"].client, by=security())
    proof = basic(issued.client_id, issued.secret)
    outside = Outside(base, browser.new_context().request)
    assert [outside.decided(desk)[0] for desk in desks.values()] == [True] * 4
    assert (outside.token(proof), outside.lease(desks["tickets"], REF)) == (200, True)

    leaves(outside, owner)

    refused = [outside.decided(desk) for desk in desks.values()]
    assert refused == [(False, "identity.owner_left")] * 4
    assert (outside.token(proof), outside.lease(desks["tickets"], REF)) == (400, False)
    assert set(Case.objects.values_list("agent__slug", "state")) == {(n, "open") for n in NAMES}
    with signed_in(browser, base, boss) as context:
        the_manager_answers(context.new_page(), base)
    with signed_in(browser, base, backup) as context:
        page = context.new_page()
        page.goto(f"{base}/agents/refunds/")
        expect(page.get_by_text("Its owner leaves", exact=True)).to_be_visible()
        assert wrong_at_a_glance(page, "leaver-agent") == []
        page.get_by_role("link", name="Choose an answer").first.click()
        page.get_by_role("button", name="Take over what is ticked").click()
        expect(page.get_by_text("refunds is yours from now on.")).to_be_visible()
    assert [outside.decided(desks[name])[0] for name in NAMES] == [True, True, False, False]

    last = Case.objects.get(agent__slug="tickets")
    while time.at < last.due_at:
        sweep_at(time.at, "cases")
        assert Agent.objects.get(slug="tickets").state == "active"
        time.move_to(min(time.at + timedelta(hours=12), last.due_at))
    sweep_at(time.at, "cases")
    for run in EndRun.objects.all():
        working.carry_on(run_id=run.pk)

    states = dict(Agent.objects.values_list("slug", "state"))
    assert states == {
        "claims": "active",
        "refunds": "active",
        "reports": "decommissioned",
        "tickets": "decommissioned",
    }
    end = EndRun.objects.get(agent__slug="tickets")
    assert (end.actor, end.started_at) == ("system:leaver", last.due_at)
    assert outside.decided(desks["tickets"]) == (False, "identity.not_active")
    assert (outside.token(proof), outside.lease(desks["tickets"], REF)) == (401, False)
    with signed_in(browser, base, make_person(GroupName.AUDITOR)) as context:
        the_auditor_reads(context.new_page(), base, owner)


def the_manager_answers(page: Page, base: str) -> None:
    page.goto(f"{base}/inbox/")
    page.get_by_role("link", name="Choose an answer").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Who takes over from Olga Berg?")
    assert wrong_at_a_glance(page, "leaver") == []
    for name in ("reports", "tickets"):
        page.get_by_label(name, exact=True).uncheck()
    page.get_by_role("button", name="Take over what is ticked").click()
    expect(page.get_by_text("claims is yours from now on.")).to_be_visible()
    page.get_by_label("reports", exact=True).check()
    page.get_by_label("tickets", exact=True).uncheck()
    page.get_by_label("Reason").fill("Nobody reads them.")
    page.get_by_role("button", name="End what is ticked").click()
    expect(page.get_by_text("reports gets nothing from now on.")).to_be_visible()


def the_auditor_reads(page: Page, base: str, owner: Person) -> None:
    """From the navigation to the one page, and from each of its lines to the record."""
    page.goto(base)
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Leavers").click()
    assert wrong_at_a_glance(page, "leavers") == []
    page.get_by_role("link", name="Olga Berg").click()
    assert page.url == f"{base}/leavers/{owner.pid}/"
    for said in (
        "The source okta says that Olga Berg has left",
        "Mara Holm is asked to take claims over",
        "claims was handed over to Mara Holm",
        "refunds was handed over to Bo Lind",
        "reports: ended at once",
        "Nobody answered in time for tickets",
        "Day 5 of tickets was told",
        "tickets is decommissioned",
        "Edition 1 of the certificate of tickets was issued",
    ):
        expect(page.locator("ol.story").get_by_text(said)).to_be_visible()
    days = page.get_by_role("group", name="Each agent, day by day").get_by_role("row")
    expect(days.filter(has_text="claims")).to_contain_text("accepted")
    expect(days.filter(has_text="tickets")).to_contain_text("ended")
    told = page.get_by_role("group", name="Who was told what")
    expect(told.get_by_role("link", name="Mara Holm").first).to_be_visible()
    tried = page.get_by_role("group", name="Refused tries").get_by_role("row")
    expect(tried.filter(has_text="client.not_active")).to_contain_text("tickets")
    expect(page.get_by_role("link", name="certificate")).to_have_count(2)
    expect(page.get_by_role("button", name="Take over what is ticked")).to_have_count(0)
    assert wrong_at_a_glance(page, "leaver-story") == []
    links = page.locator("ol.story a").evaluate_all("all => all.map(each => each.href)")
    assert len(links) > 25
    assert {page.request.get(each).status for each in links[:: len(links) // 8]} == {200}
