"""Movers: an owner in another department is asked, and what nobody answers is suspended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from governance.kernel import clock
from governance.kernel.errors import Invalid, NotAllowed
from lifecycle.cases import sweep
from lifecycle.inbox.entries import queue_of
from lifecycle.leavers import services as leavers
from lifecycle.models import Case, Notice, Review
from lifecycle.models.reviews import ReviewOutcome
from lifecycle.movers import services
from lifecycle.reviews import looking
from lifecycle.reviews.periodic import services as periodic
from registry import services as register
from registry.enums import AgentState
from registry.models import Agent, Person
from registry.permissions import Automatic
from tests.factories.registry import make_agent, make_person, security

pytestmark = pytest.mark.django_db

SCIM = Automatic("scim")


@pytest.fixture
def owner() -> Person:
    return make_person(name="Olga", department="Claims", manager=make_person(name="Mara"))


def move(person: Person, to: Person | None = None) -> None:
    """As their directory says it: another department, and often another manager."""
    facts = {"department": "Sales"} | ({"manager": to} if to else {})
    register.sync_person(source="okta", external_id="o-1", facts=facts, by=SCIM)  # type: ignore[arg-type]


def moved(person: Person, to: Person | None = None) -> None:
    register.add_external_identity(
        person_id=person.pk, source="okta", external_id="o-1", by=security()
    )
    move(person, to)


def told(person: Person) -> list[str]:
    rows = Notice.objects.filter(person=person, code__startswith="mover.").order_by("made_at")
    return list(rows.values_list("code", flat=True))


def test_owner_and_both_managers_are_asked_once_about_what_is_live(owner: Person) -> None:
    before, after = owner.manager, make_person(name="Nils")
    agent, _ = make_agent(owner=owner), make_agent(AgentState.DRAFT, owner=owner)

    moved(owner, after)
    move(owner, after)

    case = Case.objects.get(kind="mover")
    assert (case.agent, case.state) == (agent, "open")
    assert before is not None
    assert [told(each) for each in (owner, before, after)] == [["mover.asked"]] * 3
    assert [entry.kind for entry in queue_of(owner).mine] == ["mover"]
    assert [entry.why_not == "" for entry in queue_of(before).everything] == [False]


def test_a_first_department_is_no_move() -> None:
    owner = make_person()
    make_agent(owner=owner)

    moved(owner)

    assert not Case.objects.exists()


def test_it_stays_or_goes_to_who_accepts(owner: Person) -> None:
    kept, given, other = make_agent(owner=owner), make_agent(owner=owner), make_person()
    moved(owner)
    first, second = (Case.objects.get(agent=agent) for agent in (kept, given))
    with pytest.raises(NotAllowed):
        services.keep(case_id=first.pk, by=other, reason="So.")
    with pytest.raises(Invalid):
        services.keep(case_id=first.pk, by=owner, reason=" ")

    services.keep(case_id=first.pk, by=owner, reason="Sales uses it.")
    leavers.name_owner(case_id=second.pk, to=other, by=owner)
    leavers.refuse(case_id=second.pk, by=other, reason="Not mine.")
    second.refresh_from_db()
    assert second.proposed_owner is None
    leavers.name_owner(case_id=second.pk, to=other, by=owner)
    leavers.accept(case_id=second.pk, by=other)

    assert told(other) == ["mover.offered", "mover.offered"]
    assert told(owner) == ["mover.asked", "mover.asked", "mover.refused", "mover.closed"]
    assert Agent.objects.get(pk=given.pk).owner == other
    assert {case.outcome for case in Case.objects.all()} == {"kept", "accepted"}


def test_what_nobody_answers_in_ten_business_days_is_suspended(owner: Person) -> None:
    agent = make_agent(owner=owner)
    moved(owner)
    case = Case.objects.get()

    assert sweep.handle(case.pk, case.due_at - timedelta(seconds=1))
    assert Agent.objects.get(pk=agent.pk).state == "active"
    assert sweep.handle(case.pk, case.due_at)

    agent.refresh_from_db()
    case.refresh_from_db()
    assert (agent.state, case.state, case.outcome) == ("suspended", "ended", "due")
    assert f"{case.due_at:%Y-%m-%d}" in agent.state_reason


def test_who_leaves_instead_is_asked_about_as_a_leaver(owner: Person) -> None:
    make_agent(owner=owner)
    moved(owner)
    day = clock.now().date()
    register.set_employment(person_id=owner.pk, employment="left", last_day=day, by=SCIM)

    for key in sweep.due(clock.now()):
        sweep.handle(key, clock.now())

    states = dict(Case.objects.values_list("kind", "state"))
    assert states == {"mover": "dropped", "leaver": "open"}


# The review beside it


def review_of(agent: Agent) -> Review:
    return Review.objects.get(agent=agent, kind="periodic")


def looked_at(agent: Agent, outcome: str = "keep", *, people: bool = True) -> None:
    by, step = security(), review_of(agent).steps.get(role="security")
    answers = {each.name: True for each in looking.QUESTIONS} | {"people": people}
    periodic.answer_periodic(
        step_id=step.pk, by=by, outcome=ReviewOutcome(outcome), answers=answers, reason="Looked at."
    )


def test_it_is_reviewed_by_the_same_day_and_its_owner_is_asked_once(owner: Person) -> None:
    agent = make_agent(owner=owner)
    moved(owner)
    move(owner)

    case, review = Case.objects.get(), review_of(agent)
    assert (review.because, review.due_on) == ("Its owner is in another department.", case.due_on)
    assert [entry.kind for entry in queue_of(owner).mine] == ["mover"]
    assert [entry.kind for entry in queue_of(security()).mine] == ["periodic"]


def test_what_security_says_of_its_owner_is_not_asked_again(owner: Person) -> None:
    agent = make_agent(owner=owner)
    moved(owner)

    looked_at(agent)

    case = Case.objects.get()
    assert (case.outcome, case.closed_by) == ("kept", None)
    assert case.reason.startswith("Its review of")


@pytest.mark.parametrize(("outcome", "people"), [("keep", False), ("suspend", True)])
def test_a_review_that_does_not_say_so_leaves_the_question(
    owner: Person, outcome: str, people: bool
) -> None:
    agent = make_agent(owner=owner)
    moved(owner)

    looked_at(agent, outcome, people=people)

    assert Case.objects.get().state == "open"


def test_what_its_owner_says_is_no_review_of_it(
    client: Client, owner: Person, settings: Any
) -> None:
    settings.MUSTER_APPROVER_MFA = False
    agent = make_agent(owner=owner)
    moved(owner)

    services.keep(case_id=Case.objects.get().pk, by=owner, reason="Sales uses it.")

    review = review_of(agent)
    assert review.is_open
    client.force_login(security())
    page = client.get(f"/reviews/{review.pk}/", secure=True)
    assert "Sales uses it." in page.content.decode()


def test_the_page_takes_the_answer(client: Client, owner: Person) -> None:
    agent = make_agent(owner=owner)
    moved(owner)
    case = Case.objects.get()
    client.force_login(owner)
    assert client.get(f"/cases/{case.pk}/", secure=True).status_code == 200

    client.post(f"/cases/{case.pk}/answer/keep/", {"reason": "It is theirs."}, secure=True)

    case.refresh_from_db()
    assert (case.outcome, case.reason) == ("kept", "It is theirs.")
    assert agent.slug in client.get(f"/cases/{case.pk}/", secure=True).content.decode()
    client.force_login(make_person())
    assert client.get(f"/cases/{case.pk}/", secure=True).status_code == 404
