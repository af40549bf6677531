"""A world in which people have left and a file of people is applied, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from governance.kernel import clock
from lifecycle.models import PeopleImport
from lifecycle.people import importing
from registry import services
from registry.enums import GroupName
from registry.models import Person
from tests.factories.registry import make_person

DUE = 3
Kept = Callable[[], Any]


def people() -> Kept:
    """Three people whose last day is over, and a file by which two join and one moves."""
    admin = make_person(GroupName.PLATFORM_ADMIN)
    gone = [make_person() for _ in range(DUE)]
    over = clock.now().date() - timedelta(days=3)
    for person in gone:
        services.set_employment(person_id=person.pk, employment="leaving", last_day=over, by=admin)
    here = make_person()
    mark = f"w{here.pk}"
    text = (
        f"id,email,name,department,manager\n{mark}-1,{mark}1@example.com,One,,{mark}-2\n"
        f"{mark}-2,{mark}2@example.com,Two,,\n{mark}-3,{here.email},,Legal,\n"
    )
    kept = importing.keep_preview(raw=text.encode(), file_name="hr.csv", source=mark, by=admin)
    importing.begin_import(import_id=kept.pk, by=admin)
    theirs = Person.objects.filter(identities__source=mark)
    left = Person.objects.filter(pk__in=[person.pk for person in gone])
    return lambda: (
        sorted(left.values_list("employment", flat=True)),
        # Their own last day, not the one on which it was seen.
        max(left.values_list("last_day", flat=True)) <= over,
        theirs.count(),
        PeopleImport.objects.get(pk=kept.pk).state,
    )


WORLDS: dict[str, dict[str, Any]] = {
    "people": {
        "make": people,
        "after": (["left"] * DUE, True, DUE, "done"),
        "faults": [
            {"before": "audit.services.record"},
            {"after": "audit.services.record"},
            {"after": "registry.services.set_employment"},
            {"after": "registry.services.sync_person"},
        ],
        "told": ("registry", "people_import_ended", 1),
    },
}
