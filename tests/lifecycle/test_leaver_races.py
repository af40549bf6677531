"""Leavers when things happen at once. What comes late or never: tests/lifecycle/test_sweeps.py."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction

from governance.kernel import clock
from governance.kernel.errors import GovernanceError
from lifecycle.cases import sweep
from lifecycle.leavers import services
from lifecycle.models import Case, Notice
from registry import services as register
from registry.models import Agent, Person
from tests.factories.registry import make_agent, make_person
from tests.lifecycle import worlds_leaver as worlds

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 4


def leave(person: Person, employment: str = "left") -> None:
    day = clock.now().date()
    register.set_employment(person_id=person.pk, employment=employment, last_day=day, by=worlds.HR)


def both(*acts: Callable[[], object]) -> list[GovernanceError]:
    """Do all of it at once; what was refused. Anything else that is raised fails the test."""
    barrier, refused, broken = threading.Barrier(len(acts)), [], []

    def run(act: Callable[[], object]) -> None:
        barrier.wait()
        try:
            act()
        except GovernanceError as error:
            refused.append(error)
        except Exception as error:
            broken.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[act]) for act in acts]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert broken == []
    return refused


def asked() -> tuple[Agent, Case, Person]:
    """An agent of someone who has left, its case, and who is asked to take it over."""
    boss = make_person()
    agent = make_agent(owner=make_person(manager=boss))
    leave(agent.owner)
    return agent, Case.objects.get(agent=agent), boss


def clock_of(case: Case, now: Any) -> Callable[[], object]:
    def run() -> object:
        with transaction.atomic():
            return sweep.handle(case.pk, now)

    return run


def closings(case: Case) -> int:
    return case.events.filter(what__in=["answered", "ended", "dropped"]).count()


def test_two_accept_at_once_and_one_does() -> None:
    for _ in range(ROUNDS):
        agent, case, boss = asked()

        refused = both(*[partial(services.accept, case_id=case.pk, by=boss)] * 4)

        assert [error.code for error in refused] == ["case_closed"] * 3
        assert Agent.objects.get(pk=agent.pk).owner == boss
        assert (closings(case), Case.objects.get(pk=case.pk).outcome) == (1, "accepted")


def test_accepted_while_its_time_ends_it_is_one_or_the_other() -> None:
    for _ in range(ROUNDS):
        agent, case, boss = asked()

        refused = both(
            partial(services.accept, case_id=case.pk, by=boss), clock_of(case, case.due_at)
        )

        agent.refresh_from_db()
        case.refresh_from_db()
        found = (agent.state, agent.owner == boss, case.outcome, len(refused))
        assert found in {
            ("active", True, "accepted", 0),
            ("decommissioning", False, "decommissioned", 1),
        }
        assert closings(case) == 1


def test_accepted_while_the_owner_comes_back_it_is_one_or_the_other() -> None:
    for _ in range(ROUNDS):
        agent, case, boss = asked()
        owner = agent.owner

        refused = both(
            partial(services.accept, case_id=case.pk, by=boss),
            partial(
                register.set_employment, person_id=owner.pk, employment="employed", by=worlds.HR
            ),
        )

        agent.refresh_from_db()
        case.refresh_from_db()
        found = (agent.owner == boss, case.outcome, len(refused))
        assert found in {(True, "accepted", 0), (False, "came_back", 1)}
        assert closings(case) == 1


def test_accepted_while_who_accepts_leaves_somebody_is_asked_still() -> None:
    for _ in range(ROUNDS):
        agent, case, boss = asked()

        both(partial(services.accept, case_id=case.pk, by=boss), partial(leave, boss))

        agent.refresh_from_db()
        case.refresh_from_db()
        owner_has_left = Person.objects.get(pk=agent.owner_id).employment == "left"
        assert owner_has_left
        waiting = Case.objects.filter(agent=agent, state="open")
        assert [each.proposed_owner for each in waiting] == [None]


def test_the_event_sent_five_times_at_once_is_one_case_and_one_notice() -> None:
    for _ in range(ROUNDS):
        boss = make_person()
        agent = make_agent(owner=make_person(manager=boss))

        assert both(*[partial(leave, agent.owner)] * 5) == []

        case = Case.objects.get(agent=agent)
        assert sorted(event.what.split(":")[0] for event in case.events.all()) == [
            "left",
            "offered",
            "opened",
        ]
        assert Notice.objects.filter(person=boss).count() == 1
