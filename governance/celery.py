"""The task queue's application. `CELERY_BEAT_SCHEDULE` in settings lists every periodic job."""

from __future__ import annotations

import logging.config
import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, setup_logging, task_success, worker_init
from django.conf import settings
from django.db.models.functions import Now

from governance.kernel import checks

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.settings")

HEARTBEAT = "beat"
SWEEP = "lifecycle.sweep"

checks.refuse_wrong_settings()
app = Celery("muster")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.task(name="governance.heartbeat")  # type: ignore[untyped-decorator]
def heartbeat() -> None:
    """Note that beat, the queue and the worker all work, by the database's clock."""
    from governance.models import Heartbeat  # noqa: PLC0415 - the app registry is not filled above

    Heartbeat.objects.update_or_create(name=HEARTBEAT, defaults={"at": Now()})


@task_success.connect  # type: ignore[untyped-decorator]
def note_done(sender: Any = None, **_: Any) -> None:
    """Note when periodic work other than a sweep was last done; a sweep has a log of its own."""
    from governance.models import Heartbeat  # noqa: PLC0415 - the app registry is not filled above

    for name, entry in app.conf.beat_schedule.items():
        if entry["task"] == getattr(sender, "name", "") != SWEEP:
            Heartbeat.objects.update_or_create(name=name, defaults={"at": Now()})


@setup_logging.connect  # type: ignore[untyped-decorator]
def keep_logging(**_: Any) -> None:
    """Celery would set up a log of its own, which takes no credential out of a line."""
    logging.config.dictConfig(settings.LOGGING)


@worker_init.connect  # type: ignore[untyped-decorator]
@beat_init.connect  # type: ignore[untyped-decorator]
def refuse_unsafe_start(**_: Any) -> None:
    checks.refuse_to_start()


@beat_init.connect  # type: ignore[untyped-decorator]
def begin_soon(sender: Any, **_: Any) -> None:
    """An interval first fires after its length; neither readiness nor a sweep waits for that.

    The heartbeat comes at once and each sweep a little later, by its name: thirty at once would
    keep each other waiting, and they would again at every full hour.
    """
    from lifecycle.sweeps import find  # noqa: PLC0415 - as above

    heartbeat.delay()
    now = app.now()
    for entry in sender.scheduler.schedule.values():
        if entry.task == SWEEP:
            sweep = find(entry.args[0])
            entry.last_run_at = now - sweep.every + sweep.begins_after
