"""Work of lifecycle that beat sets off, or a change that cannot wait for beat."""

from __future__ import annotations

import logging

from celery import shared_task
from kombu.exceptions import OperationalError

from lifecycle import sweeps

log = logging.getLogger(__name__)


@shared_task(name="lifecycle.sweep")  # type: ignore[untyped-decorator]
def sweep(name: str) -> None:
    """Run one sweep; delivered twice, or while it runs, nothing is done twice."""
    sweeps.run_sweep(name)


def set_off(name: str) -> None:
    """Run a sweep now, before its time. Without a queue it runs when it is due."""
    try:
        sweep.delay(name)
    except OperationalError as error:
        log.warning("sweep %s could not be queued: %s", name, error)
