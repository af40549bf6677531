"""The task queue's application. `CELERY_BEAT_SCHEDULE` in settings lists every periodic job."""

from __future__ import annotations

import logging.config
import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, setup_logging, worker_init
from django.conf import settings
from django.db.models.functions import Now

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.settings")

HEARTBEAT = "beat"

app = Celery("muster")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.task(name="governance.heartbeat")  # type: ignore[untyped-decorator]
def heartbeat() -> None:
    """Note that beat, the queue and the worker all work, by the database's clock."""
    from governance.models import Heartbeat  # noqa: PLC0415 - the app registry is not filled above

    Heartbeat.objects.update_or_create(name=HEARTBEAT, defaults={"at": Now()})


@setup_logging.connect  # type: ignore[untyped-decorator]
def keep_logging(**_: Any) -> None:
    """Celery would set up a log of its own, which takes no credential out of a line."""
    logging.config.dictConfig(settings.LOGGING)


@worker_init.connect  # type: ignore[untyped-decorator]
@beat_init.connect  # type: ignore[untyped-decorator]
def refuse_unsafe_start(**_: Any) -> None:
    from governance.kernel import checks  # noqa: PLC0415 - as above

    checks.refuse_to_start()


@beat_init.connect  # type: ignore[untyped-decorator]
def beat_at_once(**_: Any) -> None:
    """An interval first fires after its length; neither readiness nor a sweep waits for that."""
    heartbeat.delay()
    for entry in app.conf.beat_schedule.values():
        if entry["task"] == "lifecycle.sweep":
            app.send_task(entry["task"], args=entry["args"], **entry["options"])
