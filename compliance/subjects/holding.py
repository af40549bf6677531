"""What is held of a subject: categories, counts, where, since when and until when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.db.models import ForeignObjectRel

from audit.erasure import selectors as kept
from audit.erasure.selectors import Named, Sealed
from audit.models import LegalHold
from compliance.models import SubjectRequest
from compliance.retention import periods
from compliance.subjects.finding import Subject
from registry.models import Person, Tool

FACTS = (
    *("name", "email", "chat_handle", "department", "employment", "last_day", "zone", "calendar"),
    *("attributes", "date_joined", "last_login"),
)


@dataclass(frozen=True, slots=True)
class Kept:
    """Sealed payloads with what the register says of where they come from."""

    sealed: Sealed
    system: str
    categories: tuple[str, ...]

    @property
    def goes_from(self) -> datetime:
        """When the oldest of them is erased by its age."""
        return self.sealed.first + timedelta(days=periods.payload_days(self.sealed.tier))

    @property
    def goes_until(self) -> datetime:
        """When the last of them is."""
        return self.sealed.last + timedelta(days=periods.payload_days(self.sealed.tier))


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of the register and beside it that name a person."""

    what: str
    many: int


@dataclass
class Holding:
    """Everything that is held of one subject, each part read where it is asked for."""

    subject: Subject

    @cached_property
    def sealed(self) -> list[Kept]:
        """What lies encrypted in the record, by tier, agent and tool."""
        found = kept.sealed_of(self.subject.id)
        tools = Tool.objects.filter(name__in={each.tool for each in found})
        where = {each.name: each.system for each in tools.select_related("system")}
        return [_kept(each, where.get(each.tool)) for each in found]

    @cached_property
    def named(self) -> list[Named]:
        """Entries of the record that name them, by kind."""
        return kept.named_in(self.subject.id)

    @cached_property
    def holds(self) -> list[LegalHold]:
        """Standing legal holds that keep something of them."""
        return kept.holds_over(self.subject.id)

    @cached_property
    def facts(self) -> list[tuple[str, str]]:
        """What the register says of a person."""
        person = self.subject.person
        if person is None:
            return []
        said = [(_label(name), _said(getattr(person, name))) for name in FACTS]
        identities = ", ".join(str(each) for each in person.identities.order_by("source"))
        groups = ", ".join(sorted(person.group_names))
        more = [("known elsewhere as", identities), ("groups", groups)]
        return [(name, value) for name, value in [*said, *more] if value]

    @cached_property
    def rows(self) -> list[Rows]:
        """Rows that name them, by what they are."""
        return sorted(_rows_of(self.subject.person), key=lambda each: each.what)

    @cached_property
    def requests(self) -> list[SubjectRequest]:
        """What they have asked for, the newest first."""
        return list(SubjectRequest.objects.filter(subject=self.subject.id))

    @property
    def entries(self) -> int:
        return sum(each.sealed.entries for each in self.sealed)

    @property
    def readable(self) -> int:
        return sum(each.sealed.readable for each in self.sealed)

    @property
    def held(self) -> int:
        return sum(each.sealed.held for each in self.sealed)

    @property
    def erased(self) -> int:
        return self.entries - self.readable

    @property
    def named_entries(self) -> int:
        return sum(each.entries for each in self.named)

    @property
    def since(self) -> datetime | None:
        """Since when anything is held."""
        return min((each.first for each in self.named), default=None)


def _kept(sealed: Sealed, system: Any) -> Kept:
    categories = tuple(system.categories) if system else ()
    return Kept(sealed, system.slug if system else "", categories)


def _label(name: str) -> str:
    return name.replace("_", " ")


def _said(value: Any) -> str:
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, dict):
        return ", ".join(f"{key}: {each}" for key, each in sorted(value.items()))
    return "" if value is None else str(value)


def _rows_of(person: Person | None) -> Iterator[Rows]:
    """One count for each way in which a row may name a person."""
    if person is None:
        return
    counted: dict[str, int] = {}
    for relation in Person._meta.get_fields(include_hidden=True):
        if not isinstance(relation, ForeignObjectRel):
            continue
        rows = relation.related_model._base_manager.filter(**{relation.field.name: person.pk})
        if many := rows.count():
            what = str(relation.related_model._meta.verbose_name_plural)
            counted[what] = counted.get(what, 0) + many
    yield from (Rows(what, many) for what, many in counted.items())
