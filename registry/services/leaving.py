"""What someone who has left loses: their duties, and every way in."""

from __future__ import annotations

from datetime import date

from django.db import transaction
from django.db.models import Q

from governance.kernel import clock
from governance.kernel.errors import Conflict
from registry.enums import Employment
from registry.models import Absence, Person, SignInLink, SystemPermission
from registry.permissions import Actor, Automatic
from registry.services.people import put_in_groups, set_employment
from registry.services.saving import keep, locked, record
from registry.signals import employment_changed


@transaction.atomic
def end_access(*, person_id: int, by: Actor) -> bool:
    """Take from someone who has left what they could do. Done twice, it is done once.

    They are in no group any more, stand in for nobody, and no session, password or link of
    theirs is good again: whoever comes back is given anew what two people agree to.
    """
    person = locked(Person, "person", pk=person_id)
    if person.employment != Employment.LEFT:
        raise Conflict(f"{person} has not left, so they keep what they may.")
    if person.access_ended_at is not None and not _has_any(person):
        return False
    groups = sorted(person.groups.values_list("name", flat=True))
    if groups:
        put_in_groups(person, set(), by)
    person.given_groups.all().delete()
    absences = _end_absences(person)
    SystemPermission.objects.filter(user=person).delete()
    SignInLink.objects.filter(person=person, used_at__isnull=True).delete()
    # A session is bound to the password: with another one, each of them is over.
    person.set_unusable_password()
    person.is_active, person.access_ended_at = False, clock.now()
    keep(person, by, ["password", "is_active", "access_ended_at"])
    record(
        "access_ended",
        by=by,
        user=person.pid,
        resource=f"person:{person.pid}",
        more={"groups": groups, "absences": absences},
    )
    return True


def _has_any(person: Person) -> bool:
    """Whether something was given to them after all."""
    return person.is_active or person.groups.exists() or person.has_usable_password()


def _end_absences(person: Person) -> list[int]:
    """Whoever was stood in for by them is not any more, and nobody stands in for them."""
    rows = Absence.objects.filter(Q(person=person) | Q(stand_in=person), ended_at__isnull=True)
    ended = list(rows.order_by("pk").values_list("pk", flat=True))
    rows.update(ended_at=clock.now())
    return ended


@transaction.atomic
def settle_leaver(*, person_id: int, today: date, by: Automatic) -> bool:
    """Tell everyone again of someone who is leaving or has left: an event of it was lost.

    Whose last day has passed has left. Whoever listens does nothing twice.
    """
    person = locked(Person, "person", pk=person_id)
    if person.employment == Employment.EMPLOYED:
        return False
    if _is_over(person, today):
        set_employment(person_id=person.pk, employment=Employment.LEFT, by=by)
        return True
    record("leaver_settled", by=by, user=person.pid, resource=f"person:{person.pid}")
    before = Employment(person.employment)
    employment_changed.send(sender=Person, person=person, before=before, by=by)
    return True


def _is_over(person: Person, today: date) -> bool:
    passed = person.last_day is not None and person.last_day < today
    return person.employment == Employment.LEAVING and passed
