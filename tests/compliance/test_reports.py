"""Reports: one signed bundle, the same for the same period, and who may have it."""

from __future__ import annotations

import base64
import csv
import io
import json
import subprocess
import warnings
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from audit import leaf
from audit.export import read_cell
from compliance import period
from compliance.enums import Breaks, ReportState
from compliance.errors import LinkOver, ReportGone, ReportNotReady
from compliance.models import DownloadLink, Report, ReportFile, ReportSchedule
from compliance.period import Period
from compliance.reports import making, services, sweep
from compliance.reports.document import RULES
from governance.kernel import clock
from governance.kernel.errors import Conflict, Invalid, NotAllowed
from registry.enums import GroupName
from registry.models import Agent, Person
from tests.compliance.world import World
from tests.factories.authz import make_person

pytestmark = pytest.mark.django_db

AUDITOR, SECURITY = [GroupName.AUDITOR], [GroupName.SECURITY]


def asked(by: Person, framework: str = "sox", span: Period | None = None) -> Report:
    span = span or period.month_of(clock.now().date())
    return services.ask_report(framework_id=framework, period=span, scope_key="", by=by)


def made(by: Person, framework: str = "sox", span: Period | None = None) -> Report:
    return making.make_report(report_id=asked(by, framework, span).pk)


def opened(report: Report) -> dict[str, bytes]:
    """The files of its bundle by their names."""
    found = report.files.get(name="bundle.zip")
    with zipfile.ZipFile(io.BytesIO(bytes(found.content))) as bundle:
        return {name: bundle.read(name) for name in bundle.namelist()}


def said(record: Any) -> Any:
    return leaf.parse_body(bytes(record["body"]))["asked"]


def signed_in(person: Person) -> Client:
    client = Client()
    client.force_login(person)
    return client


# The bundle


@pytest.fixture(scope="module")
def bundle(world_once: World, django_db_blocker: Any) -> dict[str, bytes]:
    """One bundle of SOC 2 in the company in which everything is wrong."""
    with django_db_blocker.unblock():
        Agent.objects.filter(slug="payer").update(name='=HYPERLINK("http://x")')
        return opened(made(make_person(groups=AUDITOR), "soc2"))


def test_a_bundle_is_signed_and_its_manifest_names_every_file(
    bundle: dict[str, bytes], tmp_path: Path
) -> None:
    manifest = json.loads(bundle["manifest.json"])

    assert set(bundle) == {*manifest["files"], "manifest.json", "manifest.sig"}
    assert {name: making.files.digest(bundle[name]) for name in manifest["files"]} == {
        name: each["sha256"] for name, each in manifest["files"].items()
    }
    assert manifest["stamp"]["pdf_standard"] == "a-3a"
    assert verified(bundle, tmp_path)
    assert not verified(bundle | {"manifest.json": bundle["manifest.json"] + b" "}, tmp_path)


def verified(bundle: dict[str, bytes], folder: Path) -> bool:
    """What the file README.txt of a bundle tells people to run."""
    for name in ("key.pem", "manifest.json", "manifest.sig"):
        (folder / name).write_bytes(bundle[name])
    command = bundle["README.txt"].decode().split("openssl ")[1].split("\n")[0]
    return subprocess.run(
        ["openssl", *command.split()], cwd=folder, check=False, capture_output=True
    ).returncode == 0  # fmt: skip


def test_the_paper_is_tagged_and_bears_the_data(bundle: dict[str, bytes]) -> None:
    paper = bundle["report.pdf"]

    assert paper.startswith(b"%PDF-1.7")
    assert b"<pdfaid:part>3</pdfaid:part><pdfaid:conformance>A" in paper
    assert paper.count(b"/AFRelationship/Data") == sum(
        name.endswith((".csv", "evidence.json")) for name in bundle
    )
    assert b"/JavaScript" not in paper
    assert b"/Launch" not in paper


def test_no_cell_of_a_table_is_a_formula(bundle: dict[str, bytes]) -> None:
    rows = list(csv.reader(io.StringIO(bundle["annexes/agents.csv"].decode())))

    names = [row[1] for row in rows if "HYPERLINK" in row[1]]
    assert names == ['\'=HYPERLINK("http://x")']
    assert read_cell(names[0]) == '=HYPERLINK("http://x")'


def test_the_data_is_what_the_paper_says(bundle: dict[str, bytes], world: World) -> None:
    document = json.loads(bundle["evidence.json"])

    exceptions = list(csv.reader(io.StringIO(bundle["annexes/exceptions.csv"].decode())))[1:]
    counted = sum(
        len(query["exceptions"]) for line in document["controls"] for query in line["queries"]
    )
    assert len(exceptions) == counted
    assert sum(document["status"].values()) == len(document["controls"])
    assert document["coverage"]["sentence"].startswith("The record is not sealed")


def test_oscal_is_valid(bundle: dict[str, bytes]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = pytest.importorskip("trestle.oscal.assessment_results")
        document = json.loads(bundle["oscal.json"])["assessment-results"]
        read = results.AssessmentResults.parse_obj(document)

    result = read.results[0]
    lines = json.loads(bundle["evidence.json"])["controls"]
    assert len(result.findings) == sum(each["status"] != "not_applicable" for each in lines)
    states = {each.target.status.state.value for each in result.findings}
    assert states <= {"satisfied", "not-satisfied"}
    with pytest.raises(ValueError, match="import"):
        results.AssessmentResults.parse_obj({
            name: each for name, each in document.items() if name != "import-ap"
        })  # fmt: skip


def test_two_runs_over_one_period_are_equal_but_for_their_stamp(world: World) -> None:
    by, span = make_person(groups=AUDITOR), period.month_of(clock.now().date())
    # A period that is over, so that asking twice counts the same.
    report, other = (asked(by, "hipaa", span) for _ in range(2))
    Report.objects.filter(pk=other.pk).update(asked_at=report.asked_at)
    first, second = (opened(making.make_report(report_id=each.pk)) for each in (report, other))

    assert {name for name in first if first[name] != second[name]} <= {
        "report.pdf", "oscal.json", "manifest.json", "manifest.sig",
    }  # fmt: skip
    made_at = datetime(2026, 1, 1, tzinfo=UTC)
    stamp = making.stamp_of(report, made_at)
    report.refresh_from_db()
    papers = {
        making.contents(*making.gathered(report, lambda *_: None), stamp, made_at)["report.pdf"]
        for _ in range(2)
    }
    assert len(papers) == 1


def test_what_was_made_stands_on_the_record(
    world: World, mark: Callable[[], Any], records_after: Callable[..., Any]
) -> None:
    by, marked = make_person(groups=AUDITOR), mark()

    report = made(by)
    found = services.fetch_file(report_id=report.pk, name="bundle.zip", by=by)

    told = {said(each)["did"]: said(each) for each in records_after(marked, kind="access")}
    assert set(told) == {"report_asked", "report_made", "report_fetched"}
    assert told["report_made"]["sha256"] == told["report_fetched"]["sha256"] == found.sha256
    assert (report.state, report.done, report.pages > 3) == ("done", report.total, True)


def test_a_name_without_a_glyph_still_has_a_report(world: World) -> None:
    Agent.objects.filter(slug="payer").update(name="\U00012000 pays")

    report = made(make_person(groups=AUDITOR))

    assert report.state == ReportState.DONE
    assert json.loads(opened(report)["manifest.json"])["stamp"]["pdf_standard"] == ""


# Who may


def test_who_may_see_make_and_plan(world: World) -> None:
    def may(*groups: GroupName) -> tuple[bool, bool, bool]:
        person = make_person(groups=groups)
        return tuple(_goes(act, person) for act in (_see, asked, _plan))  # type: ignore[return-value]

    assert may(GroupName.AUDITOR) == (True, True, False)
    assert may(GroupName.DPO) == may(GroupName.SECURITY) == (True, True, True)
    assert may(GroupName.PLATFORM_ADMIN) == (True, False, False)
    assert may(GroupName.SOURCE_OWNER) == may() == (False, False, False)


def _goes(act: Callable[[Person], object], person: Person) -> bool:
    try:
        act(person)
    except NotAllowed:
        return False
    return True


def _see(person: Person) -> None:
    if signed_in(person).get("/evidence/").status_code == 403:
        raise NotAllowed()


def _plan(person: Person) -> ReportSchedule:
    return services.plan_reports(framework_id="sox", cadence="monthly", scope_key="", by=person)


def test_what_has_not_begun_cannot_be_asked_for() -> None:
    far = Period(date(2099, 1, 1), date(2099, 1, 31))

    with pytest.raises(Invalid, match="has not begun"):
        asked(make_person(groups=AUDITOR), span=far)


@pytest.mark.parametrize(
    "text", ["", "2026-01-01", "2026-02-30..2026-03-01", "2026-03-01..2026-01-01", "x..y",
             "2020-01-01..2026-01-01", "9999-12-31..9999-12-31"],
)  # fmt: skip
def test_a_bad_period_is_refused(text: str) -> None:
    client = signed_in(make_person(groups=AUDITOR))

    assert client.get("/api/v1/evidence/sox", {"period": text or " "}).status_code == 400


# Links


@pytest.fixture
def linked(world: World) -> tuple[DownloadLink, str]:
    by = make_person(groups=SECURITY)
    return services.make_link(report_id=made(by).pk, whom="Auditors Ltd", days=7, by=by)


def test_a_link_needs_no_account_and_each_download_is_recorded(
    linked: tuple[DownloadLink, str], mark: Callable[[], Any], records_after: Callable[..., Any]
) -> None:
    link, token = linked
    marked = mark()

    page = Client().get(f"/evidence/by-link/{token}/")
    got = Client().get(f"/evidence/by-link/{token}/bundle.zip")

    (entry,) = records_after(marked, kind="access")
    assert (page.status_code, got.status_code) == (200, 200)
    assert (page["Referrer-Policy"], page["X-Robots-Tag"]) == ("no-referrer", "noindex")
    assert "no-store" in got["Cache-Control"]
    assert (entry["actor"], said(entry)["did"]) == (f"link:{link.pk}", "report_fetched")
    assert said(entry)["sha256"] == making.files.digest(got.content)
    link.refresh_from_db()
    assert link.fetched == 1


def test_a_link_that_has_ended_opens_nothing(linked: tuple[DownloadLink, str]) -> None:
    link, token = linked

    def codes() -> set[int]:
        wrong = "A" * 43
        return {
            Client().get(f"/evidence/by-link/{each}/{name}").status_code
            for each in (token, wrong)
            for name in ("", "report.pdf")
        }

    assert codes() == {200, 404}
    services.end_link(link_id=link.pk, by=make_person(groups=SECURITY))
    assert codes() == {404}
    DownloadLink.objects.filter(pk=link.pk).update(
        ended_at=None, made_at=clock.now() - timedelta(days=8),
        expires_at=clock.now() - timedelta(seconds=1),
    )  # fmt: skip
    assert codes() == {404}
    with pytest.raises(LinkOver):
        services.open_link(token)


def test_the_token_of_a_link_is_kept_nowhere(linked: tuple[DownloadLink, str]) -> None:
    link, token = linked

    assert token not in json.dumps(DownloadLink.objects.values().get(pk=link.pk), default=str)
    assert len(base64.urlsafe_b64decode(token + "=")) == 32


# By the clock


def test_what_is_planned_is_made_once_after_each_period() -> None:
    planned = services.plan_reports(
        framework_id="sox", cadence="monthly", scope_key="", by=make_person(groups=SECURITY)
    )
    ReportSchedule.objects.filter(pk=planned.pk).update(made_at=datetime(2026, 1, 5, tzinfo=UTC))
    now = datetime(2026, 3, 2, tzinfo=UTC)

    (key,) = sweep.due(now)
    done = [sweep.handle(key, now) for _ in range(2)]

    (report,) = planned.reports.all()
    assert key == f"plan:{planned.pk}:2026-02-01..2026-02-28"
    assert done == [True, False]
    assert (report.period.key, report.asked_by) == ("2026-02-01..2026-02-28", None)
    assert sweep.due(now) == [f"make:{report.pk}"]
    assert sweep.handle(f"make:{report.pk}", now)
    assert sweep.due(now) == []


def test_what_was_over_before_it_was_planned_is_not_made_up_for() -> None:
    services.plan_reports(
        framework_id="sox", cadence="quarterly", scope_key="", by=make_person(groups=SECURITY)
    )

    assert sweep.due(clock.now()) == []


def test_old_files_are_deleted_and_their_digests_stay(
    world: World, settings: Any, mark: Callable[[], Any], records_after: Callable[..., Any]
) -> None:
    by = make_person(groups=SECURITY)
    report = made(by)
    _, token = services.make_link(report_id=report.pk, whom="Somebody", days=30, by=by)
    digest, marked = report.files.get(name="bundle.zip").sha256, mark()
    later = clock.now() + timedelta(days=settings.MUSTER_REPORT_DAYS + 1)

    assert f"old:{report.pk}" in sweep.due(later)
    assert [sweep.handle(f"old:{report.pk}", later) for _ in range(2)] == [True, False]

    (entry,) = records_after(marked, kind="system")
    assert said(entry)["sha256"]["bundle.zip"] == digest
    assert not ReportFile.objects.filter(report=report).exists()
    with pytest.raises(ReportGone):
        services.fetch_file(report_id=report.pk, name="bundle.zip", by=by)
    with pytest.raises(LinkOver):
        services.open_link(token)


def test_one_that_died_is_made_again_and_one_that_lives_is_not(world: World) -> None:
    by = make_person(groups=AUDITOR)
    report = asked(by)
    Report.objects.filter(pk=report.pk).update(
        state=ReportState.RUNNING, run=1, heard_at=clock.now()
    )

    alive = making.make_report(report_id=report.pk)
    with pytest.raises(Conflict):
        services.make_again(report_id=report.pk, by=by)
    with pytest.raises(ReportNotReady):
        services.fetch_file(report_id=report.pk, name="bundle.zip", by=by)
    Report.objects.filter(pk=report.pk).update(heard_at=clock.now() - timedelta(minutes=6))

    assert (alive.state, alive.run) == (ReportState.RUNNING, 1)
    assert sweep.due(clock.now()) == [f"make:{report.pk}"]
    assert making.make_report(report_id=report.pk).run == 2


def test_what_fails_says_so_and_can_be_made_again(world: World, monkeypatch: Any) -> None:
    by = make_person(groups=AUDITOR)
    report = asked(by)

    def broken(*_: Any) -> Any:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr("compliance.reports.pdf.pdf_of", broken)
        with pytest.raises(RuntimeError):
            making.make_report(report_id=report.pk)
    report.refresh_from_db()
    failed = (report.state, report.failure)
    services.make_again(report_id=report.pk, by=by)

    assert failed == (ReportState.FAILED, making.STOPPED)
    assert making.make_report(report_id=report.pk).state == ReportState.DONE


def test_every_rule_is_in_words() -> None:
    assert set(RULES) == set(Breaks)
