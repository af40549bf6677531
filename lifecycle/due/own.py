"""The dates that stand on what is here already: one query each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

from django.db.models import F
from django.urls import reverse

from authz.enums import HoldState
from authz.models import Hold
from governance.kernel.business_days import instant_of
from lifecycle.cases import kinds as cases
from lifecycle.due.kinds import Due, DueKind, Look, register
from lifecycle.models import (
    Case,
    CaseKind,
    CaseState,
    EndOrder,
    Review,
    ReviewStep,
    Rotation,
    RotationState,
)
from lifecycle.models.campaigns import Candidate, CandidateState
from lifecycle.models.decommissioning import OrderState
from lifecycle.models.reviews import ReviewKind, ReviewState, StepState
from lifecycle.renewals.rules import WINDOW
from lifecycle.reviews.looking import SUSPENDS_AFTER
from registry.models import Person
from registry.models.agents import LIVE

DATED = ("slug", "owner__zone")


def register_all() -> None:
    """Make them known; called once the models are there."""
    for name, title, find in (
        ("campaign", "question whose agent it is", _campaigns),
        ("case", "case", _cases),
        ("end", "end of an agent", _ends),
        ("hold", "held action", _holds),
        ("observing", "end of observing", _observing),
        ("renewal", "renewal", _renewals),
        ("review", "review", _reviews),
        ("rotation", "rotation of a key", _rotations),
    ):
        register(DueKind(name, title, find))


def _cases(look: Look) -> Iterator[Due]:
    """Each open case once it runs; a renewal that is ahead is said by its own day."""
    rows = Case.objects.filter(agent__in=look.agents, state=CaseState.OPEN)
    rows = rows.exclude(kind=CaseKind.RENEWAL, agent__renewal_due__gte=look.now.date())
    for case in rows.filter(due_at__lte=look.until).select_related("agent"):
        kind = cases.of(case)
        what = case.get_kind_display()
        place = kind.place(case)
        yield Due("case", what, case.due_at, place, case.agent.slug, then=kind.on_expiry)


def _renewals(look: Look) -> Iterator[Due]:
    """The days of renewals; one that has passed is said by its case."""
    cases = Case.objects.filter(kind=CaseKind.RENEWAL, state=CaseState.OPEN)
    asked = cases.filter(agent__renewal_due__lt=look.now.date()).values("agent")
    rows = look.agents.filter(state__in=LIVE, renewal_due__lte=look.until.date())
    for slug, zone, day in rows.exclude(pk__in=asked).values_list(*DATED, "renewal_due"):
        place = reverse("renewal", args=[slug])
        yield Due("renewal", "its renewal", _end(day, zone), place, slug, then=_UNRENEWED)


_UNRENEWED = f"Unanswered for {WINDOW} business days after it, it is decommissioned."


def _end(day: date | None, zone: str) -> datetime:
    assert day is not None  # noqa: S101 - the query asked for those that have one
    return instant_of(day, zone)


def _reviews(look: Look) -> Iterator[Due]:
    """Signatures that are waited for, and the next reviews of agents that are live."""
    waiting = ReviewStep.objects.filter(
        review__agent__in=look.agents,
        review__state=ReviewState.OPEN,
        state=StepState.WAITING,
        due__lte=look.until,
    )
    for step in waiting.select_related("review__agent", "system"):
        yield _signature(step)
    looked_at = Review.objects.filter(kind=ReviewKind.PERIODIC, state=ReviewState.OPEN)
    rows = look.agents.filter(state__in=LIVE, review_due__lte=look.until.date())
    rows = rows.exclude(pk__in=looked_at.values("agent"))
    for slug, zone, day in rows.values_list(*DATED, "review_due"):
        place = reverse("agent", args=[slug])
        yield Due("review", "its next review", _end(day, zone), place, slug, then=_UNSEEN)


_UNSEEN = f"Overdue for {SUSPENDS_AFTER} business days, it is suspended."


def _signature(step: ReviewStep) -> Due:
    slug = step.review.agent.slug
    if step.review.kind == ReviewKind.PERIODIC:
        place = reverse("periodic_review", args=[step.review.pk])
        return Due("review", f"its review: {step.title}", step.due, place, slug, then=_UNSEEN)
    place = reverse("agent", args=[slug])
    return Due("review", f"signature: {step.title}", step.due, place, slug, then=_UNSIGNED)


_UNSIGNED = "It waits, and managers and platform admins are told."


def _holds(look: Look) -> Iterator[Due]:
    rows = Hold.objects.filter(
        state=HoldState.OPEN, agent__in=look.agents.values("slug"), expires_at__lte=look.until
    )
    for pk, slug, tool, at in rows.values_list("pk", "agent", "tool", "expires_at"):
        place = f"{reverse('inbox')}?item=hold:{pk}"
        yield Due("hold", f"answer to {tool}", at, place, slug, then="It is refused.")


def _ends(look: Look) -> Iterator[Due]:
    """Agents whose end is ordered, and waits for those who rely on them."""
    rows = EndOrder.objects.filter(
        agent__in=look.agents, state=OrderState.WAITING, begins_at__lte=look.until
    )
    for slug, at in rows.values_list("agent__slug", "begins_at"):
        yield Due("end", "its end", at, reverse("agent_end", args=[slug]), slug, then=_ENDS)


_ENDS = "It ends, whoever of those who rely on it has said that they know."


def _observing(look: Look) -> Iterator[Due]:
    rows = look.agents.filter(observe_until__lte=look.until)
    for slug, at in rows.values_list("slug", "observe_until"):
        place = reverse("agent_observe", args=[slug])
        yield Due("observing", "the end of its observing", _at(at), place, slug, then=_ENFORCED)


_ENFORCED = "It is enforced from then on."


def _rotations(look: Look) -> Iterator[Due]:
    """Keys that wait for a person, and earlier ones that end."""
    rows = Rotation.objects.filter(agent__in=look.agents).exclude(state=RotationState.DONE)
    rows = rows.filter(due_on__lte=look.until.date()).annotate(zone=F("agent__owner__zone"))
    for row in rows.select_related("agent"):
        ends = row.overlap_until
        what = "the end of its earlier key" if ends else "a key to rotate"
        at = ends or instant_of(row.due_on, row.zone)
        if at <= look.until:
            yield Due(
                "rotation",
                what,
                at,
                reverse("rotation"),
                row.agent.slug,
                then=_REFUSED if ends else "",
            )


_REFUSED = "The earlier one is refused from then on."


def _campaigns(look: Look) -> Iterator[Due]:
    """What a person is asked of; who sees the whole register sees what everyone is."""
    rows = Candidate.objects.filter(
        state=CandidateState.ASKED,
        campaign__closed_at__isnull=True,
        campaign__due__lte=look.until.date(),
    )
    if not look.person.reads_everything:
        rows = rows.filter(owner=look.person)
    asked: dict[tuple[int, str, date], Person] = {}
    for each in rows.select_related("owner", "campaign"):
        if each.owner is not None:
            asked[each.owner.pk, each.campaign.name, each.campaign.due] = each.owner
    for (_, name, day), owner in asked.items():
        what = f"its owner's word: {name}"
        at = instant_of(day, owner.zone)
        yield Due("campaign", what, at, reverse("inbox"), person=owner)


def _at(at: datetime | None) -> datetime:
    assert at is not None  # noqa: S101 - the query asked for those that have one
    return at
