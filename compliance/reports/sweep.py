"""The sweep of reports: asks for what is planned, makes what waits, deletes what is old."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from compliance import period
from compliance.enums import Cadence, ReportState
from compliance.models import Report, ReportSchedule
from compliance.period import Period
from compliance.reports import making, services
from lifecycle.sweeps.registry import Key, Sweep

_WHOLE = {Cadence.MONTHLY: period.month_of, Cadence.QUARTERLY: period.quarter_of}


def due(now: datetime) -> list[Key]:
    """What is planned, then what waits or stopped, then what is old: `word:key`."""
    return [*_planned(now), *_open(now), *_old(now)]


def last_period(cadence: str, now: datetime) -> Period:
    """The newest month or quarter that is over."""
    return _WHOLE[Cadence(cadence)](now.astimezone(UTC).date()).before


def _planned(now: datetime) -> Iterator[str]:
    for each in ReportSchedule.objects.filter(ended_at__isnull=True).order_by("pk"):
        wanted = last_period(each.cadence, now)
        # What was over before it was planned is not made up for.
        later = wanted.until > each.made_at
        if later and not each.reports.filter(first=wanted.first, last=wanted.last).exists():
            yield f"plan:{each.pk}:{wanted.key}"


def _open(now: datetime) -> Iterator[str]:
    silent = now - making.SILENCE
    stopped = Q(state=ReportState.RUNNING, heard_at__lt=silent)
    waiting = Q(state=ReportState.WAITING, asked_at__lt=silent) | Q(
        state=ReportState.WAITING, schedule__isnull=False
    )
    rows = Report.objects.filter(stopped | waiting).order_by("asked_at", "id")
    yield from (f"make:{pk}" for pk in rows.values_list("pk", flat=True))


def _old(now: datetime) -> Iterator[str]:
    limit = now - timedelta(days=settings.MUSTER_REPORT_DAYS)
    rows = Report.objects.filter(made_at__lte=limit, files_deleted_at__isnull=True)
    yield from (f"old:{pk}" for pk in rows.order_by("made_at").values_list("pk", flat=True))


def handle(key: Key, now: datetime) -> bool:
    """Do one of them; done twice, it is done once."""
    word, _, name = str(key).partition(":")
    if word == "plan":
        schedule_id, _, wanted = name.partition(":")
        planned = services.ask_planned(schedule_id=int(schedule_id), period=period.read(wanted))
        return planned is not None
    if word == "old":
        return services.delete_files(report_id=UUID(name), now=now)
    before = Report.objects.get(pk=UUID(name)).run
    return making.make_report(report_id=UUID(name)).run != before


SWEEP = Sweep(
    "reports",
    "Makes the reports that are planned, and deletes the files of old ones.",
    due,
    handle,
    outside=True,
)
