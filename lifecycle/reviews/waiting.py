"""Which agents that ask to go live wait for a person."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from governance.kernel.waiting import Waiting
from lifecycle.models import Review, ReviewStep
from lifecycle.models.reviews import ReviewKind, ReviewState, StepRole, StepState
from lifecycle.reviews import permissions
from registry import absences
from registry.enums import GroupName
from registry.models import Person
from registry.permissions import in_group

REVIEW = "review"


def waiting_for(person: Person) -> list[Waiting]:
    """What this person may sign, and their own that waits for others."""
    if not person.may_act:
        return []
    return [_entry(review, person) for review in open_for(person)]


def open_for(person: Person) -> QuerySet[Review]:
    """Open reviews that this person may answer, and those of their own agents."""
    rows = (
        Review.objects.filter(state=ReviewState.OPEN, kind=ReviewKind.LIVE)
        .select_related("agent__owner", "agent__backup_owner", "change__proposed_by", "opened_by")
        .prefetch_related("steps__system__owner")
        .order_by("opened_at", "pk")
    )
    if in_group(person, GroupName.SECURITY):
        return rows
    wanted = Q(role=StepRole.SOURCE_OWNER, system__slug__in=absences.listed_sources_of(person))
    if in_group(person, GroupName.DPO):
        wanted |= Q(role=StepRole.DPO)
    theirs = ReviewStep.objects.filter(wanted, state=StepState.WAITING).values("review")
    return rows.filter(Q(agent__owner=person) | Q(pk__in=theirs))


def waiting_steps(review: Review) -> list[ReviewStep]:
    """The steps that wait, each with its review at hand."""
    steps = [step for step in review.steps.all() if step.state == StepState.WAITING]
    for step in steps:
        step.review = review
    return steps


def mine(review: Review, person: Person) -> list[ReviewStep]:
    """The steps that this person may answer."""
    return [step for step in waiting_steps(review) if not permissions.why_not(step, person)]


def why_not(review: Review, person: Person) -> str:
    """The sentence for which this person may answer no step; empty if they may one."""
    refusals = [permissions.why_not(step, person) for step in waiting_steps(review)]
    if not refusals:
        return "Everyone has signed."
    return "" if "" in refusals else refusals[0]


def _entry(review: Review, person: Person) -> Waiting:
    steps = mine(review, person) or waiting_steps(review)
    agent = review.agent
    return Waiting(
        key=f"{REVIEW}:{agent.slug}",
        kind=REVIEW,
        title=f"{agent.slug} asks to go live",
        text=f"{agent.owner} owns it",
        since=review.opened_at,
        expires_at=min((step.due for step in steps), default=None),
        on_expiry="It stays in review and gets nothing. Managers and platform admins are told.",
        agent=agent.slug,
        why_not=why_not(review, person),
    )
