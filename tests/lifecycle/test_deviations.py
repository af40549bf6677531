"""Calls outside the identity pattern: who sees them, what is said of them, what is none."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.test import Client

from authz.decide import decide
from authz.simulate import simulate
from governance.kernel import clock
from lifecycle.deviations.selectors import deviations_for
from registry.enums import GroupName, IdentityPattern
from registry.models import Person
from tests.factories.authz import Desk, make_desk
from tests.factories.registry import make_person, security

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_second_factor(settings: pytest.FixtureRequest) -> None:
    settings.MUSTER_APPROVER_MFA = False  # type: ignore[attr-defined]


def outside(calls: int = 1) -> Desk:
    """An agent that acts for users, and called for nobody."""
    desk = make_desk(agent_fields={"pattern": IdentityPattern.IMPERSONATION})
    for _ in range(calls):
        (answer,) = decide([desk.ask()], desk.caller)
        assert answer.decision.code == "identity.pattern"
        assert "outside_pattern" in answer.decision.flags
    return desk


def found(person: Person, days: int = 30) -> list[tuple[str, int]]:
    since = clock.now() - timedelta(days=days)
    return [(each.slug, each.calls) for each in deviations_for(person, since)]


def test_what_calls_otherwise_than_its_row_says_is_listed_by_agent_the_last_first() -> None:
    first, second = outside(calls=2), outside()
    kept = make_desk()
    decide([kept.ask()], kept.caller)

    auditor = make_person(GroupName.AUDITOR)

    assert found(auditor) == [(second.agent.slug, 1), (first.agent.slug, 2)]
    assert found(first.owner) == [(first.agent.slug, 2)]
    assert found(make_person()) == []


def test_what_was_only_simulated_is_no_call() -> None:
    desk = make_desk(agent_fields={"pattern": IdentityPattern.IMPERSONATION})
    person = security()

    told = simulate(desk.ask(), by=person)

    assert told.decision.code == "identity.pattern"
    assert found(person) == []


def test_the_page_says_why_and_leads_to_the_entries(client: Client) -> None:
    desk = outside(calls=2)
    client.force_login(desk.owner)

    page = client.get("/deviations/", secure=True).content.decode()

    assert "One agent called outside its pattern" in page
    assert "Its identity pattern is impersonation." in page
    assert f"?agent={desk.agent.slug}&amp;code=identity.pattern" in page


def test_the_page_is_empty_with_a_reason_and_takes_no_other_span(client: Client) -> None:
    client.force_login(make_person())

    for days, said in (("", "30"), ("7", "7"), ("8", "30"), ("x", "30")):
        page = client.get(f"/deviations/?days={days}", secure=True).content.decode()
        assert "Every call kept to its pattern" in page
        assert f"In the last {said} days" in page


@pytest.mark.parametrize("many", [1, 3])
def test_it_takes_a_fixed_number_of_queries(many: int, django_assert_num_queries: object) -> None:
    person = make_person(GroupName.AUDITOR)
    for _ in range(many):
        outside()
    since = clock.now() - timedelta(days=30)

    with django_assert_num_queries(8):  # type: ignore[operator]
        assert len(deviations_for(person, since)) == many


def test_rest_lists_the_same(client: Client) -> None:
    desk = outside()
    client.force_login(desk.owner)

    listed = client.get("/api/v1/deviations", secure=True).json()
    wrong = client.get("/api/v1/deviations?days=0", secure=True)

    (told,) = listed["results"]
    assert (told["agent"], told["pattern"], told["calls"]) == (
        *(desk.agent.slug, "impersonation", 1),
    )
    assert told["owner"] == desk.owner.email
    assert json.dumps(told["why"]).startswith(f'"{desk.agent.slug} may not make this call')
    assert wrong.status_code == 400
