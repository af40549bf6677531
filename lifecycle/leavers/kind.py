"""The kind of case that a leaver's agents have."""

from __future__ import annotations

from django.db.models import Q, QuerySet
from django.urls import reverse

from lifecycle.cases.kinds import Kind
from lifecycle.leavers import permissions, rules, telling
from lifecycle.models import Case, CaseKind
from registry.enums import Employment, GroupName
from registry.models import Person
from registry.permissions import can, in_group
from registry.rules import EDITABLE


def still_true(case: Case) -> bool:
    """Whether its owner leaves still, and it has not ended otherwise."""
    agent = case.agent
    return agent.state in EDITABLE and agent.owner.employment != Employment.EMPLOYED


def waits_for(person: Person) -> QuerySet[Case]:
    """Whoever is asked, or concerned; security where nobody is asked."""
    rows = Case.objects.all()
    near = (
        Q(proposed_owner=person)
        | Q(agent__owner=person)
        | Q(agent__backup_owner=person)
        | Q(agent__owner__manager=person)
    )
    if in_group(person, GroupName.SECURITY):
        near |= Q(proposed_owner__isnull=True)
    return rows.filter(near)


def question(case: Case) -> str:
    """What is asked."""
    return f"Who takes over {case.agent.slug}? {case.agent.owner} {_leaves(case)}"


def _leaves(case: Case) -> str:
    return rules.leaves_word(case.agent.owner)


def meanwhile(case: Case) -> str:
    """What its agent may do until somebody answers."""
    if case.agent.owner.employment == Employment.LEFT:
        return "It is denied everything until somebody accepts it."
    return "It works on meanwhile."


def why_not(case: Case, person: Person) -> str:
    """Why somebody else must answer."""
    if case.proposed_owner_id is None:
        return can(permissions.check_can_name, case, person)
    if case.proposed_owner_id == person.pk:
        return ""
    return f"{case.proposed_owner} is asked. You may name somebody else."


def place(case: Case) -> str:
    """The page of the leaver, with all their agents."""
    return reverse("leaver", args=[case.about.get("person", case.agent.owner.pid)])


LEAVER = Kind(
    kind=CaseKind.LEAVER,
    title="Its owner leaves",
    why=meanwhile,
    still_true=still_true,
    tell=telling.tell,
    notice_days=rules.NOTICE_DAYS,
    waits_for=waits_for,
    question=question,
    why_not=why_not,
    place=place,
)
