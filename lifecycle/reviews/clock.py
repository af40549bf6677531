"""The clock of reviews: who is told, reminded, and to whom an overdue one goes.

Each is done once for a step. What was signed is compared with the row at every turn, so that a
change that no signal tells of (of a system, of the toxic catalogue) voids it as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet

from lifecycle.models import Review, ReviewEvent, ReviewStep
from lifecycle.models.reviews import EventKind, ReviewKind, ReviewState, StepRole, StepState
from lifecycle.notices import Severity, notify
from lifecycle.reviews import reading, selectors, services
from registry.enums import AgentState, GroupName
from registry.models import Agent, Person

REMIND_BEFORE = timedelta(hours=24)
ASKS, KEEPS = "ask", "review"


def due(now: datetime) -> list[str]:
    """Agents in review that have none yet, and open reviews: those with something due first."""
    return [*_without_review(), *_open_reviews(now)]


def _without_review() -> Iterator[str]:
    asking = Agent.objects.filter(state=AgentState.IN_REVIEW).exclude(
        reviews__state=ReviewState.OPEN, reviews__kind=ReviewKind.LIVE
    )
    for pk in asking.order_by("state_changed_at").values_list("pk", flat=True):
        yield f"{ASKS}:{pk}"


def _open_reviews(now: datetime) -> Iterator[str]:
    """Of periodic ones, which are many and wait for weeks, those alone that have news to tell.

    What was read in them is compared with the row when somebody answers.
    """
    rows = Review.objects.filter(state=ReviewState.OPEN)
    waiting = rows.exclude(
        Q(kind=ReviewKind.PERIODIC) & ~Q(pk__in=_with_news(now).values("review"))
    ).order_by("opened_at")
    for pk in waiting.values_list("pk", flat=True):
        yield f"{KEEPS}:{pk}"


def _with_news(now: datetime) -> QuerySet[ReviewStep]:
    """Steps of which something is to be told by now."""
    return ReviewStep.objects.filter(
        Q(told_at__isnull=True)
        | Q(reminded_at__isnull=True, due__lte=now + REMIND_BEFORE)
        | Q(escalated_at__isnull=True, due__lte=now),
        state=StepState.WAITING,
    )


def handle(key: str | int, now: datetime) -> bool:
    """One of them; says whether anything was done."""
    kind, _, pk = str(key).partition(":")
    if kind == ASKS:
        return _begin(int(pk))
    changed = services.refresh(review_id=int(pk))
    with transaction.atomic():
        return _tell_of(int(pk), now) or changed


@transaction.atomic
def _begin(agent_id: int) -> bool:
    agent = Agent.objects.select_for_update(of=("self",), no_key=True).get(pk=agent_id)
    if agent.state != AgentState.IN_REVIEW:
        return False
    return services.begin(agent, reading.WATCH) is not None


def _tell_of(review_id: int, now: datetime) -> bool:
    review = (
        Review.objects.select_for_update(of=("self",), no_key=True)
        .select_related("agent__owner", "agent__backup_owner", "change__proposed_by")
        .get(pk=review_id)
    )
    if not review.is_open:
        return False
    waiting = review.steps.filter(state=StepState.WAITING).select_related(
        "system__owner", "review__agent__owner", "review__change"
    )
    told = [_told(step, now) for step in waiting.exclude(role=StepRole.OWNER)]
    return any(told)


def _told(step: ReviewStep, now: datetime) -> bool:
    """Everything that is due for one step, each once."""
    people, _ = selectors.people_for(step.role, step.system, step.review.agent)
    done = False
    for field, at, code in (
        ("told_at", None, "review.asked"),
        ("reminded_at", step.due - REMIND_BEFORE, "review.due"),
        ("escalated_at", step.due, "review.overdue"),
    ):
        if getattr(step, field) is None and (at is None or at <= now):
            _send(step, code, people, now)
            setattr(step, field, now)
            step.save(update_fields=[field])
            done = True
    return done


def _send(step: ReviewStep, code: str, people: list[Person], now: datetime) -> None:
    review = step.review
    context = {
        "agent": review.agent.slug,
        "owner": str(review.agent.owner),
        "what": selectors.what_of(review),
        "role": step.title,
        "due": selectors.said_due(step, people),
        "who": " or ".join(map(str, people)) or "Nobody",
    }
    overdue = code == "review.overdue"
    for person in {each.pk: each for each in _whom(step, people, overdue=overdue)}.values():
        severity = Severity.PAGE if overdue else Severity.INFO
        event = f"{code}:{step.pk}"
        notify(person=person, severity=severity, code=code, context=context, event=event)
    if code != "review.asked":
        kind = EventKind.ESCALATED if overdue else EventKind.REMINDED
        who = context["who"]
        ReviewEvent.objects.create(review=review, kind=kind, at=now, role=step.title, text=who)


def _whom(step: ReviewStep, people: list[Person], *, overdue: bool) -> Iterable[Person]:
    """Those who sign; when it is overdue their managers and the platform admins as well."""
    yield from people
    if overdue:
        yield from (each.manager for each in people if each.manager and each.manager.may_act)
        yield from selectors.people_of(GroupName.PLATFORM_ADMIN, set())
        if step.role == StepRole.SOURCE_OWNER:
            yield from selectors.people_of(GroupName.SECURITY, {step.review.agent.owner_id})
