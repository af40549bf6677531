"""What those whom a review concerns are told of how it goes."""

from __future__ import annotations

from collections.abc import Iterable

from lifecycle.models import Review
from lifecycle.models.reviews import ReviewState
from lifecycle.notices import Severity, notify
from lifecycle.reviews import selectors
from registry.models import Person
from registry.permissions import Actor

REFUSED = frozenset({ReviewState.CHANGES, ReviewState.REJECTED})


def tell_end(review: Review, by: Actor | None, reason: str) -> None:
    """Tell the owner how it ended, where others had been asked or said no."""
    owner = review.agent.owner
    asked = review.steps.filter(told_at__isnull=False).exists()
    if (isinstance(by, Person) and by.pk == owner.pk) or not (asked or review.state in REFUSED):
        return
    context = {
        "agent": review.agent.slug,
        "outcome": str(review.get_outcome_display() or review.get_state_display()),
        "what": selectors.what_of(review),
        "reason": reason or "No reason was given.",
    }
    _notify(owner, "review.ended", context, f"review.ended:{review.pk}")


def tell_void(review: Review, signed: Iterable[Person], because: str) -> None:
    """Tell those whose word counts no more."""
    context = {"agent": review.agent.slug, "because": because}
    event = f"review.voided:{review.pk}:{review.digest}"
    for person in {each.pk: each for each in signed}.values():
        _notify(person, "review.voided", context, event)


def _notify(person: Person, code: str, context: dict[str, str], event: str) -> None:
    if person.may_act:
        notify(person=person, severity=Severity.INFO, code=code, context=context, event=event)
