"""Work of authorization that nobody waits for."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from authz import services


@shared_task(name="authz.run_preview")  # type: ignore[untyped-decorator]
def run_preview(preview_id: str) -> None:
    """Run a preview; delivered twice, it runs once."""
    services.run_preview(preview_id=UUID(preview_id))
