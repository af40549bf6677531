"""“End it” as an answer: who relies on the agent knows first, and nothing is asked meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest
from django.test import Client

from governance.kernel import clock
from lifecycle.cases.errors import CaseClosed
from lifecycle.decommissioning import answers
from lifecycle.decommissioning import services as ending
from lifecycle.idle import services as idle
from lifecycle.idle import sweep as idle_sweep
from lifecycle.leavers import services as leavers
from lifecycle.leavers import sweep as leaver_sweep
from lifecycle.models import Case, EndOrder, Notice, Review
from lifecycle.models.reviews import ReviewOutcome
from lifecycle.renewals import selectors as renewal
from lifecycle.renewals import services as renewals
from lifecycle.renewals import sweep as renewal_sweep
from lifecycle.renewals.errors import NotAsked
from lifecycle.reviews import looking
from lifecycle.reviews.periodic import services as periodic
from lifecycle.reviews.periodic import sweep as periodic_sweep
from registry import services as register
from registry.models import Agent, Person
from registry.permissions import Automatic
from tests.factories.registry import make_agent, make_person, security

pytestmark = pytest.mark.django_db

HR = Automatic("scim")
REASON = "Nobody needs it."


@dataclass(frozen=True)
class Asked:
    """An agent about which something is asked, and how one answers that it ends."""

    agent: Agent
    end: Callable[[], object]
    outcome: str


def today() -> date:
    return clock.now().date()


def asked_idle() -> Asked:
    agent = make_agent()
    at = clock.now() - timedelta(days=100)
    Agent.objects.filter(pk=agent.pk).update(state_changed_at=at, activated_at=at)
    assert idle.flag_idle(agent_id=agent.pk, now=clock.now())
    return Asked(
        agent,
        lambda: idle.end_idle(agent_id=agent.pk, by=agent.owner, reason=REASON),
        "ended",
    )


def asked_renewal() -> Asked:
    agent, day = make_agent(), today() + timedelta(days=3)
    register.renew_agent(agent_id=agent.pk, by=HR, due=day, because="For a test.")
    assert renewal_sweep.ask(agent.pk, clock.now())

    def end() -> object:
        seen = renewal.seen_now(Agent.objects.get(pk=agent.pk))
        return renewals.end(agent_id=agent.pk, by=agent.owner, seen=seen, reason=REASON)

    return Asked(agent, end, "not_needed")


def asked_leaver() -> Asked:
    boss = make_person()
    agent = make_agent(owner=make_person(manager=boss))
    register.set_employment(person_id=agent.owner_id, employment="left", last_day=today(), by=HR)
    case = Case.objects.get(agent=agent)
    return Asked(
        agent,
        lambda: leavers.end_agent(case_id=case.pk, by=boss, reason=REASON),
        "ended_at_once",
    )


def asked_mover() -> Asked:
    agent = make_agent(owner=make_person(department="Claims"))
    register.update_person(person_id=agent.owner_id, by=security(), department="Sales")
    case = Case.objects.get(agent=agent)
    return Asked(
        agent,
        lambda: leavers.end_agent(case_id=case.pk, by=agent.owner, reason=REASON),
        "ended_at_once",
    )


CASES = [asked_idle, asked_renewal, asked_leaver, asked_mover]


def relied_on(agent: Agent) -> Person:
    """Somebody who relies on it."""
    person = make_person(name="Rita")
    register.set_dependents(agent_id=agent.pk, people=[person], agents=[], by=security())
    return person


def swept() -> int:
    """What the sweeps that ask find to ask now."""
    now = clock.now()
    sweeps: list[tuple[Any, Callable[[Any, Any], bool]]] = [
        (idle_sweep.due, idle_sweep.ask),
        (renewal_sweep.due, renewal_sweep.ask),
        (leaver_sweep.due, leaver_sweep.handle),
        (periodic_sweep.due, periodic_sweep.handle),
    ]
    return sum(handle(key, now) for due, handle in sweeps for key in due(now))


def open_cases(agent: Agent) -> int:
    return agent.cases.filter(state="open").count()


def state_of(agent: Agent) -> str:
    return Agent.objects.get(pk=agent.pk).state


@pytest.mark.parametrize("make", CASES)
def test_where_nobody_relies_on_it_it_ends_now(make: Callable[[], Asked]) -> None:
    asked = make()

    asked.end()

    case = Case.objects.get(agent=asked.agent)
    assert (case.state, case.outcome) == ("answered", asked.outcome)
    assert state_of(asked.agent) == "decommissioning"
    follows = answers.what_follows(Agent.objects.get(pk=asked.agent.pk))
    assert follows.startswith(f"{asked.agent.slug} gets nothing from now on.")


@pytest.mark.parametrize("make", CASES)
def test_where_others_rely_on_it_they_know_first_and_nothing_is_asked_meanwhile(
    make: Callable[[], Asked],
) -> None:
    asked = make()
    rita = relied_on(asked.agent)

    asked.end()

    order = EndOrder.objects.get(agent=asked.agent)
    case = Case.objects.get(agent=asked.agent)
    assert (case.state, case.outcome) == ("answered", "end_ordered")
    assert state_of(asked.agent) == "active"
    assert Notice.objects.filter(person=rita, code="end.asked").count() == 1
    assert answers.what_follows(asked.agent) == (
        f"{asked.agent.slug} ends once Rita knows, and on {order.begins_on:%d %b %Y} at the "
        "latest. They are told. To stop it before, suspend it."
    )
    assert (swept(), open_cases(asked.agent)) == (0, 0)

    ending.acknowledge(agent_id=asked.agent.pk, by=rita)

    assert state_of(asked.agent) == "decommissioning"
    case.refresh_from_db()
    assert case.outcome == "end_ordered"


@pytest.mark.parametrize("make", CASES)
def test_taken_back_it_is_asked_again_with_the_days_that_it_had(
    make: Callable[[], Asked],
) -> None:
    asked = make()
    relied_on(asked.agent)
    before = Case.objects.get(agent=asked.agent)
    asked.end()

    ending.withdraw(agent_id=asked.agent.pk, by=EndOrder.objects.get().by)

    again = Case.objects.get(agent=asked.agent, state="open")
    kept = ("kind", "due_at", "due_on", "counts_from", "about", "proposed_owner")
    assert again.pk != before.pk
    assert [getattr(again, name) for name in kept] == [getattr(before, name) for name in kept]
    assert (swept(), open_cases(asked.agent)) == (0, 1)


def test_taken_back_after_its_days_it_has_one_more() -> None:
    asked = asked_leaver()
    relied_on(asked.agent)
    asked.end()
    past = clock.now() - timedelta(days=3)
    Case.objects.update(due_at=past, due_on=past.date(), counts_from=past.date())

    ending.withdraw(agent_id=asked.agent.pk, by=EndOrder.objects.get().by)

    again = Case.objects.get(state="open")
    assert 0 < (again.due_on - today()).days <= 5


def test_what_is_not_true_any_more_is_not_asked_again() -> None:
    asked = asked_leaver()
    relied_on(asked.agent)
    asked.end()
    register.set_employment(person_id=asked.agent.owner_id, employment="employed", by=HR)

    ending.withdraw(agent_id=asked.agent.pk, by=security())

    assert open_cases(asked.agent) == 0


def test_who_leaves_while_the_end_is_ordered_is_not_asked_about_it() -> None:
    agent = make_agent(owner=make_person(manager=make_person()))
    relied_on(agent)
    ending.end(agent_id=agent.pk, by=security(), reason=REASON)

    register.set_employment(person_id=agent.owner_id, employment="leaving", last_day=today(), by=HR)

    assert (swept(), open_cases(agent)) == (0, 0)


def test_an_order_closes_what_else_is_asked_and_is_itself_due() -> None:
    asked = asked_idle()
    relied_on(asked.agent)

    ending.end(agent_id=asked.agent.pk, by=asked.agent.owner, reason=REASON)

    assert Case.objects.get().outcome == "end_ordered"
    with pytest.raises(idle.NothingToAsk):
        asked.end()


def test_a_renewal_waits_until_the_order_is_taken_back_and_is_answered_then() -> None:
    asked = asked_renewal()
    relied_on(asked.agent)
    asked.end()
    agent = asked.agent

    def renew() -> object:
        seen = renewal.seen_now(Agent.objects.get(pk=agent.pk))
        return renewals.renew(agent_id=agent.pk, by=agent.owner, seen=seen)

    with pytest.raises(NotAsked, match="take that back first"):
        renew()
    ending.withdraw(agent_id=agent.pk, by=agent.owner)

    renew()

    assert [each.answer for each in agent.attestations.order_by("at")] == ["ended", "renewed"]
    with pytest.raises(NotAsked):
        renew()


# Reviews

YES = {each.name: True for each in looking.QUESTIONS}


def reviewed(review: Review, outcome: ReviewOutcome, **more: Any) -> Review:
    step = review.steps.get(role="security")
    given = {"answers": YES, "reason": REASON, "by": security()} | more
    return periodic.answer_periodic(step_id=step.pk, outcome=outcome, **given)


def opened_review() -> tuple[Review, Person]:
    """One that is open, and somebody who relies on its agent."""
    agent = make_agent()
    rita = relied_on(agent)
    register.set_review_due(agent_id=agent.pk, by=HR, due=today(), because="For a test.")
    review = periodic.open_periodic(agent_id=agent.pk, by=HR)
    assert review is not None
    return review, rita


def test_a_review_whose_outcome_is_an_end_is_over_and_no_other_opens_meanwhile() -> None:
    review, rita = opened_review()

    after = reviewed(review, ReviewOutcome.END, reason="x" * 900)

    assert (after.state, after.outcome) == ("answered", "end")
    assert (state_of(review.agent), swept()) == ("active", 0)
    assert periodic.open_periodic(agent_id=review.agent_id, by=HR, because="Moved.") is None
    ending.acknowledge(agent_id=review.agent_id, by=rita)
    assert state_of(review.agent) == "decommissioning"


def test_a_review_may_say_that_what_is_ordered_ends() -> None:
    review, _ = opened_review()
    ending.end(agent_id=review.agent_id, by=review.agent.owner, reason=REASON)

    after = reviewed(review, ReviewOutcome.END)

    assert (after.outcome, EndOrder.objects.get().by) == ("end", review.agent.owner)


# What one reads


@pytest.mark.parametrize("alone", [True, False])
def test_the_page_and_rest_say_what_happens_next(client: Client, alone: bool) -> None:
    first, second = asked_idle(), asked_idle()
    if not alone:
        relied_on(first.agent)
        relied_on(second.agent)
    client.force_login(first.agent.owner)
    place = f"/agents/{first.agent.slug}/idle/end/"

    page = client.post(place, {"end-reason": REASON}, secure=True, follow=True)
    client.force_login(second.agent.owner)
    place = f"/api/v1/agents/{second.agent.slug}/idle/end"
    told = client.post(place, {"reason": REASON}, "application/json", secure=True)

    said = "gets nothing from now on" if alone else "ends once Rita knows, and on"
    assert f"{first.agent.slug} {said}" in page.content.decode()
    body = told.json()
    assert told.status_code == 200
    assert (body["end_order"] is None, body["case"]["outcome"]) == (
        alone,
        "ended" if alone else "end_ordered",
    )


def test_a_leavers_agents_are_told_apart_on_the_page(client: Client) -> None:
    boss = make_person()
    owner = make_person(manager=boss)
    now, later = make_agent(owner=owner), make_agent(owner=owner)
    relied_on(later)
    register.set_employment(person_id=owner.pk, employment="left", last_day=today(), by=HR)
    client.force_login(boss)
    ticked = [case.pk for case in Case.objects.all()]

    page = client.post(
        f"/leavers/{owner.pid}/answer/",
        {"word": "end", "case": ticked, "reason": REASON},
        secure=True,
        follow=True,
    ).content.decode()

    assert f"{now.slug} gets nothing from now on" in page
    assert f"{later.slug} ends once Rita knows" in page
    with pytest.raises(CaseClosed):
        leavers.end_agent(case_id=ticked[0], by=boss, reason=REASON)


def test_a_movers_page_ends_it_too(client: Client) -> None:
    asked = asked_mover()
    case = Case.objects.get()
    client.force_login(asked.agent.owner)
    assert "End it" in client.get(f"/cases/{case.pk}/", secure=True).content.decode()

    client.post(f"/cases/{case.pk}/answer/end/", {"reason": REASON}, secure=True)

    case.refresh_from_db()
    assert (case.outcome, state_of(asked.agent)) == ("ended_at_once", "decommissioning")


def test_a_stranger_learns_nothing_of_a_case(client: Client) -> None:
    asked = asked_leaver()
    case = Case.objects.get()
    client.force_login(make_person())

    named = client.post(f"/cases/{case.pk}/name/", {"to": "a@example.org"}, secure=True)
    page = client.get(f"/leavers/{asked.agent.owner.pid}/", secure=True)
    rest = client.post(
        f"/api/v1/cases/{case.pk}/answer", {"word": "end", "reason": "x"}, "application/json"
    )

    assert (named.status_code, page.status_code, rest.status_code) == (404, 403, 404)
    assert str(asked.agent.owner) not in page.content.decode()
