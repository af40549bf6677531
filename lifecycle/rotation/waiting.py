"""What of rotation waits for a person."""

from __future__ import annotations

from django.db.models import Q

from governance import words
from governance.kernel.waiting import Waiting
from lifecycle.models import Rotation, RotationState
from lifecycle.rotation import rules
from lifecycle.rotation.services import name_of
from registry.models import Person

ROTATION = "rotation"


def open_for(person: Person) -> list[Rotation]:
    """What this person answers for: keys to rotate by hand, and new secrets to fetch."""
    mine = Q(agent__owner=person) | Q(agent__backup_owner=person)
    unfetched = Q(state=RotationState.OVERLAP, key=rules.CLIENT) & ~Q(
        agent__client__sealed_secret=b""
    )
    asks = Q(state__in=[RotationState.WAITING, RotationState.FAILED]) | unfetched
    rows = Rotation.objects.filter(mine, asks).select_related("agent__owner")
    return list(rows.order_by("due_on", "pk"))


def waiting_for(person: Person) -> list[Waiting]:
    """Each as an entry of the inbox."""
    if not person.may_act:
        return []
    return [_entry(each, person) for each in open_for(person)]


def _entry(rotation: Rotation, person: Person) -> Waiting:
    fetch = rotation.state == RotationState.OVERLAP
    title = "has a new secret to fetch" if fetch else "has a key to rotate"
    own = rotation.agent.owner_id == person.pk
    return Waiting(
        key=f"{ROTATION}:{rotation.pk}",
        kind=ROTATION,
        title=f"{rotation.agent.slug} {title}",
        text=f"{name_of(rotation)}, due on {words.day(rotation.due_on)}",
        since=rotation.opened_at,
        expires_at=rotation.overlap_until if fetch else None,
        on_expiry="The earlier secret ends, and the agent gets no token until it has the new one."
        if fetch
        else "It stays overdue, and is shown so.",
        agent=rotation.agent.slug,
        why_not="" if own else f"{rotation.agent.owner} owns it; you stand in.",
    )
