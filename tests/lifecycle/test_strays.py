"""Orphans, dormants and zombies: who counts as one, and what is said about it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from authz.decide import decide
from governance.kernel import clock
from lifecycle.idle.strays import strays_for
from registry import services as register
from registry.enums import GroupName
from registry.models import Agent, Person
from tests.factories.authz import Desk, make_desk
from tests.factories.registry import make_person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


@pytest.fixture
def auditor() -> Person:
    return make_person(GroupName.AUDITOR)


def ended(days: int = 1) -> Desk:
    """An agent that was decommissioned so many days ago."""
    desk = make_desk()
    at = clock.now() - timedelta(days=days)
    Agent.objects.filter(pk=desk.agent.pk).update(state="decommissioned", state_changed_at=at)
    return desk


def found(person: Person) -> list[tuple[str, str]]:
    return [(each.kind, each.agent.slug) for each in strays_for(person, clock.now())]


def test_an_agent_whose_owner_left_is_an_orphan(auditor: Person) -> None:
    desk = make_desk()
    today = clock.now().date()
    Person.objects.filter(pk=desk.owner.pk).update(employment="left", last_day=today)

    assert found(auditor) == [("orphan", desk.agent.slug)]


def test_an_idle_agent_and_one_suspended_for_long_are_dormant(auditor: Person) -> None:
    silent, stopped, fresh = make_desk(), make_desk(), make_desk()
    ago = clock.now() - timedelta(days=100)
    rows = Agent.objects.filter(pk__in=[silent.agent.pk, stopped.agent.pk])
    rows.update(state_changed_at=ago, activated_at=ago)
    Agent.objects.filter(pk=stopped.agent.pk).update(state="suspended", state_reason="Broken.")

    assert fresh.agent.slug not in dict(map(reversed, found(auditor)))  # type: ignore[arg-type]
    assert found(auditor) == [("dormant", silent.agent.slug), ("dormant", stopped.agent.slug)]


def test_an_ended_agent_that_calls_with_its_own_credentials_is_a_zombie(auditor: Person) -> None:
    desk, silent = ended(), ended()
    decide([desk.ask()], desk.gateway_caller)

    assert found(auditor) == [("zombie", desk.agent.slug)]
    assert silent.agent.slug != desk.agent.slug


def test_what_it_did_before_it_ended_makes_no_zombie(auditor: Person) -> None:
    desk = make_desk()
    decide([desk.ask()], desk.caller)
    now = clock.now() + timedelta(seconds=1)
    Agent.objects.filter(pk=desk.agent.pk).update(state="decommissioned", state_changed_at=now)

    assert found(auditor) == []


@pytest.mark.parametrize("sent", ["slug", "client_id"])
def test_a_stranger_that_sends_the_name_of_an_ended_agent_is_its_zombie(
    auditor: Person, sent: str
) -> None:
    desk = ended()
    name = desk.agent.slug.upper() if sent == "slug" else desk.client.client_id
    register.note_caller(claimed=name, source="10.0.0.7")
    register.note_caller(claimed="somebody-else", source="10.0.0.8")

    (stray,) = strays_for(auditor, clock.now())

    assert (stray.kind, stray.agent) == ("zombie", desk.agent)
    assert "10.0.0.7" in stray.why
    assert stray.todo.startswith("Block the caller")


def test_a_stranger_that_was_heard_of_before_the_agent_ended_is_none(auditor: Person) -> None:
    desk = ended()
    long_ago = clock.now() - timedelta(days=9)
    register.note_caller(claimed=desk.agent.slug, source="10.0.0.7", now=long_ago)

    assert found(auditor) == []


def test_owners_see_their_own_and_no_strangers(client: Client) -> None:
    desk, other = ended(), ended()
    register.note_caller(claimed=desk.agent.slug, source="10.0.0.7")
    for each in (desk, other):
        decide([each.ask()], each.gateway_caller)

    assert found(desk.owner) == [("zombie", desk.agent.slug)]


def test_the_page_csv_and_rest_say_the_same(client: Client, auditor: Person) -> None:
    desk = ended()
    decide([desk.ask()], desk.gateway_caller)
    client.force_login(auditor)

    page = client.get("/strays/").content.decode()
    lines = b"".join(client.get("/strays/csv/")).decode().splitlines()
    rest = client.get("/api/v1/strays?kind=zombie").json()["results"]

    assert "One stray agent" in page
    assert [line.split('","')[1] for line in lines] == ["agent", desk.agent.slug]
    assert [(each["kind"], each["agent"]) for each in rest] == [("zombie", desk.agent.slug)]


@pytest.mark.parametrize("many", [1, 4])
def test_it_asks_the_same_queries_for_any_number(
    auditor: Person, many: int, django_assert_num_queries: Any
) -> None:
    for _ in range(many):
        desk = ended()
        decide([desk.ask()], desk.gateway_caller)

    with django_assert_num_queries(8):
        assert len(strays_for(auditor, clock.now())) == many
