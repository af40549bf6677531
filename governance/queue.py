"""How many tasks wait between beat and worker."""

from __future__ import annotations

import psycopg
from django.conf import settings
from kombu.connection import Connection
from kombu.exceptions import KombuError

from governance.runner.roles import TASKS

SECONDS = 2


def depth() -> int | None:
    """The tasks in the queue, of those too that a worker has begun; None where it is away."""
    if settings.CELERY_BROKER_URL.startswith("pgmq"):
        return _embedded()
    url, name = settings.CELERY_BROKER_URL, settings.CELERY_TASK_DEFAULT_QUEUE
    with Connection(url, connect_timeout=SECONDS) as broker:  # type: ignore[no-untyped-call]
        try:
            found = broker.default_channel.queue_declare(name, passive=True)
        except broker.channel_errors:
            # Nobody has put anything in: there is no such queue yet.
            return 0
        except (OSError, KombuError, *broker.connection_errors):
            return None
    return int(found.message_count)


def _embedded() -> int | None:
    try:
        with psycopg.connect(settings.MUSTER_QUEUE_DSN, connect_timeout=SECONDS) as connection:
            row = connection.execute(f"SELECT count(*) FROM pgmq.q_{TASKS}").fetchone()  # noqa: S608
    except psycopg.Error:
        return None
    return int(row[0]) if row else 0
