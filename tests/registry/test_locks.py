"""What a service locks may still be referred to: whoever writes beside it does not wait for it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import OperationalError, connection, models, transaction

from governance.kernel import clock
from registry.enums import Employment
from registry.models import Agent, ExternalIdentity, Person
from registry.services import set_employment
from registry.services.saving import locked
from tests.factories.registry import SWEEP, make_draft, make_person

ROOT = Path(__file__).parents[2]
# A call with its arguments, of which one may be a tuple.
LOCKING = re.compile(r"select_for_update\((?:[^()]|\([^()]*\))*\)")


def waits(act: Callable[[], object], held: models.Model) -> bool:
    """Whether another transaction that does this waits for the one that locked this row."""
    failed: list[OperationalError] = []

    def work() -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '500ms'")
                act()
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        except OperationalError as error:
            failed.append(error)
        finally:
            connection.close()

    with transaction.atomic():
        locked(type(held), "row", pk=held.pk)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    return bool(failed)


@pytest.mark.django_db(transaction=True)
def test_a_row_that_refers_to_a_locked_one_is_written() -> None:
    # Waiting here would deadlock: the one holds the person and wants a slice, the other the slice.
    person = make_person()

    def refer() -> None:
        ExternalIdentity.objects.create(person=person, source="scim", external_id="1")

    assert not waits(refer, person)


@pytest.mark.django_db(transaction=True)
def test_two_lock_one_row_one_after_the_other() -> None:
    agent = make_draft()

    assert waits(lambda: locked(Agent, "agent", pk=agent.pk), agent)


@pytest.mark.django_db(transaction=True)
def test_a_leaver_is_written_only_once_their_agents_are_held() -> None:
    # The other way round, who holds the agent and writes what is its own would deadlock.
    agent, day = make_draft(), clock.now().date()

    def leave() -> None:
        set_employment(person_id=agent.owner_id, employment=Employment.LEFT, last_day=day, by=SWEEP)

    assert waits(leave, agent)
    assert Person.objects.get(pk=agent.owner_id).employment == Employment.EMPLOYED


def test_nothing_locks_what_others_refer_to_harder_than_needed() -> None:
    calls = [
        (path.name, call)
        for folder in ("authz", "registry", "lifecycle", "audit", "governance", "compliance")
        for path in (ROOT / folder).rglob("*.py")
        for call in LOCKING.findall(path.read_text())
    ]

    assert calls
    assert [path for path, call in calls if "no_key=True" not in call] == []
