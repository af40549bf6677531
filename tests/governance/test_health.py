"""/healthz and /readyz."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client

from governance.celery import heartbeat
from governance.models import Heartbeat
from lifecycle import sweeps

GOOD = dict.fromkeys(
    ("process", "database", "migrations", "roles", "beat", "sweeps", "sealer"), "ok"
)


@pytest.fixture
def swept(db: None, seal_now: Callable[[], Any]) -> None:
    for each in sweeps.registered():
        sweeps.run_sweep(each.name)
    seal_now()


def test_healthz_needs_no_database(client: Client) -> None:
    answer = client.get("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.usefixtures("swept")
def test_ready_after_a_heartbeat(client: Client) -> None:
    heartbeat()

    answer = client.get("/readyz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "checks": GOOD})
    assert answer["Cache-Control"] == "max-age=0, no-cache, no-store, must-revalidate, private"


@pytest.mark.usefixtures("swept")
def test_not_ready_before_the_first_heartbeat(client: Client) -> None:
    answer = client.get("/readyz")

    assert (answer.status_code, answer.json()) == (
        503,
        {
            "status": "failed",
            "checks": {**GOOD, "beat": "No periodic task has come through yet."},
        },
    )


@pytest.mark.django_db
def test_not_ready_when_heartbeats_stop(client: Client) -> None:
    heartbeat()
    Heartbeat.objects.update(at=Now() - timedelta(minutes=10))

    answer = client.get("/readyz")

    assert (answer.status_code, answer.json()["checks"]["beat"]) == (
        503,
        "The last periodic task came through 600 s ago.",
    )


@pytest.mark.django_db
def test_not_ready_with_a_login_that_owns_tables(client: Client) -> None:
    heartbeat()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE NONE")

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["checks"]["roles"].startswith("Login muster_migrator owns, or may act as")


@pytest.mark.django_db
def test_second_heartbeat_replaces_the_first() -> None:
    heartbeat()
    heartbeat()

    assert Heartbeat.objects.count() == 1


def test_nothing_is_answered_to_other_methods(client: Client) -> None:
    assert [client.post(path).status_code for path in ("/healthz", "/readyz")] == [405, 405]


def test_answers_are_json(client: Client) -> None:
    assert json.loads(client.get("/healthz").content) == {"status": "ok"}
