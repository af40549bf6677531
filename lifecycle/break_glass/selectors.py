"""What is read about emergency access."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import QuerySet

from audit import leaf
from audit.enums import Kind
from audit.models import Record
from governance.kernel.database_clock import database_now
from lifecycle.models import BreakGlass, SealedCode
from registry.enums import GroupName
from registry.models import Person
from registry.permissions import OPERATORS
from registry.selectors import pids_to_people

MOST_SHOWN = 1000
# What is written when the last request began just before the end.
AFTER = timedelta(minutes=5)


_TITLES = {
    "break_glass_opened": "Emergency access was opened",
    "break_glass_ended": "It was given back",
}


@dataclass(frozen=True, slots=True)
class Deed:
    """One entry of the record that was made under emergency access."""

    record: Record
    did: str
    place: str

    @property
    def title(self) -> str:
        """What was done, in words."""
        return _TITLES.get(self.did, self.did.replace("_", " ").capitalize())

    @property
    def asked(self) -> bool:
        """Whether it is a request: what was looked at, or sent."""
        return self.did == "break_glass_used"

    @property
    def told(self) -> bool:
        """Whether it is somebody who was told."""
        return self.did == "notice_made"

    @property
    def changed(self) -> bool:
        """Whether it changed something besides the emergency access itself."""
        return not (self.asked or self.told or self.did in _TITLES)


def unreviewed() -> BreakGlass | None:
    """The one that nobody has reviewed yet."""
    return BreakGlass.objects.select_related("person", "second").filter(slot=1).first()


def running(used_id: UUID | str, person: Person) -> BreakGlass | None:
    """This person's, while it lasts by the database's time."""
    used = (
        BreakGlass.objects.select_related("person", "second")
        .filter(pk=used_id, person=person)
        .first()
    )
    return used if used is not None and used.is_on(database_now()) else None


def all_uses() -> QuerySet[BreakGlass]:
    return BreakGlass.objects.select_related("person", "second", "closed_by")


def codes_left() -> int:
    return SealedCode.objects.filter(used_at__isnull=True).count()


def who_must_know() -> QuerySet[Person]:
    """Security, platform admins, the DPO, and auditors, who may review it."""
    groups = (*OPERATORS, GroupName.DPO, GroupName.AUDITOR)
    people = Person.objects.filter(groups__name__in=groups, is_active=True)
    return people.exclude(employment="left").distinct().order_by("pk")


def deeds(used: BreakGlass) -> list[Deed]:
    """Everything that was recorded under it, oldest first."""
    return [_deed(record, used) for record in _records(used)][:MOST_SHOWN]


def told_in(found: list[Deed]) -> list[tuple[Person | None, Record]]:
    """Who was told of something meanwhile, each once, with the entry that says so."""
    records = {deed.record.user: deed.record for deed in reversed(found) if deed.told}
    people = pids_to_people(records)
    return [(people.get(pid), record) for pid, record in reversed(records.items())]


def _records(used: BreakGlass) -> list[Record]:
    until: datetime = min(filter(None, (used.ended_at, used.expires_at))) + AFTER
    nearby = Record.objects.filter(at__gte=used.opened_at, at__lte=until)
    found = nearby.exclude(kind=Kind.DECISION).order_by("at", "id").iterator(chunk_size=500)
    tag = f'"break_glass":"{used.pk}"'.encode()
    return [each for each in found if tag in bytes(each.body)]


def _deed(record: Record, used: BreakGlass) -> Deed:
    asked = leaf.parse_body(bytes(record.body)).get("asked", {})
    place = f"{asked.get('method', '')} {asked.get('place', '')}".strip()
    return Deed(record, str(asked.get("did", record.kind)), place)
