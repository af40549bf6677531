"""What follows when what is known of someone changes. In the change's transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from lifecycle.models import Review
from lifecycle.movers import services
from lifecycle.reviews.periodic.signals import periodic_answered
from registry.models import Person
from registry.permissions import Actor
from registry.signals import person_changed


def connect() -> None:
    """Listen; called once the models are there."""
    person_changed.connect(on_person, sender=Person, dispatch_uid="ask about a mover's agents")
    periodic_answered.connect(
        on_review, sender=Review, dispatch_uid="keep what others said is still theirs"
    )


def on_person(
    person: Person, changed: Collection[str], before: Mapping[str, Any], by: Actor, **_: Any
) -> None:
    """Another department is another place, from one that was known."""
    if "department" in changed and before.get("department"):
        services.ask(person, before, by)


def on_review(review: Review, **_: Any) -> None:
    """Security said in its review that its owner still answers for it: that is not asked twice."""
    services.keep_as_reviewed(review)
