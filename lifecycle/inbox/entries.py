"""What waits for a person, from all apps, in the order in which it presses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.http import HttpRequest

from governance.kernel.errors import NotFound
from governance.kernel.waiting import Waiting
from lifecycle.break_glass import waiting as emergencies
from lifecycle.campaigns import selectors as campaigns
from lifecycle.cases import waiting as cases
from lifecycle.decommissioning import waiting as ending
from lifecycle.inbox import added, holds
from lifecycle.reviews import waiting as reviews
from lifecycle.reviews.periodic import waiting as periodic
from lifecycle.rotation import waiting as rotation
from lifecycle.toxic import waiting as toxic
from registry import waiting as register
from registry.models import Person
from registry.people import signed_in

_LAST = datetime.max.replace(tzinfo=UTC)
# Each app that has something that can wait for a person.
SOURCES: tuple[Callable[[Person], list[Waiting]], ...] = (
    holds.waiting_for,
    reviews.waiting_for,
    periodic.waiting_for,
    register.waiting_for,
    rotation.waiting_for,
    toxic.waiting_for,
    campaigns.waiting_for,
    cases.waiting_for,
    ending.waiting_for,
    emergencies.waiting_for,
)


@dataclass(frozen=True, slots=True)
class Queue:
    """What a person may answer, and what of theirs waits for others; each expiry first."""

    mine: Sequence[Waiting]
    others: Sequence[Waiting]

    @property
    def everything(self) -> list[Waiting]:
        """Both, in the order of the page."""
        return [*self.mine, *self.others]

    @property
    def first_expiry(self) -> datetime | None:
        """When the first that is mine runs out, if any does."""
        return min((each.expires_at for each in self.mine if each.expires_at), default=None)


def queue_of(person: Person) -> Queue:
    """Everything that waits for this person, or for others on their behalf."""
    sources = [*SOURCES, *(kind.waiting_for for kind in added.kinds().values())]
    found = [each for source in sources for each in source(person)]
    found.sort(key=lambda each: (each.expires_at or _LAST, each.since, each.key))
    return Queue(
        [each for each in found if not each.why_not], [each for each in found if each.why_not]
    )


def queue_for(request: HttpRequest) -> Queue:
    """The queue of who looks: made once for a page, however often that shows and counts it."""
    kept: Queue | None = getattr(request, "inbox_queue", None)
    if kept is None:
        kept = queue_of(signed_in(request))
        request.inbox_queue = kept  # type: ignore[attr-defined]
    return kept


def chosen(queue: Queue, key: str) -> Waiting | None:
    """The one that the address names, else the first; None where nothing waits."""
    everything = queue.everything
    if not key:
        return everything[0] if everything else None
    return next((each for each in everything if each.key == key), None)


def neighbours(queue: Queue, key: str) -> tuple[str, str]:
    """The keys before and after one, empty at the ends."""
    keys = [each.key for each in queue.everything]
    if key not in keys:
        return "", keys[0] if keys else ""
    place = keys.index(key)
    before = keys[place - 1] if place else ""
    return before, keys[place + 1] if place + 1 < len(keys) else ""


def split(key: str) -> tuple[str, str]:
    """Kind and name of a key. `NotFound` where it is none."""
    kind, sign, name = key.partition(":")
    if not sign or not name:
        raise NotFound()
    return kind, name
