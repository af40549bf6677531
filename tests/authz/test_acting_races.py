"""Giving, handing over and ending at the same time: what was ended is over for good."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest
from django.db import connection

from authz.decide import decide
from authz.engine.types import Effect
from authz.errors import DelegationRefused
from authz.models import Delegation, Grant
from authz.services import delegations, grants
from authz.services.delegations import HandOver
from registry.enums import IdentityPattern
from registry.models import Agent, AllowlistEntry, Client, Person
from tests.factories.authz import (
    Desk,
    caller_of,
    declare,
    make_agent,
    make_client,
    make_desk,
    make_person,
    make_tool,
)

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 20


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    together = Barrier(4)

    def close() -> None:
        together.wait()
        connection.close()

    with ThreadPoolExecutor(4) as pool:
        yield pool
        for _ in range(4):
            pool.submit(close)


@pytest.fixture
def jane() -> Person:
    return make_person()


@pytest.fixture
def desk(jane: Person) -> Desk:
    desk = make_desk(
        agent_fields={
            "pattern": IdentityPattern.IMPERSONATION,
            "rate_per_minute": 100_000,
            "rate_per_hour": 100_000,
        }
    )
    desk.role.people.add(jane)
    desk.role.tools.add(make_tool(desk.system))
    return desk


@pytest.fixture
def helper(desk: Desk) -> tuple[Agent, Client]:
    agent = make_agent(make_person(), pattern=IdentityPattern.IMPERSONATION)
    AllowlistEntry.objects.create(agent=agent, tool=desk.tool)
    desk.role.agents.add(agent)
    declare(desk.agent, agent)
    return agent, make_client(agent=agent)


def give(desk: Desk, jane: Person) -> Grant:
    return grants.give_grant(agent_id=desk.agent.pk, tools={desk.tool.name: {}}, by=jane)


def test_two_grants_at_once_leave_one(
    desk: Desk, jane: Person, threads: ThreadPoolExecutor
) -> None:
    start = Barrier(4)

    def give_one(_: int) -> Grant:
        start.wait()
        return give(desk, jane)

    given = list(threads.map(give_one, range(4)))

    live = Grant.objects.filter(ended_at__isnull=True)
    assert live.count() == 1
    assert {one.pk for one in given} == set(Grant.objects.values_list("pk", flat=True))


def test_nothing_handed_over_beside_an_end_outlives_it(
    desk: Desk, jane: Person, helper: tuple[Agent, Client], threads: ThreadPoolExecutor
) -> None:
    caller = caller_of(desk.client)
    wanted = HandOver(receiver=helper[0].slug, tools={desk.tool.name: {}}, user=jane.pid)

    codes, one_is_over = set[str](), Event()

    def hand_over(start: Barrier) -> bool:
        start.wait()
        try:
            delegations.delegate(caller=caller, wanted=wanted)
        except DelegationRefused as refused:
            codes.add(refused.code)
            return False
        one_is_over.set()
        return True

    def end(start: Barrier, grant: Grant, *, late: bool) -> None:
        start.wait()
        # Every other time at least one was handed over before.
        if late:
            one_is_over.wait()
        grants.end_grant(grant_id=grant.pk, by=jane)

    handed = 0
    for number in range(ROUNDS):
        one_is_over.clear()
        grant, start = give(desk, jane), Barrier(4)
        begun = [threads.submit(hand_over, start) for _ in range(3)]
        threads.submit(end, start, grant, late=number % 2 == 0).result()
        handed += sum(one.result() for one in begun)
        assert not Delegation.objects.filter(ended_at__isnull=True).exists()
    assert handed >= ROUNDS // 2
    assert codes <= {"consent"}


def test_no_allow_begins_after_an_end_was_acknowledged(
    desk: Desk, jane: Person, threads: ThreadPoolExecutor
) -> None:
    caller, ended = caller_of(desk.client), Event()

    def ask(stop: Event, begun: Event) -> list[tuple[bool, Effect]]:
        """Of each call whether the end was known when it began, and what it came to."""
        found = []
        while not stop.is_set():
            known = ended.is_set()
            (answer,) = decide([desk.ask(user=jane.pid)], caller)
            found.append((known, answer.decision.effect))
            begun.set()
        return found

    allowed = refused = 0
    for _ in range(ROUNDS // 4):
        ended.clear()
        grant, stop, begun = give(desk, jane), Event(), Event()
        asking = [threads.submit(ask, stop, begun) for _ in range(3)]
        begun.wait()
        threads.submit(grants.end_grant, grant_id=grant.pk, by=jane).result()
        ended.set()
        for _ in range(5):
            (answer,) = decide([desk.ask(user=jane.pid)], caller)
            assert answer.decision.code == "consent.none"
        stop.set()
        found = [each for one in asking for each in one.result()]
        assert (True, Effect.ALLOW) not in found
        allowed += found.count((False, Effect.ALLOW))
        refused += found.count((True, Effect.DENY))
    assert allowed > 0
    assert refused > 0
