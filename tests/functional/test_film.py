"""The whole life of an agent in a real browser, on an installation that really runs.

From a template to its first call, a call that waits for a human, the owner who leaves, the end with
its certificate, the report, and the proof of one call that needs no Muster. With
`MUSTER_SCREENSHOTS` each scene leaves the picture that `docs/tutorial/life-of-an-agent.md` shows.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from client.muster_client import verify
from tests.functional.installation import Installation, running
from tests.lifecycle.browsing import CHROMIUM

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here"),
    pytest.mark.xdist_group("film"),
]
PAGE = Path(verify.__file__).with_name("verify.html")
AGENT, TICKET = "ticket-sorter", "40712"
READ = {"ticket": TICKET}
REPLY = {"ticket": TICKET, "text": "It is with the assessor; you hear by Friday."}
# What the worker does meanwhile: a sweep that comes by, a report, a checkpoint.
WORKED_MS = 180_000


@pytest.fixture(scope="module")
def company() -> Iterator[Installation]:
    """A made-up company of its own: somebody leaves it for good."""
    with running("--demo") as installation:
        yield installation


def scene(page: Page, name: str) -> None:
    """What somebody sees without scrolling, where someone asked for pictures."""
    if folder := os.environ.get("MUSTER_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


@pytest.fixture
def seen_by(company: Installation, browser: Browser) -> Callable[[str], Page]:
    """A browser of its own in which somebody has signed in."""

    def sign_in(name: str) -> Page:
        person = company.person(name)
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.goto(f"{company.base_url}/accounts/login/")
        page.fill("input[name=login]", person["email"])
        page.fill("input[name=password]", person["password"])
        page.press("input[name=password]", "Enter")
        page.wait_for_url(f"{company.base_url}/")
        return page

    return sign_in


class Agent:
    """What speaks for the agent over HTTP, with its own secret."""

    def __init__(self, base: str, client_id: str, secret: str) -> None:
        self.base, self.proof = base, (client_id, secret)

    def token(self) -> httpx.Response:
        form = {"grant_type": "client_credentials"}
        return httpx.post(f"{self.base}/oauth/token", data=form, auth=self.proof)

    def asks(
        self, tool: str, parameters: dict[str, str], token: str = "", **context: Any
    ) -> dict[str, Any]:
        """What Muster says of one call: `decision` and `context`; `token` is one that it kept."""
        body = question(tool, parameters) | ({"context": context} if context else {})
        return self._post("/access/v1/evaluation", body, token)

    def requests(self, tool: str, parameters: dict[str, str], held: dict[str, Any]) -> str:
        """Have a human asked about a call that is held; where its state can be read."""
        denial = {
            "evaluation_id": held["evaluation_id"],
            "expires_at": held["access_request"]["expires_at"],
        }
        task = self._post("/access/v1/requests", question(tool, parameters) | {"denial": denial})
        return str(task["task"]["status_endpoint"])

    def approval(self, task: str) -> dict[str, str]:
        told = httpx.get(task, headers=self._headers()).json()
        assert told["task"]["status"] == "approved", told
        return dict(told["result"]["approval"])

    def _post(self, path: str, body: dict[str, Any], token: str = "") -> dict[str, Any]:
        answer = httpx.post(f"{self.base}{path}", headers=self._headers(token), json=body)
        assert answer.status_code in {200, 202}, answer.text
        return dict(answer.json())

    def _headers(self, token: str = "") -> dict[str, str]:
        token = token or self.token().json()["access_token"]
        return {"Authorization": f"Bearer {token}", "Idempotency-Key": str(uuid4())}


def question(tool: str, parameters: dict[str, str]) -> dict[str, Any]:
    return {
        "subject": {"type": "agent", "id": AGENT},
        "action": {"name": tool, "properties": parameters},
        "resource": {"type": "helpdesk", "id": parameters["ticket"]},
    }


def test_the_life_of_an_agent(
    company: Installation, browser: Browser, seen_by: Callable[[str], Page], tmp_path: Path
) -> None:
    base = company.base_url
    noted = note(base, tmp_path)

    agent = register_by_template(seen_by("emil"), base)
    allowed, undeclared, held = (
        agent.asks("ticket.read", READ),
        agent.asks("refund.issue", READ),
        agent.asks("ticket.reply", REPLY),
    )
    assert allowed["decision"] is True, allowed
    assert undeclared["context"]["code"] == "allowlist.not_listed", undeclared
    assert held["context"]["code"] == "taint.untrusted_input", held

    task = agent.requests("ticket.reply", REPLY, held["context"])
    release(seen_by("aiko"), base)
    approval = agent.approval(task)
    once, again = (agent.asks("ticket.reply", REPLY, approval=approval) for _ in range(2))
    assert (once["decision"], again["decision"]) == (True, False), again

    kept = agent.token().json()["access_token"]
    leave(company)
    assert agent.token().json()["error"] == "unauthorized_client"
    assert agent.asks("ticket.read", READ, token=kept)["decision"] is False
    end(seen_by("jane"), base, tmp_path)
    assert agent.token().status_code == 401

    auditor = seen_by("noor")
    report(auditor, base, tmp_path)
    prove(auditor, base, once["context"]["decision_id"], tmp_path)
    check_offline(browser, noted, tmp_path)


@dataclass(frozen=True)
class Noted:
    """What an auditor keeps on the first day: the keys, and a checkpoint."""

    keys: Path
    checkpoint: Path


def note(base: str, folder: Path) -> Noted:
    noted = Noted(folder / "keys.txt", folder / "kept.txt")
    noted.keys.write_text(httpx.get(f"{base}/log/keys").text)
    noted.checkpoint.write_text(httpx.get(f"{base}/log/checkpoint").text)
    return noted


def register_by_template(page: Page, base: str) -> Agent:
    """An owner: a template, four answers, one word."""
    page.get_by_role("link", name="Register an agent").first.click()
    page.get_by_role("link", name="Same-tier ETL processor").click()
    page.get_by_label("Name", exact=True).fill(AGENT)
    page.get_by_label("What is it for?").fill("Answers tickets that ask where a claim stands.")
    page.get_by_label("ticket.read").check()
    page.get_by_label("ticket.reply").check()
    live = page.locator("#verdict").get_by_role("heading", name="Goes live now, on your word")
    expect(live).to_be_visible()
    scene(page, "life-1-register")
    page.get_by_role("button", name="Register and go live").click()
    expect(page.get_by_label("Secret", exact=True)).to_be_visible()
    scene(page, "life-2-live")
    client_id, secret = (
        page.get_by_label(label, exact=True).input_value() for label in ("Client id", "Secret")
    )
    return Agent(base, client_id, secret)


def release(page: Page, base: str) -> None:
    """Security: the true parameters, and a yes that counts once."""
    page.goto(f"{base}/inbox/")
    page.get_by_role("link", name=f"{AGENT}: ticket.reply").click()
    expect(page.get_by_role("main")).to_contain_text(REPLY["text"])
    scene(page, "life-3-held")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text(f"{AGENT} may do exactly this, once.")).to_be_visible()


def leave(company: Installation) -> None:
    """The company's directory says that the owner works there no more (RFC 7644, 3.5.2)."""
    schemas = "urn:ietf:params:scim:schemas:core:2.0:User"
    message = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
    headers = {
        "Authorization": f"Bearer {company.demo['scim_token']}",
        "Content-Type": "application/scim+json",
    }
    people = f"{company.base_url}/scim/v2/Users"
    owner = {"schemas": [schemas], "userName": company.person("emil")["email"], "active": True}
    known = httpx.post(people, headers=headers, json=owner)
    gone = [{"op": "replace", "path": "active", "value": False}]
    patch = {"schemas": [message], "Operations": gone}
    told = httpx.patch(f"{people}/{known.json()['id']}", headers=headers, json=patch)
    assert (known.status_code, told.status_code) == (201, 204)


def end(page: Page, base: str, folder: Path) -> None:
    """The manager ends the agent; the worker does it, and leaves a certificate."""
    page.goto(f"{base}/leavers/")
    page.get_by_role("link", name="agents of Emil Brandt").click()
    scene(page, "life-4-leaver")
    for each in page.get_by_role("main").get_by_role("checkbox").all():
        each.uncheck()
    page.get_by_label(AGENT, exact=True).check()
    page.get_by_label("Reason").fill("The new desk answers these itself.")
    page.get_by_role("button", name="End what is ticked").click()
    expect(page.get_by_text(f"{AGENT} gets nothing from now on.")).to_be_visible()
    page.goto(f"{base}/agents/{AGENT}/end/")
    expect(page.get_by_role("heading", name="What was ended")).to_be_visible(timeout=WORKED_MS)
    page.reload()
    scene(page, "life-5-ended")
    with page.expect_download() as download:
        page.get_by_role("link", name="PDF of edition 1").click()
    download.value.save_as(folder / "end.pdf")
    assert (folder / "end.pdf").read_bytes().startswith(b"%PDF-")


def report(page: Page, base: str, folder: Path) -> None:
    """The auditor asks for evidence, and takes it along."""
    page.goto(f"{base}/evidence/")
    scene(page, "life-6-evidence")
    page.goto(f"{base}/evidence/reports/")
    asked = page.locator("form[action$='/ask/']")
    asked.locator("select[name=framework]").select_option("soc2")
    asked.get_by_role("button", name="Make the report").click()
    taken = page.get_by_role("link", name="Get bundle.zip")
    expect(taken).to_be_visible(timeout=WORKED_MS)
    scene(page, "life-7-report")
    with page.expect_download() as download:
        taken.click()
    download.value.save_as(folder / "bundle.zip")
    with zipfile.ZipFile(folder / "bundle.zip") as bundle:
        assert bundle.read("report.pdf").startswith(b"%PDF-")
        assert json.loads(bundle.read("evidence.json"))["controls"]


def prove(page: Page, base: str, decision: str, folder: Path) -> None:
    """From the record of the released call to its proof, and to the whole record."""
    page.goto(f"{base}/trail/{decision}/")
    scene(page, "life-8-decision")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download its proof").click()
    download.value.save_as(folder / "reply.tlog-proof")
    page.goto(f"{base}/proof/")
    size = (folder / "kept.txt").read_text().splitlines()[1]
    page.locator("input[name=since]").fill(size)
    with page.expect_download() as download:
        page.get_by_role("button", name="Export for proof").click()
    download.value.save_as(folder / "muster-proof.jsonl")


def check_offline(browser: Browser, noted: Noted, folder: Path) -> None:
    """On a machine without a network: the verifier's one page, and its one Python file."""
    record = (folder / "muster-proof.jsonl").read_text()
    assert AGENT in record
    (folder / "altered.jsonl").write_text(record.replace(AGENT, "refund-desk", 1))
    page = browser.new_context(offline=True, viewport={"width": 1100, "height": 900}).new_page()
    for name, says in (
        ("reply.tlog-proof", "The record holds."),
        ("muster-proof.jsonl", "The record holds."),
        ("altered.jsonl", "The record does not hold."),
    ):
        page.goto(PAGE.as_uri())
        page.get_by_label("The key that you noted").fill(noted.keys.read_text())
        if not name.endswith(".tlog-proof"):  # one entry says nothing of the record's growth
            page.locator('[data-pick="kept"]').set_input_files(noted.checkpoint)
        page.locator('[data-pick="now"]').set_input_files(folder / name)
        page.get_by_role("button", name="Check the record").click()
        expect(page.locator("#title")).to_contain_text(says)
        if name == "muster-proof.jsonl":
            scene(page, "life-9-proof")
    keys, kept = ("--key", str(noted.keys)), ("--kept", str(noted.checkpoint))
    assert verify.main([str(folder / "muster-proof.jsonl"), *keys, *kept]) == 0
    assert verify.main([str(folder / "altered.jsonl"), *keys, *kept]) == 1
