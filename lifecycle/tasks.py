"""Work of lifecycle that beat sets off, or a change that cannot wait for beat."""

from __future__ import annotations

import logging
from datetime import timedelta

from celery import shared_task
from kombu.exceptions import OperationalError

from lifecycle import sweeps
from registry import vault

log = logging.getLogger(__name__)


@shared_task(name="lifecycle.sweep")  # type: ignore[untyped-decorator]
def sweep(name: str) -> None:
    """Run one sweep; delivered twice, or while it runs, nothing is done twice.

    What it left for want of time does not wait for the next interval.
    """
    run = sweeps.run_sweep(name)
    if run and run.left:
        set_off(name)


@shared_task(name="lifecycle.make_up")  # type: ignore[untyped-decorator]
def make_up() -> None:
    """Set off the sweeps whose run was lost; delivered twice, each still runs once at a time."""
    for name in sweeps.missed_sweeps():
        set_off(name, within=sweeps.QUIET)


@shared_task(name="lifecycle.settle_credential")  # type: ignore[untyped-decorator]
def settle_credential(credential_id: int) -> None:
    """Have a revoked credential's vault do what it can; delivered twice, it is done once."""
    vault.settle(credential_id)


def settle_soon(credential_id: int) -> None:
    """Ask a vault outside of every transaction. Without a queue the sweep comes again."""
    try:
        settle_credential.delay(credential_id)
    except OperationalError as error:
        log.warning("credential %s could not be queued: %s", credential_id, error)


def set_off(name: str, within: timedelta | None = None) -> None:
    """Run a sweep now, before its time, or not at all where no worker takes it `within`.

    Without a queue it runs when it is due.
    """
    try:
        sweep.apply_async([name], expires=within and within.total_seconds())
    except OperationalError as error:
        log.warning("sweep %s could not be queued: %s", name, error)
