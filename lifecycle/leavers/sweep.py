"""The daily reconciliation: whatever an event missed comes to the same end."""

from __future__ import annotations

from datetime import datetime

from governance.kernel import business_days
from lifecycle.leavers import selectors, services
from lifecycle.sweeps.registry import Key
from registry import services as register
from registry.models import Person

PERSON, CASE = "person:", "case:"


def due(now: datetime) -> list[str]:
    """People for whom something was missed, and cases in which nobody is asked."""
    people = [each for each in selectors.unsettled(now) if selectors.is_due(each, now)]
    cases = selectors.unoffered().order_by("due_at", "pk").values_list("pk", flat=True)
    return [*(f"{PERSON}{each.pk}" for each in people), *(f"{CASE}{pk}" for pk in cases)]


def handle(key: Key, now: datetime) -> bool:
    """One of them, looked at again while it is held."""
    said = str(key)
    if said.startswith(CASE):
        return services.offer_again(int(said.removeprefix(CASE)), now)
    rows = Person.objects.select_for_update(of=("self",), no_key=True)
    person = rows.filter(pk=int(said.removeprefix(PERSON))).first()
    if person is None or not selectors.is_due(person, now):
        return False
    today = business_days.date_in(person.zone, now)
    return register.settle_leaver(person_id=person.pk, today=today, by=services.LEAVERS)
