"""Every sweep of the installation, in one place."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings

from authz import services as authorization
from lifecycle.anomalies import sweep as anomalies
from lifecycle.models import SweepRun
from lifecycle.notices import services as notices
from lifecycle.sweeps.registry import Key, Sweep, register
from lifecycle.switch import selectors as switch
from lifecycle.switch.services import handle_order


def register_all() -> None:
    """Make every sweep known, once the models are there."""
    for sweep in SWEEPS:
        register(sweep)


def _old_previews(now: datetime) -> list[str]:
    return [str(pk) for pk in authorization.previews_to_forget(_preview_limit(now))]


def _forget_preview(key: Key, now: datetime) -> bool:
    return authorization.forget_preview(preview_id=UUID(str(key)), before=_preview_limit(now))


def _preview_limit(now: datetime) -> datetime:
    return now - timedelta(days=settings.MUSTER_PREVIEW_DAYS)


def _old_runs(now: datetime) -> list[int]:
    """Runs that ended long ago. A sweep's newest stays, however old it is."""
    limit = now - timedelta(days=settings.MUSTER_SWEEP_DAYS)
    newest = SweepRun.objects.order_by("sweep", "-started_at", "-pk").distinct("sweep").values("pk")
    old = SweepRun.objects.filter(ended_at__lt=limit).exclude(pk__in=newest)
    return list(old.order_by("ended_at").values_list("pk", flat=True))


def _forget_run(key: Key, now: datetime) -> bool:
    return bool(SweepRun.objects.filter(pk=key).delete()[0])


SWEEPS = (
    Sweep(
        "anomalies",
        "Counts the hours that ended, and finds what agents do not usually do.",
        anomalies.due,
        anomalies.watch,
    ),
    Sweep(
        "notices",
        "Sends notices that are due, and tries again what was not taken.",
        notices.due_bundles,
        notices.send_bundle,
    ),
    Sweep(
        "previews", "Deletes previews of changes that are too old.", _old_previews, _forget_preview
    ),
    Sweep(
        "suspensions",
        "Stops what an order to suspend many has not stopped yet.",
        switch.due_of_orders,
        handle_order,
    ),
    Sweep("runs", "Shortens the log of the sweeps.", _old_runs, _forget_run),
)
