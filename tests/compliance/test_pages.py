"""Pages of evidence and its REST operations: what they show is what the queries say."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils.html import escape

from audit import leaf
from compliance import period
from compliance.catalogue import framework, frameworks
from compliance.comparing import compared
from compliance.evidence import Asking, Look, look_at
from compliance.models import Report
from compliance.reports import making, services
from governance.kernel import clock
from registry.enums import GroupName
from registry.models import Agent
from tests.compliance.world import World
from tests.factories.authz import make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def auditor(world: World) -> Client:
    client = Client()
    client.force_login(make_person(groups=[GroupName.AUDITOR]))
    return client


def test_every_line_has_a_page_that_shows_its_figures_and_exceptions(
    auditor: Client, look: Look
) -> None:
    asking = Asking(look)
    for asked in frameworks():
        for line in asked.controls:
            page = auditor.get(f"/evidence/{asked.id}/{line.id}/", {"period": look.period.key})
            text = page.content.decode()

            found = asking.control(asked, line)
            assert page.status_code == 200
            for answer in found.answers:
                assert escape(answer.query.title) in text
                for each in answer.evidence.exceptions[:3]:
                    # What every asking counts anew may have grown meanwhile.
                    assert each.agent in text


def test_the_rows_behind_each_figure_can_be_reached(auditor: Client, look: Look) -> None:
    pages = [
        auditor.get(f"/evidence/{asked.id}/{line.id}/", {"period": look.period.key})
        for asked, line in ((framework("soc2"), each) for each in framework("soc2").controls)
    ]
    figures = r'<span class="figure"><a href="([^"]+)"'
    links = {one for page in pages for one in re.findall(figures, page.content.decode())}

    reached = {link: auditor.get(link.replace("&amp;", "&")).status_code for link in links}

    # Sweeps are for those who operate Muster.
    assert {link for link, code in reached.items() if code not in {200, 403}} == set()
    assert {link.split("?")[0] for link, code in reached.items() if code == 403} <= {"/sweeps/"}
    assert len(links) > 20


def test_an_annex_as_csv_is_on_the_record(
    auditor: Client, look: Look, mark: Callable[[], Any], records_after: Callable[..., Any]
) -> None:
    marked = mark()

    answer = auditor.get("/evidence/hipaa/annex/phi_flows.csv", {"period": look.period.key})

    rows = list(csv.reader(io.StringIO(answer.content.decode())))
    assert [row[:4] for row in rows[1:]] == [["triage", "Meridian", "meridian", "US"]]
    (entry,) = records_after(marked, kind="access")
    said = leaf.parse_body(bytes(entry["body"]))["asked"]
    assert (said["did"], said["annex"]) == ("annex_fetched", "phi_flows")


def test_no_page_is_shown_to_who_may_not(world: World) -> None:
    client = Client()
    places = ["/evidence/", "/evidence/sox/", "/evidence/sox/s404/", "/evidence/compare/",
              "/evidence/reports/", "/evidence/sox/annex/agents/", "/evidence/sox/annex/agents.csv",
              "/api/v1/evidence", "/api/v1/evidence/sox", "/api/v1/evidence/reports"]  # fmt: skip

    assert {client.get(place).status_code for place in places} <= {302, 401, 403}
    client.force_login(make_person())
    assert {client.get(place).status_code for place in places} == {403}


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("/evidence/none/", 404),
        ("/evidence/sox/none/", 404),
        ("/evidence/sox/annex/none/", 404),
        ("/evidence/sox/?period=never", 400),
        ("/evidence/sox/?scope=agent:nobody", 400),
        ("/evidence/sox/?scope=agent:%00", 400),
        ("/evidence/by-link/%F0%9F%98%80/", 404),
        ("/api/v1/evidence/none", 404),
        ("/api/v1/evidence?scope=team:x", 400),
    ],
)
def test_what_is_not_there_or_not_right_is_said(auditor: Client, place: str, code: int) -> None:
    assert auditor.get(place).status_code == code


# Compare


def test_the_earlier_period_is_read_from_its_report(world: World, look: Look) -> None:
    by = make_person(groups=[GroupName.SECURITY])
    span = period.month_of(look.now.date())
    report = services.ask_report(framework_id="sox", period=span.before, scope_key="", by=by)
    without = compared(framework("sox"), look_at(span, now=look.now))
    making.make_report(report_id=report.pk)
    Report.objects.filter(pk=report.pk).update(document=_worse(report.pk))

    found = compared(framework("sox"), look_at(span, now=look.now))

    assert (without.kept, found.kept) == (None, Report.objects.get(pk=report.pk))
    lines = {line.control.id: line for line in found.lines}
    assert lines["s802"].before == "met"
    assert lines["s802"].word == "worse"
    assert lines["s302"].exceptions_before == 2
    # What stood then is known from a report alone.
    assert {line.control.id for line in without.lines if not line.before} == {"s302", "s802"}


def _worse(report_id: Any) -> dict[str, Any]:
    document = Report.objects.get(pk=report_id).document
    lines = {each["id"]: each for each in document["controls"]}
    lines["s802"]["status"] = "met"
    lines["s302"]["queries"][0]["exceptions"] = [{}, {}]
    for each in lines["s302"]["queries"][1:]:
        each["exceptions"] = []
    return dict(document)


# REST


def test_a_report_is_asked_for_and_fetched_over_rest(
    auditor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    span = period.month_of(clock.now().date()).key
    given = {"framework": "hipaa", "period": span}

    asked = auditor.post("/api/v1/evidence/reports", given, content_type="application/json")
    place = f"/api/v1/evidence/reports/{asked.json()['id']}"
    early = auditor.get(f"{place}/files/bundle.zip")
    making.make_report(report_id=asked.json()["id"])
    made = auditor.get(place).json()
    file = auditor.get(f"{place}/files/bundle.zip")

    assert (asked.status_code, early.status_code, file.status_code) == (202, 409, 200)
    assert (made["state"], made["period"]) == ("done", span)
    assert {each["name"]: each["size"] for each in made["files"]}["bundle.zip"] == len(file.content)
    listed = auditor.get("/api/v1/evidence/reports", {"state": "done"}).json()["results"]
    assert [each["id"] for each in listed] == [made["id"]]


def test_lines_over_rest_stand_as_on_the_page(auditor: Client, look: Look) -> None:
    given = {"period": look.period.key, "scope": "agent:payer"}

    answer = auditor.get("/api/v1/evidence/sox", given).json()
    line = auditor.get("/api/v1/evidence/sox/s302", given).json()

    assert answer["counts"] == {"met": 0, "partly": 1, "not_met": 3, "not_applicable": 0}
    assert [each["id"] for each in answer["lines"]] == ["s302", "s404", "s404-duties", "s802"]
    assert (line["status"], line["queries"][0]["id"]) == ("not_met", "owners_employed")
    assert Agent.objects.filter(slug="payer").exists()
    assert line["queries"][0]["figures"][0]["value"] == 1


def test_a_month_is_followed_and_preceded_by_whole_ones() -> None:
    quarter = period.read("2026-01-01..2026-03-31")
    month = period.read("2024-02-01..2024-02-29")
    odd = period.read("2026-01-10..2026-01-19")

    assert quarter.before.key == "2025-10-01..2025-12-31"
    assert month.before.key == "2024-01-01..2024-01-31"
    assert odd.before.key == "2025-12-31..2026-01-09"
    assert (quarter.until - quarter.since) == timedelta(days=90)
    assert quarter.name == "1 Jan to 31 Mar 2026"
    assert period.read("2025-12-01..2026-01-31").name == "1 Dec 2025 to 31 Jan 2026"
