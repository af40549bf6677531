"""Opening a periodic review, answering it, and suspending what nobody looked at."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime

from django.db import transaction

from audit import services as audit
from audit.enums import Kind
from governance.kernel import business_days
from governance.kernel.database_clock import database_now
from governance.kernel.errors import Conflict, Invalid
from lifecycle.decommissioning import reading as ending
from lifecycle.decommissioning.answers import end_if_not_ordered
from lifecycle.models import Review, ReviewStep
from lifecycle.models.reviews import (
    EventKind,
    ReviewKind,
    ReviewOutcome,
    ReviewState,
    StepState,
)
from lifecycle.reviews import looking, permissions, reading, selectors
from lifecycle.reviews import services as reviewing
from lifecycle.reviews.errors import NoReason, RowChanged
from lifecycle.reviews.periodic.signals import periodic_answered
from registry import permissions as register_permissions
from registry import rules
from registry import services as register
from registry.enums import AgentState
from registry.models import Agent, Person, Tool
from registry.permissions import Actor, Automatic
from registry.selectors import agents_for_reach
from registry.services.agents import today_of
from registry.services.saving import locked

ACTOR = Automatic("periodic")


@transaction.atomic
def open_periodic(
    *,
    agent_id: int,
    by: Actor,
    because: str = "",
    business_days: int = looking.DAYS,
    now: datetime | None = None,
) -> Review | None:
    """Have others look at a live agent by its day; `because` of something, in so many days.

    One is open at a time: one that is open already is brought forward where the new day is
    sooner. None where the agent is not live, or its end is ordered.
    """
    agent, now = locked(Agent, "agent", pk=agent_id), now or database_now()
    if agent.state not in rules.LIVE or ending.open_order(agent) is not None:
        return None
    day = _day(agent, because, business_days, now)
    if found := _open_of(agent):
        return _brought_forward(found, day, because)
    review = _begin(agent, by, day, because, now)
    _record("periodic_review_opened", review, by, because=because)
    return review


def _day(agent: Agent, because: str, days: int, now: datetime) -> date:
    """Its own day; for a reason that came up, so many business days from now if that is sooner."""
    people = [agent.owner]
    soon = business_days.add_business_days(
        today_of(agent.owner, now), days, selectors.calendar_of(people)
    )
    return min(filter(None, (agent.review_due, soon if because else None)), default=soon)


def _open_of(agent: Agent) -> Review | None:
    rows = Review.objects.filter(agent=agent, kind=ReviewKind.PERIODIC, state=ReviewState.OPEN)
    return rows.first()


def is_open(agent: Agent) -> bool:
    """Whether others are asked to look at it already."""
    return _open_of(agent) is not None


def _begin(agent: Agent, by: Actor, day: date, because: str, now: datetime) -> Review:
    read = reading.read(agent, None)
    review = Review.objects.create(
        agent=agent,
        kind=ReviewKind.PERIODIC,
        opened_by=by if isinstance(by, Person) else None,
        opened_at=now,
        because=because[:300],
        **_due(agent, day),
        **reviewing.bound_to(read),
    )
    reviewing.make_steps(review, read, now)
    reviewing.tell(review, EventKind.OPENED, by, now, text=because)
    return review


def _due(agent: Agent, day: date) -> dict[str, date | datetime]:
    zone = selectors.zone_of([agent.owner])
    return {"due_on": day, "due_at": business_days.instant_of(day, zone)}


def _brought_forward(review: Review, day: date, because: str) -> Review:
    if review.due_on is not None and review.due_on <= day:
        return review
    for name, value in _due(review.agent, day).items():
        setattr(review, name, value)
    review.because = because[:300] or review.because
    review.save(update_fields=["due_on", "due_at", "because"])
    review.steps.filter(state=StepState.WAITING).update(due=review.due_at, reminded_at=None)
    return review


# Answers


def answer_periodic(
    *,
    step_id: int,
    by: Person,
    outcome: ReviewOutcome,
    answers: Mapping[str, bool],
    reason: str = "",
    drop: Collection[str] = (),
    digest: str = "",
) -> Review:
    """What one who looks says of exactly the row that they read (`digest`).

    Less than before holds at once, and of two answers the stricter one. When everyone has
    answered the next day is set.
    """
    step = ReviewStep.objects.filter(pk=step_id).first()
    if step and reviewing.refresh(review_id=step.review_id):
        raise RowChanged()
    with transaction.atomic():
        review, step = reviewing.waiting_step(step_id)
        _check(review, step, by, outcome, digest)
        said = _said(outcome, answers, reason, drop)
        told = {each.name: bool(answers.get(each.name)) for each in looking.QUESTIONS}
        reviewing.answer_step(
            step, StepState.ANSWERED, by, said, outcome=str(outcome), answers=told
        )
        _record("periodic_review_answered", review, by, outcome=str(outcome), answers=told)
        _carry_out(review, by, outcome, said, sorted(set(drop)))
    review.refresh_from_db()
    return review


def _check(
    review: Review, step: ReviewStep, by: Person, outcome: ReviewOutcome, digest: str
) -> None:
    if review.kind != ReviewKind.PERIODIC:
        raise Conflict("This review is signed, not answered so.")
    if digest and digest != review.digest:
        raise RowChanged()
    permissions.check_can_answer(step, by)
    check_can_say(review.agent, by, outcome)


def check_can_say(agent: Agent, by: Person, outcome: ReviewOutcome) -> None:
    """Whoever looks may always have it kept or suspended; less or an end, who may do that."""
    if outcome == ReviewOutcome.NARROW:
        register_permissions.check_can_narrow_agent(agent, by)
    if outcome == ReviewOutcome.END:
        register_permissions.check_can_decommission_agent(agent, by)


def _said(
    outcome: ReviewOutcome, answers: Mapping[str, bool], reason: str, drop: Collection[str]
) -> str:
    said = reason.strip()[: reviewing.REASON]
    if not said and (outcome != ReviewOutcome.KEEP or looking.said_no(answers)):
        sentence = "Say why: its owner reads it, and it stays on the record."
        raise NoReason(sentence, fields={"reason": [sentence]})
    if outcome == ReviewOutcome.NARROW and not drop:
        sentence = "Tick what is taken away."
        raise Invalid(sentence, fields={"drop": [sentence]})
    return said


def _carry_out(
    review: Review, by: Person, outcome: ReviewOutcome, said: str, drop: list[str]
) -> None:
    agent = review.agent
    if outcome == ReviewOutcome.NARROW:
        _narrow(review, by, drop)
    waits = review.steps.filter(state=StepState.WAITING).exists()
    ends = outcome in {ReviewOutcome.SUSPEND, ReviewOutcome.END}
    if waits and not ends:
        return
    given = review.steps.exclude(outcome="").values_list("outcome", flat=True)
    came_of = looking.strictest(given)
    reviewing.close(review, ReviewState.ANSWERED, by, said, came_of=came_of)
    periodic_answered.send(sender=Review, review=review)
    if came_of == ReviewOutcome.END:
        end_if_not_ordered(agent=agent, by=by, reason=said)
        return
    if came_of == ReviewOutcome.SUSPEND:
        register.suspend_agent(agent_id=agent.pk, by=ACTOR, reason=f"{by} reviewed it: {said}")
    _set_next(agent, by)


def _narrow(review: Review, by: Person, drop: list[str]) -> None:
    """Take tools away. What is read from then on is the row without them."""
    tools = {each.name: each for each in Tool.objects.filter(allowlisted__agent=review.agent_id)}
    if unknown := set(drop) - tools.keys():
        raise Conflict(f"It may not call {min(unknown)} any more. Look again.")
    for name in drop:
        register.remove_allowlist_entry(agent_id=review.agent_id, tool=tools[name], by=by)
    read = reading.read(review.agent, None)
    bound = reviewing.bound_to(read)
    for name, value in bound.items():
        setattr(review, name, value)
    review.save(update_fields=list(bound))


def _set_next(agent: Agent, by: Person) -> None:
    fresh = agents_for_reach().get(pk=agent.pk)
    day = register.fresh_reach(fresh).review_due(today_of(fresh.owner))
    register.set_review_due(
        agent_id=agent.pk, by=by, due=day, because=f"Looked at again by {by.pid}."
    )


# Overdue


def suspends_at(review: Review) -> datetime:
    """When the agent is suspended if nobody has answered by then."""
    owner = review.agent.owner
    zone = selectors.zone_of([owner])
    return looking.suspends_at(
        review.due_on or review.opened_at.date(),
        business_days.date_in(zone, review.opened_at),
        zone=zone,
        calendar=selectors.calendar_of([owner]),
    )


@transaction.atomic
def suspend_overdue(*, review_id: int, now: datetime) -> bool:
    """Suspend an agent that nobody looked at in time; says whether it did."""
    agent_id = Review.objects.values_list("agent", flat=True).get(pk=review_id)
    agent = locked(Agent, "agent", pk=agent_id)
    review = locked(Review, "review", pk=review_id)
    review.agent = agent
    if not review.is_open or agent.state != AgentState.ACTIVE or now < suspends_at(review):
        return False
    reason = (
        f"Its review was due on {review.due_on:%Y-%m-%d} and nobody looked at it. "
        "Someone answers the review, then security starts it again."
    )
    register.suspend_agent(agent_id=agent.pk, by=ACTOR, reason=reason)
    reviewing.tell(review, EventKind.SUSPENDED, ACTOR, now, text=reason)
    _record("periodic_review_overdue", review, ACTOR)
    return True


def _record(did: str, review: Review, by: Actor, *, because: str = "", **more: object) -> None:
    audit.record(
        kind=Kind.REGISTRY,
        actor=by.pid,
        agent=review.agent.slug,
        resource=f"review:{review.pk}",
        tier=review.tier,
        asked={
            "did": did,
            "review": review.pk,
            "due_on": review.due_on.isoformat() if review.due_on else "",
            **more,
        },
        payload={"because": because} if because else {},
    )
