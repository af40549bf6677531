"""What of an end waits for a person: their word that they know."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q

from governance.kernel.waiting import Waiting
from lifecycle.models import EndAcknowledgement, EndOrder
from lifecycle.models.decommissioning import OrderState
from registry.models import Person, Reliance

ENDING = "ending"


def waiting_for(person: Person) -> list[Waiting]:
    """Orders to end what this person relies on, as entries of the inbox."""
    return [_entry(each) for each in open_for(person)] if person.may_act else []


def open_for(person: Person) -> list[EndOrder]:
    """The orders that wait for this person's word, in one query however many there are."""
    said = EndAcknowledgement.objects.filter(agent=OuterRef("agent"))
    of_person = said.filter(person=OuterRef("person"))
    of_agent = said.filter(dependent=OuterRef("dependent"))
    mine = Q(person=person) | Q(dependent__owner=person) | Q(dependent__backup_owner=person)
    asked = Reliance.objects.filter(mine).exclude(Exists(of_person)).exclude(Exists(of_agent))
    rows = EndOrder.objects.filter(state=OrderState.WAITING, agent__in=asked.values("agent"))
    return list(rows.select_related("agent", "by").order_by("begins_at", "pk"))


def order_for(person: Person, name: str) -> EndOrder | None:
    """One of them."""
    return next((each for each in open_for(person) if str(each.pk) == name), None)


def _entry(order: EndOrder) -> Waiting:
    return Waiting(
        key=f"{ENDING}:{order.pk}",
        kind=ENDING,
        title=f"{order.agent.slug} ends, and you rely on it",
        text=f"{order.by}: {order.reason}",
        since=order.at,
        expires_at=order.begins_at,
        on_expiry="It ends all the same.",
        agent=order.agent.slug,
    )
