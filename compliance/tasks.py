"""Making reports: nobody waits for it."""

from __future__ import annotations

import logging
from uuid import UUID

from celery import shared_task
from kombu.exceptions import OperationalError

from compliance.models import Report
from compliance.reports import making

log = logging.getLogger(__name__)


@shared_task(name="compliance.make_report")  # type: ignore[untyped-decorator]
def make_report(report_id: str) -> None:
    """Make a report; delivered twice, it is made once."""
    making.make_report(report_id=UUID(report_id))


def set_off(report: Report) -> None:
    """Have the queue make it. Without a queue the sweep of reports does."""
    try:
        make_report.delay(str(report.pk))
    except OperationalError as error:
        log.warning("report %s could not be queued: %s", report.pk, error)
