"""Reads about leavers: who they are, what is asked about their agents, and whom."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Exists, Max, Min, OuterRef, Q, QuerySet
from django.db.models.fields.json import KT

from authz.models import Lease
from lifecycle.cases.services import DECOMMISSIONED, END_ORDERED
from lifecycle.decommissioning import reading
from lifecycle.leavers import rules
from lifecycle.models import Case, CaseKind, CaseState
from registry import services as register
from registry.enums import Employment, GroupName
from registry.models import Agent, Person
from registry.permissions import in_group
from registry.rules import EDITABLE, cannot_answer

# What a case came to where its agent was ended for it.
ENDS = ("ended_at_once", DECOMMISSIONED, END_ORDERED)
GONE = (Employment.LEAVING, Employment.LEFT)
RELATED = ("agent__owner__manager", "agent__backup_owner", "proposed_owner", "proposed_by")


def open_cases() -> QuerySet[Case]:
    """Every open case of a leaver's agent."""
    rows = Case.objects.filter(kind=CaseKind.LEAVER, state=CaseState.OPEN)
    return rows.select_related(*RELATED)


def cases_about(person: Person) -> QuerySet[Case]:
    """Every case there was about agents of this person because they left, newest first."""
    rows = Case.objects.filter(kind=CaseKind.LEAVER, about__person=person.pid)
    return rows.select_related(*RELATED, "closed_by").order_by("-opened_at", "agent__slug")


def concerning(person: Person) -> QuerySet[Case]:
    """Cases that a person is asked in, or answers for, or sees as security."""
    rows = Case.objects.all()
    if in_group(person, GroupName.SECURITY):
        return rows
    return rows.filter(
        Q(proposed_owner=person)
        | Q(agent__owner=person)
        | Q(agent__backup_owner=person)
        | Q(agent__owner__manager=person)
    )


def visible_to(person: Person) -> QuerySet[Case]:
    """Cases of agents that a person sees, and those that concern them or are asked of them."""
    agents = Agent.objects.visible_to(person).values("pk")
    mine = concerning(person).values("pk")
    moved = Q(about__managers__contains=[person.pid])
    rows = Case.objects.filter(Q(agent__in=agents) | Q(pk__in=mine) | moved)
    return rows.select_related(*RELATED, "closed_by") if person.may_act else rows.none()


def next_owner(agent: Agent, refused: Iterable[str]) -> Person | None:
    """Whom Muster asks: the backup owner first, then the manager; nobody is asked twice."""
    chain = [agent.backup_owner, agent.owner.manager]
    for person in chain:
        if person is None or person.pid in refused or cannot_answer(person):
            continue
        if not register.why_cannot_own(agent, person):
            return person
    return None


def refused_in(case: Case) -> set[str]:
    """The pids of those who said no, or could not say yes any more."""
    whats = case.events.filter(Q(what__startswith="refused:") | Q(what__startswith="gone:"))
    return {what.split(":")[1] for what in whats.values_list("what", flat=True)}


def concerned_by(case: Case) -> list[Person]:
    """Who is told: who is asked, who leaves, who stands in, and their manager."""
    agent = case.agent
    named = (case.proposed_owner, agent.owner, agent.backup_owner, agent.owner.manager)
    return list({each.pk: each for each in named if each and each.may_act}.values())


def flagged_for(person: Person) -> QuerySet[Person]:
    """Leavers with open cases that this person sees, whose time ends first first."""
    cases = open_cases()
    if not person.reads_everything:
        cases = cases.filter(pk__in=concerning(person).values("pk"))
    return Person.objects.filter(pk__in=cases.values("agent__owner")).order_by("last_day", "name")


def settled_for(person: Person) -> QuerySet[Any, Any]:
    """Leavers of whose agents nothing is asked any more, as far as this person sees it.

    The one that was settled last is first: whose, since when, how many were handed over and ended.
    """
    rows = Case.objects.filter(kind=CaseKind.LEAVER).annotate(whose=KT("about__person"))
    if not person.reads_everything:
        rows = rows.filter(pk__in=concerning(person).values("pk"))
    asked = rows.filter(state=CaseState.OPEN).values("whose")
    ended = Q(state=CaseState.ENDED) | Q(outcome__in=ENDS)
    return (
        rows.exclude(whose__in=asked)
        .order_by()
        .values("whose")
        .annotate(
            opened=Min("opened_at"),
            settled=Max("closed_at"),
            ended=Count("pk", filter=ended),
            dropped=Count("pk", filter=Q(state=CaseState.DROPPED)),
            handed=Count("pk", filter=~ended & Q(state=CaseState.ANSWERED)),
            agents=Count("pk"),
        )
        .order_by("-settled", "whose")
    )


# What an event missed


def unsettled(now: datetime) -> QuerySet[Person]:
    """People who are leaving or have left, and for whom that has not come to its end.

    Whether a last day has passed is seen on their own calendar: `is_due` says so.
    """
    owned = _unasked().filter(owner=OuterRef("pk"))
    leases = Lease.objects.filter(
        agent__owner=OuterRef("pk"), ended_at__isnull=True, expires_at__gt=now
    )
    tomorrow = now.date() + timedelta(days=1)
    return (
        Person.objects.filter(employment__in=GONE)
        .filter(
            Exists(owned)
            | Q(employment=Employment.LEAVING, last_day__lt=tomorrow)
            | (
                Q(employment=Employment.LEFT)
                & (
                    Q(access_ended_at__isnull=True)
                    | Q(is_active=True)
                    | Q(groups__isnull=False)
                    | Exists(leases)
                )
            )
        )
        .distinct()
    )


def is_due(person: Person, now: datetime) -> bool:
    """Whether something was missed for this one, by their own calendar."""
    if not unsettled(now).filter(pk=person.pk).exists():
        return False
    if person.employment == Employment.LEFT or rules.is_over(person, now):
        return True
    return _unasked().filter(owner=person).exists()


def _unasked() -> QuerySet[Agent]:
    """Agents without a case of a leaver, and without an order to end them."""
    asked = Case.objects.filter(agent=OuterRef("pk"), kind=CaseKind.LEAVER, state=CaseState.OPEN)
    rows = Agent.objects.filter(state__in=EDITABLE).exclude(Exists(asked))
    return rows.exclude(pk__in=reading.ordered())


def unoffered() -> QuerySet[Case]:
    """Open cases in which nobody is asked, or somebody who cannot answer any more."""
    nobody = Q(proposed_owner__isnull=True)
    gone = Q(proposed_owner__is_active=False) | ~Q(proposed_owner__employment=Employment.EMPLOYED)
    return open_cases().filter(nobody | gone)
