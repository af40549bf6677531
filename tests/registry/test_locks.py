"""What a service locks may still be referred to: whoever writes beside it does not wait for it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from django.db import OperationalError, connection, transaction

from registry.models import Agent, ExternalIdentity, Person
from registry.services.saving import locked
from tests.factories.registry import make_draft, make_person

ROOT = Path(__file__).parents[2]


def refer(person: int, failed: list[OperationalError]) -> None:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '2s'")
            ExternalIdentity.objects.create(person_id=person, source="scim", external_id="1")
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except OperationalError as error:
        failed.append(error)
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_row_that_refers_to_a_locked_one_is_written() -> None:
    # Waiting here would deadlock: the one holds the person and wants a slice, the other the slice.
    person, failed = make_person(), list[OperationalError]()
    with transaction.atomic():
        locked(Person, "person", pk=person.pk)
        thread = threading.Thread(target=refer, args=(person.pk, failed))
        thread.start()
        thread.join()

    assert failed == []


@pytest.mark.django_db(transaction=True)
def test_two_lock_one_row_one_after_the_other() -> None:
    agent, failed = make_draft(), list[OperationalError]()

    def lock() -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '200ms'")
                locked(Agent, "agent", pk=agent.pk)
        except OperationalError as error:
            failed.append(error)
        finally:
            connection.close()

    with transaction.atomic():
        locked(Agent, "agent", pk=agent.pk)
        thread = threading.Thread(target=lock)
        thread.start()
        thread.join()

    assert len(failed) == 1


def test_nothing_locks_what_others_refer_to_harder_than_needed() -> None:
    calls = [
        (path.name, call[:120])
        for folder in ("authz", "registry", "lifecycle", "audit", "governance")
        for path in (ROOT / folder).rglob("*.py")
        for call in path.read_text().split("select_for_update(")[1:]
    ]

    assert calls
    assert [path for path, call in calls if "no_key=True" not in call] == []
