"""What people do with reports: ask for them, plan them, hand them out, fetch them."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F

from audit import services as audit
from audit.enums import Kind
from compliance import permissions, scope
from compliance.catalogue import framework
from compliance.enums import Cadence, ReportState
from compliance.errors import LinkOver, ReportGone, ReportNotReady, ReportRunning
from compliance.models import DownloadLink, Report, ReportFile, ReportSchedule
from compliance.period import Period
from compliance.reports.making import REPORTS, is_alive
from governance.kernel import clock
from governance.kernel.errors import Conflict, Invalid, NotFound
from registry.models import Person
from registry.services import saving

LONGEST_LINK = 30
TOKEN_BYTES = 32


@transaction.atomic
def ask_report(*, framework_id: str, period: Period, scope_key: str, by: Person) -> Report:
    """Have a report made. It has not run yet; see `tasks.set_off`."""
    permissions.check_can_make_reports(by)
    now = clock.now()
    if period.since > now:
        raise Invalid("This period has not begun.", fields={"period": ["It has not begun."]})
    report = Report.objects.create(
        framework=framework(framework_id).id,
        first=period.first,
        last=period.last,
        scope=scope.read(scope_key).key,
        asked_by=by,
        asked_at=now,
    )
    _record("report_asked", by.pid, report)
    return report


@transaction.atomic
def make_again(*, report_id: UUID, by: Person) -> Report:
    """Have a report that failed, or was not heard of any more, made again from the start."""
    permissions.check_can_make_reports(by)
    report = saving.locked(Report, "report", pk=report_id)
    if is_alive(report, clock.now()):
        raise ReportRunning()
    if report.state == ReportState.DONE:
        raise Conflict("This report is made. Ask for another one.")
    report.state, report.failure = ReportState.WAITING, ""
    report.save(update_fields=["state", "failure"])
    return report


# By the clock


@transaction.atomic
def plan_reports(*, framework_id: str, cadence: str, scope_key: str, by: Person) -> ReportSchedule:
    """Have a report made after each month or quarter. Planned twice, it is planned once."""
    permissions.check_can_plan_reports(by)
    given = {
        "framework": framework(framework_id).id,
        "cadence": Cadence(cadence),
        "scope": scope.read(scope_key).key,
    }
    found = ReportSchedule.objects.filter(**given, ended_at__isnull=True).first()
    if found:
        return found
    try:
        with transaction.atomic():
            planned = ReportSchedule.objects.create(**given, made_by=by, made_at=clock.now())
    except IntegrityError as error:
        raise Conflict() from error
    audit.record(
        kind=Kind.ADMIN,
        actor=by.pid,
        asked={"did": "reports_planned", "schedule": planned.pk, **given},
    )
    return planned


@transaction.atomic
def end_plan(*, schedule_id: int, by: Person) -> ReportSchedule:
    """Have no more reports made by this clock; those that were made stay."""
    permissions.check_can_plan_reports(by)
    planned = saving.locked(ReportSchedule, "plan", pk=schedule_id)
    if planned.ended_at is None:
        planned.ended_at, planned.ended_by = clock.now(), by
        planned.save(update_fields=["ended_at", "ended_by"])
        audit.record(
            kind=Kind.ADMIN,
            actor=by.pid,
            asked={"did": "report_plan_ended", "schedule": planned.pk},
        )
    return planned


@transaction.atomic
def ask_planned(*, schedule_id: int, period: Period) -> Report | None:
    """The report of a schedule over one period; None where it was asked for already."""
    planned = saving.found(ReportSchedule, "plan", pk=schedule_id, ended_at__isnull=True)
    if planned is None:
        return None
    report, made = Report.objects.get_or_create(
        schedule=planned,
        first=period.first,
        last=period.last,
        defaults={
            "framework": planned.framework,
            "scope": planned.scope,
            "asked_at": clock.now(),
        },
    )
    if not made:
        return None
    _record("report_asked", REPORTS.pid, report)
    return report


# Retention


@transaction.atomic
def delete_files(*, report_id: UUID, now: datetime) -> bool:
    """Delete the files of a report whose time is over; its row and its digests stay."""
    report = saving.locked(Report, "report", pk=report_id)
    if not is_over(report, now):
        return False
    digests = dict(report.files.values_list("name", "sha256"))
    report.files.all().delete()
    report.links.filter(ended_at__isnull=True).update(ended_at=now)
    report.files_deleted_at = now
    report.save(update_fields=["files_deleted_at"])
    audit.record(
        kind=Kind.SYSTEM,
        actor=REPORTS.pid,
        asked={"did": "report_files_deleted", "report": str(report.pk), "sha256": digests},
    )
    return True


def is_over(report: Report, now: datetime) -> bool:
    """Whether its files were kept for as long as the installation says."""
    kept = timedelta(days=settings.MUSTER_REPORT_DAYS)
    made = report.made_at is not None and report.made_at + kept <= now
    return made and report.files_deleted_at is None


# Fetching


def fetch_file(*, report_id: UUID, name: str, by: Person) -> ReportFile:
    """One file for a person who is signed in. That it is fetched is recorded first."""
    permissions.check_can_make_reports(by)
    report = Report.objects.filter(pk=report_id).first()
    if report is None:
        raise NotFound("There is no such report.")
    with transaction.atomic():
        found = _file(report, name)
        _record("report_fetched", by.pid, report, file=name, sha256=found.sha256)
    return found


@transaction.atomic
def make_link(*, report_id: UUID, whom: str, days: int, by: Person) -> tuple[DownloadLink, str]:
    """A link for somebody who has no account here, and its secret, which is shown this once."""
    permissions.check_can_plan_reports(by)
    if not 1 <= days <= LONGEST_LINK:
        sentence = f"A link lasts 1 to {LONGEST_LINK} days."
        raise Invalid(sentence, fields={"days": [sentence]})
    if not whom.strip():
        raise Invalid("Say who the link is for.", fields={"whom": ["Say who it is for."]})
    report, token, now = (
        saving.locked(Report, "report", pk=report_id),
        secrets.token_urlsafe(TOKEN_BYTES),
        clock.now(),
    )
    _file(report, "bundle.zip")
    link = DownloadLink(
        digest=_digest(token),
        report=report,
        whom=whom.strip(),
        made_by=by,
        made_at=now,
        expires_at=now + timedelta(days=days),
    )
    saving.check(link)
    link.save()
    _record("report_link_made", by.pid, report, link=str(link.pk), days=days)
    return link, token


@transaction.atomic
def end_link(*, link_id: UUID, by: Person) -> DownloadLink:
    """Have a link open nothing any more, at once."""
    permissions.check_can_plan_reports(by)
    link = saving.locked(DownloadLink, "link", pk=link_id)
    if link.ended_at is None:
        link.ended_at = clock.now()
        link.save(update_fields=["ended_at"])
        _record("report_link_ended", by.pid, link.report, link=str(link.pk))
    return link


def open_link(token: str) -> DownloadLink:
    """The link that this secret opens. Raises `LinkOver`, whatever is wrong with it."""
    link = DownloadLink.objects.filter(digest=_digest(token)).select_related("report").first()
    if link is None or link.is_over(clock.now()):
        raise LinkOver()
    return link


def fetch_by_link(*, token: str, name: str) -> ReportFile:
    """One file for who has the link. That it is fetched is recorded first."""
    link = open_link(token)
    with transaction.atomic():
        found = _file(link.report, name)
        DownloadLink.objects.filter(pk=link.pk).update(
            fetched=F("fetched") + 1, last_fetched_at=clock.now()
        )
        actor = f"link:{link.pk}"
        _record("report_fetched", actor, link.report, file=name, sha256=found.sha256)
    return found


def _file(report: Report, name: str) -> ReportFile:
    if report.files_deleted_at is not None:
        raise ReportGone()
    if report.state != ReportState.DONE:
        raise ReportNotReady()
    found = report.files.filter(name=name).first()
    if found is None:
        raise NotFound("The report has no such file.")
    return found


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _record(did: str, actor: str, report: Report, **more: object) -> None:
    audit.record(
        kind=Kind.ACCESS,
        actor=actor,
        asked={
            "did": did,
            "report": str(report.pk),
            "framework": report.framework,
            "period": report.period.key,
            **more,
        },
    )
