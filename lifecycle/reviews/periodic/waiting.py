"""Which live agents wait to be looked at by a person, and those of theirs that others look at."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from governance import words
from governance.kernel.waiting import Waiting
from lifecycle.models import Review, ReviewStep
from lifecycle.models.reviews import ReviewKind, ReviewState, StepState
from lifecycle.reviews import waiting as reviews
from lifecycle.reviews.periodic import services
from registry.enums import GroupName
from registry.models import Person

PERIODIC = "periodic"


def waiting_for(person: Person) -> list[Waiting]:
    """What this person may look at, and their own that waits for others."""
    if not person.may_act:
        return []
    return [_entry(review, person) for review in open_for(person)]


def open_for(person: Person) -> QuerySet[Review]:
    """Open ones where a step is this person's, and those of their own agents."""
    roles = person.group_names & {GroupName.SECURITY, GroupName.DPO}
    steps = ReviewStep.objects.filter(state=StepState.WAITING, role__in=roles).values("review")
    wanted = Q(pk__in=steps) | Q(agent__owner=person)
    rows = Review.objects.filter(wanted, state=ReviewState.OPEN, kind=ReviewKind.PERIODIC)
    return (
        rows.select_related("agent__owner", "agent__backup_owner", "change", "opened_by")
        .prefetch_related("steps__system__owner")
        .order_by("due_at", "pk")
    )


def found_for(name: str, person: Person) -> Review | None:
    """One of them by its key."""
    if not name.isdecimal() or len(name) > 18:
        return None
    return open_for(person).filter(pk=int(name)).first()


def _due(review: Review) -> str:
    return f"Its review is due on {words.day(review.due_on)}" if review.due_on else ""


def _entry(review: Review, person: Person) -> Waiting:
    agent = review.agent
    return Waiting(
        key=f"{PERIODIC}:{review.pk}",
        kind=PERIODIC,
        title=f"Look at {agent.slug} again",
        text=review.because or _due(review),
        since=review.opened_at,
        expires_at=review.due_at,
        on_expiry=(
            "Managers and platform admins are told, and it is suspended at "
            f"{services.suspends_at(review):%Y-%m-%d %H:%M} UTC."
        ),
        agent=agent.slug,
        why_not=reviews.why_not(review, person),
    )
