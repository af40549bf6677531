"""Every write of a review. The words themselves are the register's (`Clearance`).

A review is made when an agent comes into review, or a widening change of a live one waits, by
whichever way (`receivers`). A step is answered where the word for it is given, by whichever way.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from governance.kernel.database_clock import database_now
from governance.kernel.errors import GovernanceError, NotFound
from lifecycle.models import Review, ReviewEvent, ReviewStep
from lifecycle.models.reviews import EventKind, ReviewKind, ReviewState, StepRole, StepState
from lifecycle.reviews import looking, permissions, reading, selectors, telling
from lifecycle.reviews.errors import NoReason, ReviewClosed, RowChanged, StepAnswered
from lifecycle.reviews.reading import Read
from lifecycle.reviews.rules import OWNER, SOURCE_OWNER
from registry import changes, clearing
from registry import services as register
from registry.errors import AlreadyDecided
from registry.models import Agent, Clearance, Person, ProposedChange, System
from registry.permissions import Actor

REASON = 2_000
B = Clearance.Basis
_CLOSING = {
    ReviewState.APPROVED: EventKind.CLOSED,
    ReviewState.CHANGES: EventKind.CHANGES,
    ReviewState.REJECTED: EventKind.REJECTED,
    ReviewState.WITHDRAWN: EventKind.WITHDRAWN,
    ReviewState.ANSWERED: EventKind.CLOSED,
}
_SAID = {ReviewState.APPROVED: "It is in effect."}


@transaction.atomic
def open_review(*, agent_id: int, by: Person) -> Review:
    """Send a row for review; `Incomplete` names what is missing."""
    register.submit_for_review(agent_id=agent_id, by=by)
    return Review.objects.get(agent_id=agent_id, kind=ReviewKind.LIVE, state=ReviewState.OPEN)


def begin(agent: Agent, by: Actor, change: ProposedChange | None = None) -> Review | None:
    """Make the review of an agent that came into review, or of a change. One that is open stays."""
    kind = ReviewKind.CHANGE if change else ReviewKind.LIVE
    found = Review.objects.filter(agent=agent, kind=kind, change=change, state=ReviewState.OPEN)
    if known := found.first():
        return known
    read, now = reading.read(agent, change), database_now()
    review = Review.objects.create(
        agent=agent,
        kind=kind,
        change=change,
        opened_by=by if isinstance(by, Person) else None,
        opened_at=now,
        **bound_to(read),
    )
    make_steps(review, read, now)
    tell(review, EventKind.OPENED, by, now)
    return review


def bound_to(read: Read) -> dict[str, object]:
    """What a review keeps of what is read in it."""
    return {
        "tier": str(read.reach.tier),
        "digest": read.digest,
        "reach_digest": read.reach.digest,
        "facts": read.facts,
    }


def make_steps(review: Review, read: Read, now: datetime, *, afresh: bool = False) -> None:
    """One step for each signature. One that waits keeps its date, unless all begin `afresh`."""
    had = {(step.role, step.system_id): step for step in review.steps.all()}
    periodic = review.kind == ReviewKind.PERIODIC
    for wanted in looking.steps_for(read.reach) if periodic else read.reach.steps:
        sources: list[System | None] = [*selectors.systems_of(wanted.systems)]
        for system in sources or [None]:
            step = had.pop((wanted.role, system.pk if system else None), None)
            is_new = step is None
            step = step or ReviewStep(review=review, role=wanted.role, system=system)
            step.why, step.days = list(wanted.why), wanted.days
            if afresh or is_new:
                _begin_anew(step, now)
            step.save()
    for left in had.values():
        left.delete()


def _begin_anew(step: ReviewStep, now: datetime) -> None:
    """Unanswered, with its whole time before it."""
    people, _ = selectors.people_for(step.role, step.system, step.review.agent)
    step.due = step.review.due_at or selectors.due_at(now, step.days, people)
    step.state = StepState.WAITING
    step.answered_by = step.answered_at = step.clearance = step.stands_in_for = None
    step.told_at = step.reminded_at = step.escalated_at = None
    step.reason = step.outcome = ""
    step.answers = {}


def tell(
    review: Review, kind: str, by: Actor | None, now: datetime, *, text: str = "", role: str = ""
) -> None:
    """Write one line of the timeline."""
    ReviewEvent.objects.create(
        review=review,
        kind=kind,
        at=now,
        by=by if isinstance(by, Person) else None,
        text=text[:REASON],
        role=role[:100],
    )


# When the row changes


@transaction.atomic
def refresh(*, review_id: int, by: Actor | None = None) -> bool:
    """Void what was signed, where the row is not any more what was read; says whether it is.

    The review goes on with what must be signed now. Without a word given its dates stay.
    """
    review = _locked(review_id)
    if not review.is_open:
        return False
    try:
        read = reading.read(review.agent, review.change)
    except GovernanceError as error:
        return _void(review, None, f"The change does not fit the row any more: {error.message}")
    if read.digest == review.digest:
        return False
    because = reading.told_of(reading.compared(review.facts, read.facts))
    name = f"{by} changed it" if isinstance(by, Person) else "what it reaches changed"
    return _void(review, read, f"{name}: {because}")


def _void(review: Review, read: Read | None, because: str) -> bool:
    now, steps = database_now(), list(review.steps.select_related("answered_by"))
    words = [step.clearance_id for step in steps if step.clearance_id]
    if words:
        register.void_clearances(
            agent_id=review.agent_id, by=reading.WATCH, because=because, ids=words
        )
        tell(review, EventKind.VOIDED, None, now, text=because)
        telling.tell_void(review, [step.answered_by for step in steps if step.answered_by], because)
    if read is None:
        return bool(words)
    afresh = bool(words) or _is_other_reach(review, read)
    for name, value in bound_to(read).items():
        setattr(review, name, value)
    review.save()
    make_steps(review, read, now, afresh=afresh)
    return True


def _is_other_reach(review: Review, read: Read) -> bool:
    """What was said of a live agent in time counts for what it reached then."""
    return review.kind == ReviewKind.PERIODIC and read.reach.digest != review.reach_digest


# Answers


def approve_step(*, step_id: int, by: Person, reason: str = "", digest: str = "") -> Review:
    """Sign in the role of the step, for exactly the row that was read (`digest`).

    The last signature lets the agent go live, or the change take effect. Of two answers at once
    one counts.
    """
    step = _step(step_id)
    if refresh(review_id=step.review_id):
        raise RowChanged()
    with transaction.atomic():
        review, step = waiting_step(step_id)
        _check_is_signed(review)
        if digest and digest != review.digest:
            raise RowChanged()
        permissions.check_can_answer(step, by)
        _give_word(review, step, by, reason[:REASON])
        finish(review, by)
    review.refresh_from_db()
    return review


def _check_is_signed(review: Review) -> None:
    if review.kind == ReviewKind.PERIODIC:
        raise ReviewClosed(
            "A periodic review is not signed: answer that it keeps, narrows, suspends or ends."
        )


def _give_word(review: Review, step: ReviewStep, by: Person, reason: str) -> None:
    """The word in the register, on which the step follows."""
    if step.role == OWNER:
        _give_owners(review, by, reason)
        return
    basis = clearing.BASES[step.role]
    if review.change is not None:
        register.clear_change(
            change_id=review.change.pk, by=by, basis=basis, system=step.system, reason=reason
        )
    else:
        register.clear_agent(
            agent_id=review.agent_id, by=by, basis=basis, system=step.system, reason=reason
        )


def _give_owners(review: Review, by: Person, reason: str) -> None:
    """The owner's attestation, or security's word in its place; a change is agreed to at once."""
    if review.change is None:
        basis = B.ATTESTATION if by.pk == review.agent.owner_id else B.SECURITY
        register.clear_agent(agent_id=review.agent_id, by=by, basis=basis, reason=reason)


def finish(review: Review, by: Person) -> None:
    """Let what everyone signed take effect. What refuses it is told, and the words stand."""
    if review.change is not None:
        if not _waits_for_others(review):
            changes.agree(change_id=review.change.pk, by=by)
        return
    if _waits_for_others(review):
        return
    try:
        with transaction.atomic():
            register.activate_agent(agent_id=review.agent_id, by=by)
    except GovernanceError as error:
        said = f"Everyone has signed, and it is not live yet: {error.message}"
        tell(review, EventKind.COMMENT, None, database_now(), text=said)


def _waits_for_others(review: Review) -> bool:
    waiting = review.steps.filter(state=StepState.WAITING)
    return waiting.exclude(role=StepRole.OWNER).exists() if review.change_id else waiting.exists()


@transaction.atomic
def go_live(*, review_id: int, by: Person) -> Review:
    """Try again where everyone has signed and something kept the agent from going live."""
    review = _locked(review_id)
    if not review.is_open:
        raise ReviewClosed()
    _check_is_signed(review)
    if review.change is None:
        register.activate_agent(agent_id=review.agent_id, by=by)
    else:
        changes.agree(change_id=review.change.pk, by=by)
    review.refresh_from_db()
    return review


def ask_for_change(*, step_id: int, by: Person, reason: str) -> Review:
    """Send it back, with what must change: a draft again, or the change is dropped."""
    return _refuse(step_id, by, reason, ReviewState.CHANGES)


def reject_step(*, step_id: int, by: Person, reason: str) -> Review:
    """Say no, with the reason that its owner reads."""
    return _refuse(step_id, by, reason, ReviewState.REJECTED)


@transaction.atomic
def _refuse(step_id: int, by: Person, reason: str, outcome: ReviewState) -> Review:
    review, step = waiting_step(step_id)
    _check_is_signed(review)
    permissions.check_can_answer(step, by)
    said = reason.strip()[:REASON]
    if not said:
        raise NoReason(fields={"reason": [NoReason.__doc__ or ""]})
    answer_step(step, StepState(str(outcome)), by, said)
    close(review, outcome, by, said, told=True)
    if review.change is None:
        register.send_back_agent(agent_id=review.agent_id, by=by, reason=said[:500])
    else:
        changes.reject(change_id=review.change.pk, by=by, answer=said)
    return review


def answer_step(
    step: ReviewStep,
    state: StepState,
    by: Person,
    reason: str,
    word: Clearance | None = None,
    **more: Any,
) -> bool:
    """Compare and swap: the one UPDATE that still finds it waiting answers."""
    now = database_now()
    won = ReviewStep.objects.filter(pk=step.pk, state=StepState.WAITING).update(
        state=state,
        answered_by=by,
        answered_at=now,
        reason=reason,
        clearance=word,
        stands_in_for=word.stands_in_for if word else None,
        **more,
    )
    if won:
        tell(step.review, str(state), by, now, text=reason, role=step.title)
    return bool(won)


@transaction.atomic
def add_comment(*, review_id: int, by: Person, text: str) -> ReviewEvent:
    """Say something in a review that one sees."""
    review = _locked(review_id)
    permissions.check_can_see(review, by)
    if not text.strip():
        raise NoReason("Write something first.", fields={"text": ["Write something first."]})
    tell(review, EventKind.COMMENT, by, database_now(), text=text.strip())
    event = review.events.order_by("-pk").first()
    if event is None:  # pragma: no cover  it was written a line above
        raise NotFound()
    return event


# What follows from the register


def note_word(agent: Agent, word: Clearance, change: ProposedChange | None) -> None:
    """Mark the step for which a word was given, by whichever way."""
    kind = ReviewKind.CHANGE if change else ReviewKind.LIVE
    review = (
        Review.objects.filter(agent=agent, kind=kind, change=change).order_by("-opened_at").first()
    )
    if review is None or (change is None and not review.is_open):
        return
    for step in _steps_of_word(review, word):
        by = word.by
        if not answer_step(step, StepState.APPROVED, by, word.reason, word) and review.is_open:
            raise StepAnswered()


def _steps_of_word(review: Review, word: Clearance) -> list[ReviewStep]:
    """The steps that a word answers: its role's, or all where it covers everything."""
    steps = review.steps.filter(state=StepState.WAITING).select_related("system", "review")
    if word.basis in {B.BOOTSTRAP, B.TEMPLATE}:
        steps.delete()
        return []
    roles = [clearing.ROLES[B(word.basis)]]
    if word.basis in {B.SECURITY, B.ATTESTATION}:
        roles.append(OWNER)
    found = steps.filter(role__in=roles)
    return list(found.filter(system=word.system) if roles == [SOURCE_OWNER] else found)


def close(
    review: Review,
    outcome: ReviewState,
    by: Actor | None,
    reason: str = "",
    *,
    told: bool = False,
    came_of: str = "",
) -> None:
    """End a review. One that has ended stays as it is. `came_of` is of a periodic one."""
    now = database_now()
    live_at = now if outcome == ReviewState.APPROVED else None
    won = Review.objects.filter(pk=review.pk, state=ReviewState.OPEN).update(
        state=outcome, closed_at=now, live_at=live_at, outcome=came_of
    )
    review.refresh_from_db(fields=["state", "closed_at", "live_at", "outcome"])
    if won and not told:
        tell(review, _CLOSING[outcome], by, now, text=reason or _SAID.get(outcome, ""))
    if won:
        telling.tell_end(review, by, reason)


def _locked(review_id: int) -> Review:
    """The review, its agent's row locked before it, as everything that changes a row does."""
    agent = Review.objects.filter(pk=review_id).values_list("agent", flat=True).first()
    if agent is None:
        raise NotFound("There is no such review.")
    Agent.objects.select_for_update(of=("self",), no_key=True).get(pk=agent)
    return (
        Review.objects.select_for_update(of=("self",), no_key=True)
        .select_related("agent__owner", "agent__backup_owner", "change__proposed_by", "opened_by")
        .get(pk=review_id)
    )


def _step(step_id: int) -> ReviewStep:
    step = ReviewStep.objects.filter(pk=step_id).first()
    if step is None:
        raise NotFound("There is no such step any more. Load the review again.")
    return step


def waiting_step(step_id: int) -> tuple[Review, ReviewStep]:
    """The review and its step, locked, if they still wait."""
    review = _locked(_step(step_id).review_id)
    step = review.steps.select_related("system__owner", "answered_by").filter(pk=step_id).first()
    if step is None:
        raise RowChanged()
    step.review = review
    if step.state != StepState.WAITING:
        raise StepAnswered(f"{step.answered_by} has answered as {step.title} already.")
    if not review.is_open:
        raise ReviewClosed(f"This review is closed: it was {review.get_state_display()}.")
    if review.change is not None and review.change.state != "proposed":
        raise AlreadyDecided()
    return review, step
