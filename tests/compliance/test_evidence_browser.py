"""An auditor in a real browser: from the matrix to a line, its rows, a report and its download;
from the trail to an incident, and to the proof of an entry, which is checked without Muster."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from authz.decide import decide
from client.muster_client import verify
from compliance.models import Report
from compliance.period import quarter_of
from compliance.reports import making
from governance.kernel import clock
from registry.enums import GroupName
from tests.audit.sealing import bench
from tests.compliance.world import World, planted
from tests.factories.authz import make_desk
from tests.factories.registry import make_person
from tests.lifecycle.browsing import CHROMIUM, signed_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture
def company(settings: Any) -> World:
    settings.MUSTER_APPROVER_MFA = False
    return planted()


def test_an_auditor_finds_the_rows_behind_a_line_and_takes_the_report(
    company: World, browser: Browser, live_server: Any, tmp_path: Path
) -> None:
    auditor = make_person(GroupName.AUDITOR)
    page = signed_in(browser, live_server.url, auditor, accept_downloads=True).new_page()

    # The matrix leads to a line, and the line to what is wrong.
    page.goto(f"{live_server.url}/evidence/")
    page.get_by_role("link", name="not met CC6.7").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Data moves only where it may")
    expect(page.locator("tbody").get_by_text("triage was observed")).to_have_count(1)

    # A figure leads to its rows, of which there are as many.
    figure = page.locator("li", has_text="that were refused").locator("a")
    many = int(figure.inner_text())
    figure.click()
    expect(page.locator("tbody tr")).to_have_count(many)

    # The report is asked for; where no worker runs it waits, and says so.
    page.goto(f"{live_server.url}/evidence/reports/")
    page.locator("form[action$='/ask/'] select[name=framework]").select_option("soc2")
    this_quarter = quarter_of(clock.now().date()).key
    page.locator("form[action$='/ask/'] select[name=period]").select_option(this_quarter)
    page.get_by_role("button", name="Make the report").click()
    expect(page.locator("progress")).to_be_visible()
    making.make_report(report_id=Report.objects.get().pk)
    page.reload()
    with page.expect_download() as download:
        page.get_by_role("link", name="Get bundle.zip").click()
    download.value.save_as(tmp_path / "bundle.zip")

    with zipfile.ZipFile(tmp_path / "bundle.zip") as bundle:
        names = set(bundle.namelist())
        document = json.load(io.BytesIO(bundle.read("evidence.json")))
    assert {"report.pdf", "oscal.json", "manifest.sig"} <= names
    line = next(each for each in document["controls"] if each["id"] == "cc6-7")
    refused = {one["key"]: one["value"] for one in line["queries"][0]["figures"]}
    assert (line["status"], refused["refused"]) == ("not_met", many)


def test_an_auditor_proves_what_they_found_without_muster(
    browser: Browser,
    live_server: Any,
    login: Callable[[str], Any],
    tmp_path: Path,
) -> None:
    desk = make_desk()
    decide([desk.ask(tool="not.listed")], desk.caller)
    bench(tmp_path, login).seal()
    page = signed_in(
        browser, live_server.url, make_person(GroupName.AUDITOR), accept_downloads=True
    ).new_page()

    # Searched, looked at, and put beside what happened around it.
    page.goto(f"{live_server.url}/trail/?effect=deny&agent={desk.agent.slug}")
    page.locator("td a[href^='/trail/']").first.click()
    address = page.url
    page.get_by_role("link", name="What happened around it").click()
    expect(page.locator("tr[aria-current]")).to_have_count(1)

    # The key is noted once, the proof is taken along.
    page.goto(address)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download its proof").click()
    kept, keys = tmp_path / "kept.tlog-proof", tmp_path / "keys.txt"
    download.value.save_as(kept)
    keys.write_text(page.request.get(f"{live_server.url}/log/keys").text())
    altered = tmp_path / "altered.tlog-proof"
    head, body, rest = kept.read_text().split("\n", 2)
    changed = body[:-9] + ("B" if body[-9] == "A" else "A") + body[-8:]
    altered.write_text("\n".join((head, changed, rest)))

    assert verify.main([str(kept), "--key", str(keys)]) == 0
    assert verify.main([str(altered), "--key", str(keys)]) == 1
