"""Periodic reviews: who looks, what comes of it, and what happens where nobody looks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from governance.kernel import clock
from governance.kernel.errors import GovernanceError, Invalid, NotAllowed
from lifecycle.models import Notice, Review, ReviewStep
from lifecycle.models.reviews import EventKind, ReviewKind, ReviewOutcome, ReviewState
from lifecycle.reviews import clock as review_clock
from lifecycle.reviews import looking
from lifecycle.reviews import services as reviewing
from lifecycle.reviews.errors import NoReason, ReviewClosed, RowChanged, StepAnswered
from lifecycle.reviews.periodic import services, sweep
from registry import services as register
from registry.enums import AgentState, GroupName
from registry.models import Agent, Person
from registry.rules import months_after
from tests.factories.registry import make_agent, make_person, make_tool, security

pytestmark = pytest.mark.django_db
S = AgentState
O = ReviewOutcome  # noqa: E741
YES = {each.name: True for each in looking.QUESTIONS}


def due_in(days: int, **of: Any) -> Agent:
    """A live agent whose review is due in so many days."""
    agent = make_agent(**of)
    day = clock.now().date() + timedelta(days=days)
    return register.set_review_due(
        agent_id=agent.pk, by=services.ACTOR, due=day, because="For a test."
    )


def swept(now: datetime | None = None) -> int:
    """The sweep of periodic reviews and the clock of all of them, at an instant."""
    at = now or clock.now()
    done = 0
    for each in (sweep, review_clock):
        for key in each.due(at):
            with transaction.atomic():
                done += each.handle(key, at)
    return done


def opened(days: int = 3, **of: Any) -> Review:
    agent = due_in(days, **of)
    swept()
    return Review.objects.get(agent=agent, kind=ReviewKind.PERIODIC)


def answer(review: Review, outcome: ReviewOutcome, by: Person | None = None, **more: Any) -> Review:
    by = by or security()
    role = "dpo" if GroupName.DPO in by.group_names else "security"
    step = review.steps.get(role=role)
    given = {"answers": YES, "reason": "Looked at." if outcome != O.KEEP else ""} | more
    return services.answer_periodic(step_id=step.pk, by=by, outcome=outcome, **given)


def state(review: Review) -> tuple[str, str, str]:
    review.refresh_from_db()
    return review.state, review.outcome, Agent.objects.get(pk=review.agent_id).state


def refused(act: Callable[[], object], error: type[GovernanceError]) -> str:
    with pytest.raises(error) as caught:
        act()
    return caught.value.message


@pytest.mark.parametrize(
    ("tier", "roles"),
    [
        ("public", ["security"]),
        ("internal", ["security"]),
        ("confidential", ["security"]),
        ("restricted", ["security", "dpo"]),
    ],
)
def test_who_looks_follows_from_the_tier(tier: str, roles: list[str]) -> None:
    review = opened(tier=tier)

    assert [each.role for each in review.steps.order_by("pk")] == roles
    assert state(review) == (ReviewState.OPEN, "", S.ACTIVE)


def test_it_is_opened_two_weeks_ahead_and_once() -> None:
    far, near = due_in(15), due_in(14)

    swept()
    swept()

    assert not Review.objects.filter(agent=far, kind=ReviewKind.PERIODIC).exists()
    review = Review.objects.get(agent=near, kind=ReviewKind.PERIODIC)
    assert (review.due_on, review.opened_by) == (near.review_due, None)


def test_kept_by_all_who_look_the_next_day_is_set() -> None:
    review = opened(tier="restricted")

    answer(review, O.KEEP)
    assert state(review) == (ReviewState.OPEN, "", S.ACTIVE)
    answer(review, O.KEEP, make_person(GroupName.DPO))

    assert state(review) == (ReviewState.ANSWERED, "keep", S.ACTIVE)
    due = Agent.objects.get(pk=review.agent_id).review_due
    assert due == months_after(clock.now().date(), 3)


def test_less_takes_tools_away_at_once_and_a_reason() -> None:
    review = opened()
    tool = review.agent.allowlist.get().tool.name
    refused(lambda: answer(review, O.NARROW), Invalid)
    refused(lambda: answer(review, O.NARROW, drop=[tool], reason=" "), NoReason)

    answer(review, O.NARROW, drop=[tool])

    assert state(review) == (ReviewState.ANSWERED, "narrow", S.ACTIVE)
    assert not review.agent.allowlist.exists()


def test_what_one_who_looks_wants_stopped_is_stopped_whoever_has_not_answered() -> None:
    review = opened(tier="restricted")

    answer(review, O.SUSPEND, make_person(GroupName.DPO))

    assert state(review) == (ReviewState.ANSWERED, "suspend", S.SUSPENDED)


def test_an_end_is_for_those_who_may_end_it() -> None:
    review = opened(tier="restricted")
    refused(lambda: answer(review, O.END, make_person(GroupName.DPO)), NotAllowed)

    answer(review, O.END)

    assert state(review) == (ReviewState.ANSWERED, "end", S.DECOMMISSIONING)


def test_nobody_looks_at_their_own_and_nobody_signs_it_instead() -> None:
    owner = security()
    review = opened(owner=owner)
    step = review.steps.get()

    refused(lambda: answer(review, O.KEEP, owner), NotAllowed)
    refused(lambda: answer(review, O.KEEP, make_person()), NotAllowed)
    refused(lambda: reviewing.approve_step(step_id=step.pk, by=security()), ReviewClosed)
    refused(
        lambda: reviewing.reject_step(step_id=step.pk, by=security(), reason="No."), ReviewClosed
    )
    answer(review, O.KEEP)
    refused(lambda: answer(review, O.KEEP), StepAnswered)


def test_a_no_to_a_question_needs_a_reason() -> None:
    review = opened()

    refused(lambda: answer(review, O.KEEP, answers=YES | {"people": False}), NoReason)

    answer(review, O.KEEP, answers=YES | {"people": False}, reason="A new backup is named.")
    assert ReviewStep.objects.get(review=review).answers == YES | {"people": False}


def test_what_was_read_before_it_changed_counts_no_more() -> None:
    review = opened(tier="restricted")
    answer(review, O.KEEP)
    tool = review.agent.allowlist.get().tool
    read = review.digest
    register.remove_allowlist_entry(agent_id=review.agent_id, tool=tool, by=review.agent.owner)

    refused(lambda: answer(review, O.KEEP, make_person(GroupName.DPO), digest=read), RowChanged)

    assert set(review.steps.values_list("role", "state")) == {("security", "waiting")}


def test_one_that_has_nothing_to_tell_is_left_alone_by_the_clock() -> None:
    review = opened(10)
    now = clock.now()
    key = f"review:{review.pk}"

    assert key not in review_clock.due(now)
    assert key in review_clock.due(now + timedelta(days=9, hours=20))


def test_overdue_it_escalates_and_then_suspends_with_the_true_day(settings: Any) -> None:
    settings.MUSTER_CALENDAR = ""
    boss = make_person()
    looks = make_person(GroupName.SECURITY, manager=boss)
    review = opened(3)
    agent, due = review.agent, review.due_at
    assert due is not None

    swept(due - timedelta(hours=1))
    assert not Notice.objects.filter(code="review.overdue").exists()
    swept(due + timedelta(hours=1))
    heard = set(Notice.objects.filter(code="review.overdue").values_list("person", flat=True))
    assert {looks.pk, boss.pk} <= heard
    at = services.suspends_at(review)
    swept(at - timedelta(minutes=1))
    assert not services.suspend_overdue(review_id=review.pk, now=at - timedelta(minutes=1))
    assert state(review)[2] == S.ACTIVE
    swept(at + timedelta(days=3))
    swept(at + timedelta(days=3))

    assert state(review) == (ReviewState.OPEN, "", S.SUSPENDED)
    agent.refresh_from_db()
    assert f"due on {review.due_on}" in agent.state_reason
    assert review.events.filter(kind=EventKind.SUSPENDED).count() == 1


def test_answered_after_that_security_starts_it_again() -> None:
    review = opened(3)
    swept(services.suspends_at(review) + timedelta(days=1))

    answer(review, O.KEEP)
    register.resume_agent(agent_id=review.agent_id, by=security())

    swept(clock.now() + timedelta(days=60))
    assert state(review) == (ReviewState.ANSWERED, "keep", S.ACTIVE)


def test_one_that_ends_is_not_looked_at_any_more() -> None:
    review = opened()

    register.begin_decommissioning(
        agent_id=review.agent_id, by=review.agent.owner, reason="Not needed."
    )

    assert state(review) == (ReviewState.WITHDRAWN, "", S.DECOMMISSIONING)


def test_a_movers_agent_is_looked_at_in_ten_business_days_and_sooner_if_it_is_due_sooner() -> None:
    agent, soon, draft = make_agent(), due_in(4), make_agent(S.DRAFT)
    because = "Its owner moved to another department."

    found = services.open_periodic(agent_id=agent.pk, by=services.ACTOR, because=because)
    again = services.open_periodic(agent_id=agent.pk, by=services.ACTOR, because=because)
    near = services.open_periodic(agent_id=soon.pk, by=services.ACTOR, because=because)

    assert found is not None
    assert found == again
    assert near is not None
    assert found.due_on is not None
    days = (found.due_on - clock.now().date()).days
    assert 13 <= days <= 16
    assert (found.because, near.due_on) == (because, soon.review_due)
    assert services.open_periodic(agent_id=draft.pk, by=services.ACTOR, because=because) is None


def test_one_that_is_open_is_brought_forward_and_told_of_again() -> None:
    review = opened(14)

    services.open_periodic(
        agent_id=review.agent_id, by=services.ACTOR, because="Moved.", business_days=2
    )

    review.refresh_from_db()
    assert review.due_on is not None
    assert review.due_on < clock.now().date() + timedelta(days=6)
    assert {each.due for each in review.steps.all()} == {review.due_at}


# Dates. Due on, opened on, zone, calendar, when it is suspended.
SUSPENDS = [
    ("2026-12-18", "2026-12-04", "Europe/Copenhagen", "DK", "2026-12-28T16:00"),
    ("2026-12-18", "2026-12-04", "Europe/Berlin", "DE-BY", "2026-12-28T16:00"),
    ("2026-12-18", "2026-12-04", "Europe/London", "GB-SCT", "2026-12-29T17:00"),
    ("2026-12-18", "2026-12-04", "America/New_York", "US", "2026-12-28T22:00"),
    ("2026-12-18", "2026-12-04", "Asia/Riyadh", "SA", "2026-12-24T14:00"),
    ("2026-12-31", "2026-12-17", "Asia/Tokyo", "JP", "2027-01-08T08:00"),
    ("2026-12-31", "2026-12-17", "UTC", "", "2027-01-07T17:00"),
    ("2028-02-28", "2028-02-14", "UTC", "", "2028-03-06T17:00"),
    ("2028-02-29", "2028-02-15", "UTC", "", "2028-03-07T17:00"),
    ("2027-02-28", "2027-02-14", "UTC", "", "2027-03-05T17:00"),
    ("2026-03-27", "2026-03-13", "Europe/Copenhagen", "DK", "2026-04-08T15:00"),
    ("2026-10-23", "2026-10-09", "Europe/Copenhagen", "DK", "2026-10-30T16:00"),
    ("2026-03-06", "2026-02-20", "America/New_York", "US", "2026-03-13T21:00"),
    ("2026-04-30", "2026-04-16", "Europe/Berlin", "DE", "2026-05-08T15:00"),
    # Opened late: whoever looks has the same days.
    ("2026-11-02", "2026-11-20", "UTC", "", "2026-11-27T17:00"),
]


@pytest.mark.parametrize(("due", "opens", "zone", "calendar", "at"), SUSPENDS)
def test_when_an_overdue_one_suspends(
    due: str, opens: str, zone: str, calendar: str, at: str
) -> None:
    found = looking.suspends_at(
        date.fromisoformat(due), date.fromisoformat(opens), zone=zone, calendar=calendar
    )

    assert found == datetime.fromisoformat(at).replace(tzinfo=UTC)


def test_of_several_answers_the_strictest_counts() -> None:
    assert looking.strictest(["keep", "narrow"]) == O.NARROW
    assert looking.strictest(["suspend", "end", "keep"]) == O.END
    assert looking.strictest(["keep"]) == O.KEEP


def test_widening_is_no_part_of_it() -> None:
    review = opened()
    other = make_tool()

    refused(lambda: answer(review, O.NARROW, drop=[other.name]), GovernanceError)
