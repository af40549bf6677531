"""What is planted in the made-up company: each thing under its own lines, each figure counted."""

import io
import json
import os
import signal
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect

from governance.runner import places, up
from lifecycle.sweeps import registered
from tests.functional.installation import Installation
from tests.functional.reckoned import Reckoning
from tests.functional.test_kill import below

pytestmark = pytest.mark.browser

FRAMEWORKS = ("gdpr", "hipaa", "soc2", "ai-act", "sox")
# What is planted: the query that finds it, the words of the exception, and all lines that show it.
PLANTED: dict[str, tuple[str, str, set[str]]] = {
    "a BAA that has ended": (
        "phi_flows_without_baa",
        "health-quotes carried health-records to Lumen Health (lumen) without a BAA in force.",
        {"hipaa/baa"},
    ),
    "an owner who tried to approve": (
        "duties_separate",
        "Somebody tried to approve their own matter, invoice.approve, and was refused.",
        {"soc2/cc6-3", "sox/s404-duties"},
    ),
    "a key that nobody changed": (
        "secrets_rotated",
        "vault://care/refund-desk/payments of refund-desk was to be changed by ",
        {"gdpr/art-32", "soc2/cc6-1"},
    ),
    "calls that went on although refused": (
        "decisions_checked",
        "contact-cleaner was observed: calls of it went on",
        {"gdpr/art-5-2", "soc2/cc6-1"},
    ),
    "a call beside the row that went on": (
        "roles_decide",
        "contact-cleaner was observed: calls of it went on",
        {"soc2/cc6-3"},
    ),
    "a reach that grew, unreviewed": (
        "agents_cleared",
        "complaints-digest reaches what nobody cleared: it is confidential now.",
        {"soc2/cc8-1"},
    ),
    "a signature that is late": (
        "reviews_on_time",
        "DPO was to sign claims-followup by ",
        {"hipaa/activity-review", "soc2/cc8-1"},
    ),
    "high risk, not signed by the DPO": (
        "dpo_signed",
        "The DPO has not signed health-quotes as it is now.",
        {"gdpr/art-35"},
    ),
    "data that is toxic together": (
        "toxic_answered",
        "refund-desk can put together linked-payments, which counts as restricted.",
        {"gdpr/art-35"},
    ),
    "an agent of who has left": (
        "owners_employed",
        "Henrik Vang owns payment-reminders and has left.",
        {"soc2/cc6-2", "sox/s302"},
    ),
    "a renewal that is late": (
        "renewals_on_time",
        "deal-archive was to be renewed by ",
        {"soc2/cc8-1"},
    ),
    "an agent that fell silent": (
        "idle_answered",
        "Nobody has heard of storm-watch for too long",
        {"soc2/cc8-1"},
    ),
    "a caller that nobody knows": (
        "callers_known",
        "sales-forecast calls from 10.20.0.7 and is not on the register.",
        {"soc2/cc6-2"},
    ),
    "a policy without a case": (
        "policies_tested",
        "invoices-under-2000@v1 has no case that says what it must answer.",
        {"soc2/cc8-1"},
    ),
}
# What the page behind each exception says.
NAMED = {
    "a BAA that has ended": '<b class="bad">ended',
    "an owner who tried to approve": "Refused: to approve invoice.approve",
    "a key that nobody changed": "refund-desk/payments",
    "calls that went on although refused": "allowlist.not_listed",
    "a call beside the row that went on": "allowlist.not_listed",
    "a reach that grew, unreviewed": "Nobody has cleared what it reaches now",
    "a signature that is late": "late: was due",
    "high risk, not signed by the DPO": "health-quotes",
    "data that is toxic together": "linked-payments",
    "an agent of who has left": "Henrik Vang",
    "a renewal that is late": "deal-archive",
    "an agent that fell silent": "storm-watch",
    "a caller that nobody knows": "sales-forecast",
    "a policy without a case": "invoices-under-2000",
}
# What was refused in time is no exception: it is counted, and its entry is looked at.
REFUSED = {"gdpr/art-25", "hipaa/integrity", "soc2/cc6-7", "ai-act/art-10"}
QUIET_SECONDS = 240


@dataclass(frozen=True)
class Made:
    """What a report says, and its figures as they were counted beside it."""

    document: dict[str, Any]
    asked_at: datetime
    since: datetime

    def lines(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every query of every line."""
        for control in self.document["controls"]:
            for query in control["queries"]:
                yield f"{self.document['framework']['id']}/{control['id']}", query

    def figures(self) -> dict[tuple[str, str], Any]:
        return {
            (query["id"], figure["key"]): figure["value"]
            for _, query in self.lines()
            for figure in query["figures"]
        }


@pytest.fixture(scope="module")
def auditor(demo: Installation) -> Iterator[httpx.Client]:
    """Noor Haddad, signed in."""
    user, sign_in = demo.person("noor.haddad"), "/accounts/login/"
    with httpx.Client(base_url=demo.base_url, timeout=60, follow_redirects=True) as client:
        client.get(sign_in)
        told = {"login": user["email"], "password": user["password"]}
        token = {"csrfmiddlewaretoken": client.cookies["csrftoken"]}
        client.post(sign_in, data=told | token, headers={"Referer": f"{demo.base_url}{sign_in}"})
        assert "muster_session" in client.cookies
        yield client


def made(auditor: httpx.Client, demo: Installation, framework: str) -> Made:
    """A report of two months until today, as it lies in its bundle."""
    today = datetime.now(UTC).date()
    first = today - timedelta(days=60)
    told = {"framework": framework, "period": f"{first}..{today}", "scope": "company"}
    signed = {"X-CSRFToken": auditor.cookies["csrftoken"], "Referer": demo.base_url}
    answer = auditor.post("/api/v1/evidence/reports", json=told, headers=signed)
    assert answer.status_code == 202, answer.text
    place = f"/api/v1/evidence/reports/{answer.json()['id']}"
    deadline = time.monotonic() + 120
    while (state := auditor.get(place).json())["state"] != "done":
        assert state["state"] != "failed", state["failure"]
        assert time.monotonic() < deadline, state
        time.sleep(0.3)
    bundle = zipfile.ZipFile(io.BytesIO(auditor.get(f"{place}/files/bundle.zip").content))
    since = datetime.combine(first, datetime.min.time(), UTC)
    asked_at = datetime.fromisoformat(state["asked_at"])
    return Made(json.loads(bundle.read("evidence.json")), asked_at, since)


@pytest.fixture(scope="module")
def reckoned(
    auditor: httpx.Client, demo: Installation
) -> dict[str, tuple[Made, dict[tuple[str, str], Any]]]:
    """Five reports, and right after each was made the counts of its figures."""
    found = {}
    with no_sweeps(demo):
        for framework in FRAMEWORKS:
            report = made(auditor, demo, framework)
            found[framework] = report, counted(demo, report)
    return found


@pytest.fixture(scope="module")
def reports(reckoned: dict[str, tuple[Made, Any]]) -> dict[str, Made]:
    return {framework: report for framework, (report, _) in reckoned.items()}


@contextmanager
def no_sweeps(demo: Installation) -> Iterator[None]:
    """Nobody sets off a sweep meanwhile, and those that run have ended."""
    supervisor = int(up.state(places.choose(str(demo.data)))["pid"])
    (beat,) = [one.pid for one in below(supervisor) if " beat --loglevel" in one.command]
    os.kill(beat, signal.SIGSTOP)
    try:
        deadline, quiet = time.monotonic() + QUIET_SECONDS, 0
        while quiet < 3:
            assert time.monotonic() < deadline, "the sweeps do not end"
            time.sleep(0.5)
            quiet = 0 if _running(demo) else quiet + 1
        yield
    finally:
        os.kill(beat, signal.SIGCONT)


def _running(demo: Installation) -> bool:
    with demo.as_administrator() as connection:
        open_ones = "SELECT 1 FROM lifecycle_sweeprun WHERE ended_at IS NULL LIMIT 1"
        return connection.execute(open_ones).fetchone() is not None


def counted(demo: Installation, report: Made) -> dict[tuple[str, str], Any]:
    """The same figures by statements of their own, all within one snapshot."""
    framework = report.document["framework"]["id"]
    given = {
        (query["id"], f"asked_{name}"): value
        for _, query in report.lines()
        for name, value in query["given"].items()
    }
    looked_at = {(query["id"], "looked_at"): len(query["sample"]) for _, query in report.lines()}
    known = {**given, **looked_at, ("sweeps_on_time", "sweeps"): len(registered())}
    # What had no checkpoint yet when it was asked is under the newest one that there was.
    covers = report.document["coverage"]["covers"]
    newest = None if covers else report.document["coverage"]["size"]
    with demo.as_administrator() as connection, connection.transaction(force_rollback=True):
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reckoning = Reckoning(connection, framework, report.since, report.asked_at, newest)
        return {
            key: known[key] if key in known else reckoning.count(*key) for key in report.figures()
        }


def test_what_is_planted_stands_under_its_lines_and_no_other(reports: dict[str, Made]) -> None:
    found = {
        name: {
            line
            for report in reports.values()
            for line, query in report.lines()
            if query["id"] == wanted
            and any(each["what"].startswith(words) for each in query["exceptions"])
        }
        for name, (wanted, words, _) in PLANTED.items()
    }

    assert found == {name: lines for name, (_, _, lines) in PLANTED.items()}


def test_its_entries_are_those_of_the_record(reports: dict[str, Made], demo: Installation) -> None:
    """What an exception points at is what the record tells of."""
    said = {
        name: [
            (each["record"], each["calls"])
            for line, query in reports[framework].lines()
            if line == f"{framework}/{control}" and query["id"] == PLANTED[name][0]
            for each in query["exceptions"]
            if each["what"].startswith(PLANTED[name][1])
        ]
        for name, framework, control in (
            ("a BAA that has ended", "hipaa", "baa"),
            ("an owner who tried to approve", "sox", "s404-duties"),
            ("calls that went on although refused", "soc2", "cc6-1"),
        )
    }
    with demo.as_administrator() as connection:
        ended = connection.execute(
            "SELECT expires_on FROM registry_agreement WHERE kind = 'baa'"
        ).fetchone()
        days = connection.execute(
            "SELECT min(id::text), count(*) FROM audit.record WHERE agent = 'health-quotes'"
            " AND kind = 'decision' AND tool = 'claims.read' AND effect = 'allow'"
            " AND (at AT TIME ZONE 'UTC')::date > %s"
            " GROUP BY (at AT TIME ZONE 'UTC')::date ORDER BY 1",
            ended,
        ).fetchall()
        tries = connection.execute(
            "SELECT id::text FROM audit.record WHERE kind = 'hold' AND agent = 'invoice-approver'"
            ' AND position(\'"did":"approval_refused"\'::bytea IN body) > 0'
        ).fetchall()
        observed = connection.execute(
            "SELECT count(*) FROM audit.record WHERE agent = 'contact-cleaner'"
            " AND kind = 'decision' AND effect = 'deny' AND mode = 'observe'"
        ).fetchone()

    gaps = said["a BAA that has ended"]
    assert [record for record, _ in gaps if record not in {each for each, _ in days}] == []
    assert sum(calls for _, calls in gaps) == sum(calls for _, calls in days) > 0
    assert said["an owner who tried to approve"] == [(each, None) for (each,) in tries]
    assert said["calls that went on although refused"] == [("", *(observed or ()))] != [("", 0)]


def test_a_movement_to_a_lower_tier_is_counted_and_shown(reports: dict[str, Made]) -> None:
    shown = {
        line
        for report in reports.values()
        for line, query in report.lines()
        if query["id"] == "down_tier_refused"
        for each in query["sample"]
        if (each["agent"], each["tool"]) == ("health-quotes", "chat.post")
        and (each["effect"], each["check"], each["whole"]) == ("deny", "flow", True)
    }

    # In the whole company ten are looked at of many.
    assert REFUSED - {"soc2/cc6-7", "gdpr/art-25"} <= shown <= REFUSED
    assert reports["hipaa"].figures()["down_tier_refused", "refused"] == 1


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_figure_of_a_report_equals_a_count(
    reckoned: dict[str, tuple[Made, dict[tuple[str, str], Any]]], framework: str
) -> None:
    report, wanted = reckoned[framework]

    assert report.figures() == wanted
    assert len(wanted) > 50


def test_each_leads_to_where_it_is_answered(
    auditor: httpx.Client, reports: dict[str, Made]
) -> None:
    silent = []
    for name, (wanted, words, lines) in PLANTED.items():
        framework = sorted(lines)[0].split("/")[0]
        found = next(
            each
            for _, query in reports[framework].lines()
            for each in query["exceptions"]
            if query["id"] == wanted and each["what"].startswith(words)
        )
        page = auditor.get(found["link"])
        if page.status_code != 200 or NAMED[name] not in page.text:
            silent.append((name, found["link"], page.status_code))

    assert silent == []


def test_an_auditor_clicks_from_the_matrix_to_the_rows(
    demo: Installation, browser: Browser
) -> None:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{demo.base_url}/accounts/login/")
    user = demo.person("noor.haddad")
    page.fill("input[name=login]", user["email"])
    page.fill("input[name=password]", user["password"])
    page.press("input[name=password]", "Enter")
    page.wait_for_url(f"{demo.base_url}/")
    today = datetime.now(UTC).date()
    page.goto(f"{demo.base_url}/evidence/?period={today - timedelta(days=60)}..{today}")

    page.locator("main a[href^='/evidence/soc2/cc6-3/']").first.click()
    row = page.locator("#x-roles_decide tbody tr", has_text="contact-cleaner was observed")
    calls = int(row.locator("td.num").inner_text())
    row.locator("th a").click()
    page.wait_for_url("**/trail/**")

    expect(page.locator("tbody tr")).to_have_count(calls)
    expect(page.locator("tbody tr", has_text="allowlist.not_listed")).to_have_count(calls)
