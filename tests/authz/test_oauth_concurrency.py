"""Suspending while issuing: what was acknowledged is seen, what is under way waits."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from authz.oauth import failures
from registry import guard
from registry.enums import AgentState, Employment
from registry.identity import clients, keys, tokens
from registry.models import Agent, Client, Person, UsedAssertion
from tests.factories import identity as make
from tests.factories.consent import make_world
from tests.factories.oauth import Holder, ask_token, holder_of, send

pytestmark = pytest.mark.django_db(transaction=True)

Change = Callable[[Agent], None]


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, settings: Any) -> Iterator[None]:
    settings.MUSTER_KEYS = str(tmp_path)
    for name in ("kek", "index_key"):
        (tmp_path / name).write_text(base64.urlsafe_b64encode(b"k" * 32).decode())
    keys.ensure_signing_key(tmp_path)
    tokens.forget()
    failures.forget()
    yield
    tokens.forget()
    failures.forget()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool
        for _ in range(8):
            pool.submit(connection.close)


@pytest.fixture
def agent() -> Holder:
    return holder_of(make.make_agent())


def suspend(agent: Agent) -> None:
    locked = Agent.objects.select_for_update(of=("self",)).get(pk=agent.pk)
    locked.state = AgentState.SUSPENDED
    locked.save(update_fields=["state"])


def leave(agent: Agent) -> None:
    person = Person.objects.select_for_update().get(pk=agent.owner_id)
    make.employ(person, Employment.LEFT)


def rotate(agent: Agent) -> None:
    clients.rotate_secret(client=Client.objects.get(agent=agent), by=agent.owner)


def ask(holder: Holder) -> tuple[float, int]:
    """When a request began, and how it was answered."""
    began = time.monotonic()
    try:
        return began, ask_token(holder).status_code
    finally:
        connection.close()


@pytest.mark.parametrize("change", [suspend, leave, rotate])
def test_no_token_after_a_change_was_acknowledged(
    change: Change, agent: Holder, threads: ThreadPoolExecutor
) -> None:
    stop = threading.Event()

    def hammer() -> list[tuple[float, int]]:
        answers = []
        while not stop.is_set():
            answers.append(ask(agent))
        return answers

    running = [threads.submit(hammer) for _ in range(4)]
    time.sleep(0.5)
    with transaction.atomic():
        change(agent.row)
    acknowledged = time.monotonic()
    time.sleep(0.5)
    stop.set()
    answers = [answer for future in running for answer in future.result()]

    before = [status for began, status in answers if began < acknowledged]
    after = [status for began, status in answers if began >= acknowledged]
    assert 200 in before
    assert after
    assert 200 not in after
    assert 503 not in before + after


@pytest.mark.parametrize("change", [suspend, leave, rotate])
def test_a_change_under_way_is_waited_for(
    change: Change, agent: Holder, threads: ThreadPoolExecutor
) -> None:
    with transaction.atomic():
        change(agent.row)
        request: Future[tuple[float, int]] = threads.submit(ask, agent)
        time.sleep(0.4)
        waited = not request.done()

    assert waited
    assert request.result()[1] in (400, 401)


@pytest.mark.parametrize("change", [suspend, leave, rotate])
def test_a_change_waits_for_a_token_under_way(
    change: Change, agent: Holder, threads: ThreadPoolExecutor
) -> None:
    def impatient() -> str:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '200ms'")
                change(agent.row)
        except OperationalError:
            return "waited"
        finally:
            connection.close()
        return "went ahead"

    with transaction.atomic():
        clients.find_bearer_for_issuing(agent.client_id)
        outcome = threads.submit(impatient).result()

    assert outcome == "waited"


def test_a_row_that_stays_locked_is_503(
    agent: Holder, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("authz.oauth.services.LOCK_TIMEOUT", "200ms")
    with transaction.atomic():
        suspend(agent.row)
        _, status = threads.submit(ask, agent).result()

    assert status == 503


def test_an_agent_that_changes_hands_while_it_is_read(
    agent: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner that was locked is not the owner any more: nothing is issued on a guess."""
    other = make.make_person()
    known = guard.share

    def share_and_transfer(model: type[Any], key: Any) -> Any:
        row = known(model, key)
        if model is Person:
            Agent.objects.filter(pk=agent.row.pk).update(owner=other)
        return row

    monkeypatch.setattr(guard, "share", share_and_transfer)

    assert ask(agent)[1] == 503
    assert Agent.objects.get(pk=agent.row.pk).owner == agent.row.owner


def test_one_assertion_at_once_is_taken_once(agent: Holder, threads: ThreadPoolExecutor) -> None:
    proof = {"grant_type": "client_credentials"} | agent.assertion()
    barrier = threading.Barrier(8)

    def present() -> int:
        barrier.wait(10)
        try:
            return send("/oauth/token", proof).status_code
        finally:
            connection.close()

    statuses = sorted(future.result() for future in [threads.submit(present) for _ in range(8)])

    assert statuses == [200] + [401] * 7
    assert UsedAssertion.objects.count() == 1


def test_failures_at_once_are_recorded_once(
    agent: Holder, threads: ThreadPoolExecutor, mark: Any, records_after: Any
) -> None:
    wrong = Holder(agent.row, agent.client_id, "mst_x", agent.key)
    marked = mark()
    barrier = threading.Barrier(8)

    def fail() -> int:
        barrier.wait(10)
        failures.forget()
        return ask(wrong)[1]

    statuses = [future.result() for future in [threads.submit(fail) for _ in range(8)]]

    assert statuses == [401] * 8
    assert len(records_after(marked, kind="access")) == 1


def test_a_code_is_good_once_at_the_same_moment(threads: ThreadPoolExecutor) -> None:
    """And since it came again, what came of it has ended."""
    world = make_world()
    code = world.code(world.read)
    start = threading.Barrier(6)

    def redeem() -> tuple[int, str]:
        try:
            start.wait()
            answer = world.redeem(code)
            return answer.status_code, str(json.loads(answer.content).get("access_token", ""))
        finally:
            connection.close()

    answers = [each.result() for each in [threads.submit(redeem) for _ in range(6)]]

    (token,) = [token for status, token in answers if status == 200]
    form = {"token": token}
    found = send("/oauth/introspect", form, headers=world.copilot.basic())
    assert sorted(status for status, _ in answers) == [200, 400, 400, 400, 400, 400]
    assert json.loads(found.content) == {"active": False}
