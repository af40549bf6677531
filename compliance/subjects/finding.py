"""Whom or what somebody means: a person by id, address, name or a directory's id, or a resource.

What is typed is personal itself, so it comes in a body and never in an address, and stands nowhere
afterwards: from here on a subject is known by their id.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q

from audit.erasure.selectors import entries_of, is_person
from audit.services import index_resource
from registry.models import Person

MOST = 20


@dataclass(frozen=True, slots=True)
class Subject:
    """`id` is how the record knows them; `person` is who it is, where the register still knows."""

    id: str
    person: Person | None = None

    @property
    def title(self) -> str:
        """What to call them on a page."""
        if self.person:
            return str(self.person)
        return "Someone by id" if is_person(self.id) else "A resource"


def find(text: str) -> list[Subject]:
    """Everyone and everything that `text` may mean, people first."""
    wanted = text.strip()
    if not wanted or "\0" in wanted:
        return []
    people = Person.objects.filter(
        Q(pid=wanted)
        | Q(email__iexact=wanted)
        | Q(name__icontains=wanted)
        | Q(identities__external_id=wanted)
    )
    found = [Subject(each.pid, each) for each in people.distinct().order_by("name")[:MOST]]
    known = {each.id for each in found}
    others = (wanted, index_resource(wanted))
    return found + [Subject(each) for each in others if each not in known and _is_there(each)]


def subject_of(subject: str) -> Subject:
    """The subject of this id, with the person where the register knows them."""
    person = Person.objects.filter(pid=subject).first() if is_person(subject) else None
    return Subject(subject, person)


def _is_there(subject: str) -> bool:
    return entries_of(subject).order_by().exists()
