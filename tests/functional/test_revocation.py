"""Revocation is immediate: four web processes, and no allow after the acknowledgement (promise 8).

Clients ask without a pause while someone of security suspends the agent over REST; the test
itself starts it again. Each client notes when its question began. None that began after the
suspension was acknowledged may be allowed, whichever process answered it.
"""

import logging
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest

from tests.functional.installation import Installation, running
from tests.functional.test_kill import QUESTION
from tests.functional.test_openapi import sign_in, write_headers

pytestmark = pytest.mark.kill

ROUNDS = int(os.environ.get("MUSTER_REVOCATION_ROUNDS", "25"))
CLIENTS = 8
AGENT = "refund-desk"


@dataclass(frozen=True)
class Asked:
    """One question: when it began, when it was answered, and whether it was allowed."""

    began: float
    told: float
    allowed: bool


@pytest.fixture(scope="module")
def four() -> Iterator[Installation]:
    """The made-up company behind four web processes."""
    with running("--demo", MUSTER_WEB_WORKERS="4") as installation:
        installation.lift_limits(AGENT)
        yield installation


def ask(base_url: str, token: str, stop: threading.Event) -> list[Asked]:
    """Ask until told to stop, each time over a connection of its own: any process may answer."""
    found = []
    headers = {"Authorization": f"Bearer {token}", "Connection": "close"}
    with httpx.Client(base_url=base_url, headers=headers, timeout=20) as client:
        while not stop.is_set():
            began = time.monotonic()
            answer = client.post("/access/v1/evaluation", json=QUESTION)
            assert answer.status_code == 200, answer.text
            found.append(Asked(began, time.monotonic(), answer.json()["decision"]))
    return found


def test_nothing_that_begins_after_a_suspension_is_allowed(
    four: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="httpx")  # else a line for each of thousands
    agent = next(each for each in four.demo["agents"] if each["id"] == AGENT)
    token, stop = four.token(agent["client_id"], agent["client_secret"]), threading.Event()
    ended: list[tuple[float, float]] = []

    with (
        httpx.Client(base_url=four.base_url, timeout=30, follow_redirects=True) as security,
        ThreadPoolExecutor(CLIENTS) as pool,
        four.as_web() as database,
    ):
        sign_in(security, four)
        asking = [pool.submit(ask, four.base_url, token, stop) for _ in range(CLIENTS)]
        try:
            for _ in range(ROUNDS):
                time.sleep(0.2)
                _suspend(security)
                acknowledged = time.monotonic()
                time.sleep(0.2)
                # What is answered later may have met the agent started again.
                ended.append((acknowledged, time.monotonic()))
                # With its limits lifted nobody has cleared it, so no service starts it again.
                database.execute(
                    "UPDATE registry_agent SET state = 'active' WHERE slug = %s", [AGENT]
                )
                database.commit()
        finally:
            stop.set()
        asked = [each for one in asking for each in one.result()]

    allowed = [each for each in asked if each.allowed]
    refused = [each for each in asked if not each.allowed]
    wrong = [
        each
        for each in allowed
        for since, until in ended
        if since < each.began and each.told <= until
    ]
    print(f"{ROUNDS} rounds: {len(allowed)} allowed, {len(refused)} refused, {len(wrong)} wrong")
    assert wrong == []
    assert min(len(allowed), len(refused)) > ROUNDS


def _suspend(security: httpx.Client) -> None:
    answer = security.post(
        f"/api/v1/agents/{AGENT}/suspend",
        json={"reason": "a test"},
        headers=write_headers(security),
    )
    assert answer.status_code == 200, answer.text
