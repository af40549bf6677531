"""The steps outside Muster, which nobody waits for."""

from __future__ import annotations

import logging
from uuid import UUID

from celery import shared_task
from kombu.exceptions import OperationalError

from lifecycle.provisioning import working

log = logging.getLogger(__name__)


@shared_task(name="lifecycle.provision")  # type: ignore[untyped-decorator]
def provision(run_id: str) -> None:
    """Go on with a run; delivered twice, or while another works on it, nothing is done twice."""
    working.carry_on(run_id=UUID(run_id))


def set_off(run_id: UUID) -> None:
    """Have the queue go on with a run. Without a queue the sweep finds it."""
    try:
        provision.delay(str(run_id))
    except OperationalError as error:
        log.warning("provisioning %s could not be queued: %s", run_id, error)
