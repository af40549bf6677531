"""Who stands in for whom today. A stand-in has the duties of their own groups, never more."""

from __future__ import annotations

from collections.abc import Collection

from governance.kernel import business_days
from governance.kernel.database_clock import database_now
from registry.enums import GroupName
from registry.models import Absence, Person

DUTIES = frozenset({GroupName.SECURITY, GroupName.DPO, GroupName.SOURCE_OWNER})


def duties_of(person: Person) -> frozenset[str]:
    """What a person signs as."""
    return frozenset({str(name) for name in DUTIES} & person.group_names)


def signs_for_source(owner: Person) -> bool:
    """Whether who owns a system may sign for it: in the group too, which two people fill."""
    return owner.may_act and GroupName.SOURCE_OWNER in owner.group_names


def current_absence(person: Person) -> Absence | None:
    """The absence of this person that holds today, on their own calendar."""
    today = business_days.date_in(person.zone, database_now())
    rows = person.absences.filter(first_day__lte=today, last_day__gte=today, ended_at__isnull=True)
    return rows.select_related("stand_in").order_by("-made_at", "-pk").first()


def stand_in_of(person: Person, barred: Collection[int] = ()) -> Person | None:
    """Who signs for this person today as the owner of a source; None where they do so themself."""
    absence = current_absence(person)
    if absence is None or absence.stand_in_id in barred or not absence.stand_in.may_act:
        return None
    shared = duties_of(absence.stand_in)
    return absence.stand_in if GroupName.SOURCE_OWNER in shared else None


def listed_sources_of(person: Person) -> list[str]:
    """The same for lists of what waits: asked once for this instance, and never to decide by."""
    kept: list[str] | None = person.__dict__.get("_listed_sources")
    if kept is None:
        kept = person.__dict__["_listed_sources"] = sources_of(person)
    return kept


def sources_of(person: Person) -> list[str]:
    """The systems that this person signs for today: their own, and of whom they stand in for."""
    names = list(person.owned_systems.values_list("slug", flat=True))
    for absence in Absence.objects.filter(stand_in=person, ended_at__isnull=True).select_related(
        "person", "stand_in"
    ):
        if stand_in_of(absence.person) == person:
            names += absence.person.owned_systems.values_list("slug", flat=True)
    return names
