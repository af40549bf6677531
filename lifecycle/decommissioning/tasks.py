"""The steps of an end, which nobody waits for."""

from __future__ import annotations

import logging
from uuid import UUID

from celery import shared_task
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)


@shared_task(name="lifecycle.decommission")  # type: ignore[untyped-decorator]
def decommission(run_id: str) -> None:
    """Go on with a run; delivered twice, or while another works on it, nothing is done twice."""
    from lifecycle.decommissioning import working  # noqa: PLC0415  it begins runs by this module

    working.carry_on(run_id=UUID(run_id))


def set_off(run_id: UUID) -> None:
    """Have the queue go on with a run. Without a queue the sweep finds it."""
    try:
        decommission.delay(str(run_id))
    except OperationalError as error:
        log.warning("decommissioning %s could not be queued: %s", run_id, error)
