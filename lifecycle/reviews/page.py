"""What a page shows of a review: the row, what differs, who signed, and what to compare it with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, QuerySet

from governance.kernel import clock
from governance.kernel.errors import GovernanceError
from lifecycle.models import Review, ReviewStep
from lifecycle.models.reviews import ReviewKind, ReviewState, StepState
from lifecycle.probes import reporting
from lifecycle.probes import selectors as probes
from lifecycle.reviews import permissions, reading, selectors
from lifecycle.reviews.reading import Difference
from registry.models import Agent, Person, ProposedChange
from registry.pictures import picture_of
from registry.reach import Reach

ALIKE = 4
PAST = 6


@dataclass(frozen=True, slots=True)
class Signature:
    """One step as a page shows it: who may answer, what they said, why this person may not."""

    step: ReviewStep
    people: tuple[Person, ...]
    note: str
    why_not: str
    now: datetime

    @property
    def is_waiting(self) -> bool:
        """Whether nobody has answered."""
        return self.step.state == StepState.WAITING

    @property
    def is_late(self) -> bool:
        """Whether its day is over, and it waits."""
        return self.is_waiting and self.step.due < self.now

    @property
    def names(self) -> str:
        """Who may answer, as words."""
        return " or ".join(map(str, self.people)) or "nobody yet"


def page_of(review: Review, person: Person) -> dict[str, Any]:
    """Everything on the page of one review, as `person` may see it."""
    agent = review.agent
    reach, problem = _reach_of(review)
    signatures = signatures_of(review, person)
    mine = [each for each in signatures if each.is_waiting and not each.why_not]
    refusals = [each.why_not for each in signatures if each.is_waiting and each.why_not]
    earlier = _before(review)
    return {
        "review": review,
        "agent": agent,
        "change": review.change,
        "reach": reach,
        "problem": problem,
        "picture": picture_of(agent.slug, reach),
        "entries": list(agent.allowlist.select_related("tool__system")),
        "signatures": signatures,
        "signed": sum(not each.is_waiting for each in signatures),
        "mine": mine,
        "step": mine[0].step if mine else None,
        "complete": review.is_open and not any(each.is_waiting for each in signatures),
        "why_not": "" if mine else next(iter(refusals), _why_nothing(review)),
        "differences": _differences(review, earlier),
        "earlier": earlier,
        "events": list(review.events.select_related("by")),
        "probe": _probe(agent),
        "alike": alike(agent, reach, person),
        "past": past_of(agent.owner, review, person),
    }


def _reach_of(review: Review) -> tuple[Reach, str]:
    """What one signs; what the row reaches now where a change does not fit it any more."""
    try:
        if review.is_open:
            return reading.read(review.agent, review.change).reach, ""
    except GovernanceError as error:
        return reading.read(review.agent, None).reach, error.message
    return reading.read(review.agent, None).reach, ""


def _why_nothing(review: Review) -> str:
    if review.is_open:
        return "Everyone has signed."
    return f"This review is closed: it was {review.get_state_display()}."


def signatures_of(review: Review, person: Person) -> list[Signature]:
    """Every step with who may answer it."""
    steps = review.steps.select_related("system__owner", "answered_by", "stands_in_for")
    found, now = [], clock.now()
    for step in steps:
        step.review = review
        people, note = selectors.people_for(step.role, step.system, review.agent)
        waiting = step.state == StepState.WAITING and review.is_open
        why = permissions.why_not(step, person) if waiting else "It is answered."
        found.append(Signature(step, tuple(people), note, why, now))
    return found


def _before(review: Review) -> Review | None:
    """The review before this one of the same agent, if it was sent back."""
    rows = Review.objects.filter(agent=review.agent, kind=ReviewKind.LIVE, pk__lt=review.pk)
    return rows.order_by("-pk").first() if review.kind == ReviewKind.LIVE else None


def _differences(review: Review, earlier: Review | None) -> list[Difference]:
    if review.change is not None:
        return reading.differences_of(review.change)
    return reading.compared(earlier.facts, review.facts) if earlier else []


def _probe(agent: Agent) -> dict[str, str]:
    run = probes.gating_runs(agent).select_related("agent").first()
    if run is None:
        return {"title": "", "verdict": "It was not attacked yet."}
    return {"title": reporting.title_of(run), "verdict": reporting.verdict_of(run)}


def alike(agent: Agent, reach: Reach, person: Person) -> QuerySet[Agent]:
    """Agents that use the same systems, those that share most first."""
    systems = {place.system for place in (*reach.reads, *reach.writes)}
    return (
        Agent.objects.filter(
            pk__in=Agent.objects.visible_to(person).values("pk"),
            allowlist__tool__system__slug__in=systems,
        )
        .exclude(pk=agent.pk)
        .annotate(shared=Count("allowlist__tool__system", distinct=True))
        .select_related("owner")
        .order_by("-shared", "slug")[:ALIKE]
    )


def past_of(owner: Person, review: Review, person: Person) -> QuerySet[Review]:
    """How earlier reviews of the same owner ended."""
    closed = Review.objects.visible_to(person).filter(agent__owner=owner)
    closed = closed.exclude(state=ReviewState.OPEN).exclude(pk=review.pk)
    return closed.select_related("agent", "change").order_by("-closed_at")[:PAST]


def progress_of(agent: Agent, person: Person) -> dict[str, Any] | None:
    """The newest review as the agent's page shows it; None where it never had one."""
    review = (
        Review.objects.filter(agent=agent)
        .select_related("agent__owner", "agent__backup_owner", "change__proposed_by", "opened_by")
        .order_by("-opened_at", "-pk")
        .first()
    )
    if review is None:
        return None
    return {
        "review": review,
        "what": selectors.what_of(review),
        "signatures": signatures_of(review, person),
        "events": list(review.events.select_related("by")),
    }


def review_of_change(change_id: int) -> Review | None:
    """The open review of a proposed change, if there is one."""
    rows = Review.objects.filter(change=change_id, state=ReviewState.OPEN)
    return rows.select_related(
        "agent__owner", "agent__backup_owner", "change__proposed_by", "opened_by"
    ).first()


def of_change(change: ProposedChange, person: Person) -> dict[str, Any] | None:
    """Who signs a proposed change, for the inbox."""
    review = review_of_change(change.pk)
    if review is None:
        return None
    signatures = signatures_of(review, person)
    mine = [each for each in signatures if each.is_waiting and not each.why_not]
    return {"review": review, "signatures": signatures, "step": mine[0].step if mine else None}
