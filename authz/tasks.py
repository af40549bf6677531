"""Work of authorization that nobody waits for."""

from __future__ import annotations

import logging
from uuid import UUID

from celery import shared_task
from kombu.exceptions import OperationalError

from authz import services
from authz.models import Preview
from authz.services import callbacks

log = logging.getLogger(__name__)


@shared_task(name="authz.run_preview")  # type: ignore[untyped-decorator]
def run_preview(preview_id: str) -> None:
    """Run a preview; delivered twice, it runs once."""
    services.run_preview(preview_id=UUID(preview_id))


@shared_task(name=callbacks.TASK)  # type: ignore[untyped-decorator]
def send_callback(callback_id: str) -> None:
    """Tell a caller what became of its access request; delivered twice, it is sent once."""
    callbacks.send_callback(callback_id=UUID(callback_id))


def set_off(preview: Preview) -> None:
    """Run a small preview now, and have the queue run a large one."""
    if services.is_small(preview):
        services.run_preview(preview_id=preview.pk)
        return
    try:
        run_preview.delay(str(preview.pk))
    except OperationalError as error:
        # It waits; its page offers to run it again.
        log.warning("preview %s could not be queued: %s", preview.pk, error)
