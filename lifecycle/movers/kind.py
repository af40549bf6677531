"""The kind of case that a mover's agents have."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from lifecycle.cases.kinds import Kind
from lifecycle.models import Case, CaseKind
from lifecycle.movers import permissions, services
from registry.models import Person
from registry.permissions import can


def waits_for(person: Person) -> QuerySet[Case]:
    """The owner, the managers of now and before, and who is asked to take it over."""
    return Case.objects.filter(
        Q(agent__owner=person)
        | Q(proposed_owner=person)
        | Q(about__managers__contains=[person.pid])
        | Q(agent__owner__manager=person)
    )


def question(case: Case) -> str:
    """What is asked."""
    owner = case.agent.owner
    place = owner.department or "no department"
    return f"Does {case.agent.slug} stay with {owner}, who is in {place} now?"


def why_not(case: Case, person: Person) -> str:
    """Why somebody else must answer."""
    if case.proposed_owner_id == person.pk:
        return ""
    return can(permissions.check_can_keep, case, person)


MOVER = Kind(
    kind=CaseKind.MOVER,
    title="Its owner is in another department",
    still_true=services.still_true,
    tell=services.tell,
    notice_days=services.NOTICE_DAYS,
    at_due=services.suspend,
    on_expiry="It is suspended: every call is denied until somebody says whose it is.",
    waits_for=waits_for,
    question=question,
    why_not=why_not,
    place=services.place,
)
