"""The review of an emergency waits for whoever may close it."""

from __future__ import annotations

from governance.kernel.waiting import Waiting
from lifecycle.break_glass import selectors
from lifecycle.models import BreakGlass
from lifecycle.permissions import REVIEWERS, check_can_close_emergency
from registry.models import Person
from registry.permissions import can, in_group

EMERGENCY = "emergency"


def waiting_for(person: Person) -> list[Waiting]:
    """The one that nobody has reviewed, for security and auditors."""
    if not person.may_act or not in_group(person, *REVIEWERS):
        return []
    used = selectors.unreviewed()
    return [_entry(used, person)] if used else []


def found_for(person: Person, name: str) -> BreakGlass | None:
    """The same by its key, while it waits still."""
    used = selectors.unreviewed() if in_group(person, *REVIEWERS) else None
    return used if used is not None and str(used.pk) == name else None


def _entry(used: BreakGlass, person: Person) -> Waiting:
    return Waiting(
        key=f"{EMERGENCY}:{used.pk}",
        kind=EMERGENCY,
        title=f"Review what {used.person} did under emergency access",
        text=used.reason,
        since=used.opened_at,
        on_expiry="Every page stays red, and emergency access cannot be opened again.",
        why_not=can(check_can_close_emergency, used, person),
    )
