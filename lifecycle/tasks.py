"""Work of lifecycle that beat sets off, or a change that cannot wait for beat."""

from __future__ import annotations

import logging

from celery import shared_task
from kombu.exceptions import OperationalError

from lifecycle import sweeps
from registry import vault

log = logging.getLogger(__name__)


@shared_task(name="lifecycle.sweep")  # type: ignore[untyped-decorator]
def sweep(name: str) -> None:
    """Run one sweep; delivered twice, or while it runs, nothing is done twice."""
    sweeps.run_sweep(name)


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


def set_off(name: str) -> None:
    """Run a sweep now, before its time. Without a queue it runs when it is due."""
    try:
        sweep.delay(name)
    except OperationalError as error:
        log.warning("sweep %s could not be queued: %s", name, error)
