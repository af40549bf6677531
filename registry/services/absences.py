"""Handing one's duty on during an absence."""

from __future__ import annotations

from datetime import date, timedelta

from django.db import transaction

from governance.kernel import business_days
from governance.kernel.database_clock import database_now
from governance.kernel.errors import Invalid
from registry import absences, permissions
from registry.models import Absence, Person
from registry.services.saving import check, locked, plain, record

LONGEST = timedelta(days=366)


@transaction.atomic
def declare_absence(
    *,
    person: Person,
    stand_in: Person,
    first_day: date,
    last_day: date,
    by: Person,
    reason: str = "",
) -> Absence:
    """Name who stands in while `person` is away. They sign what their own groups let them sign."""
    permissions.check_can_declare_absence(person, by)
    today = business_days.date_in(person.zone, database_now())
    if last_day < today:
        raise Invalid("This absence is over.", fields={"last_day": ["This day is over."]})
    if last_day - first_day > LONGEST:
        raise Invalid("An absence is at most a year.", fields={"last_day": ["At most a year."]})
    _check_shares_duty(person, stand_in)
    absence = Absence(
        person=person,
        stand_in=stand_in,
        first_day=first_day,
        last_day=last_day,
        reason=reason,
        made_by=by,
        made_at=database_now(),
    )
    check(absence)
    absence.save()
    _record("absence_declared", absence, by)
    return absence


def _check_shares_duty(person: Person, stand_in: Person) -> None:
    shared = absences.duties_of(person) & absences.duties_of(stand_in)
    if stand_in.may_act and shared:
        return
    duties = ", ".join(sorted(absences.duties_of(person))).replace("_", " ") or "no duty to sign"
    sentence = f"{stand_in} must be in a group of {person} to stand in: {duties}."
    raise Invalid(sentence, fields={"stand_in": [sentence]})


@transaction.atomic
def end_absence(*, absence_id: int, by: Person) -> Absence:
    """Come back early. Done twice, it is done once."""
    absence = locked(Absence, "absence", pk=absence_id)
    permissions.check_can_declare_absence(absence.person, by)
    if absence.ended_at is None:
        absence.ended_at = database_now()
        absence.save(update_fields=["ended_at"])
        _record("absence_ended", absence, by)
    return absence


def _record(did: str, absence: Absence, by: Person) -> None:
    record(
        did,
        by=by,
        user=absence.person.pid,
        resource=f"absence:{absence.pk}",
        more={
            "stand_in": absence.stand_in.pid,
            "first_day": plain(absence.first_day),
            "last_day": plain(absence.last_day),
        },
    )
