"""Reads of reviews: who would sign, who must, and what there is to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.conf import settings

from governance.kernel import business_days
from lifecycle.models import Review, ReviewStep
from lifecycle.reviews.rules import DPO, OWNER, SECURITY, SOURCE_OWNER, Step
from registry.absences import stand_in_of
from registry.enums import GroupName
from registry.models import Agent, Person, System
from registry.reach import Reach

GROUPS = {SECURITY: GroupName.SECURITY, DPO: GroupName.DPO}


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One signature as it would be asked for; without a date it is given at once."""

    role: str
    people: tuple[Person, ...]
    due: date | None
    why: tuple[str, ...]
    system: str = ""
    note: str = ""


def planned(reach: Reach, owner: Person, today: date) -> list[PlannedStep]:
    """Who would sign a row of `owner` that reaches this, and by when if it were sent today."""
    return [each for step in reach.steps for each in _planned(step, owner, today)]


def _planned(step: Step, owner: Person, today: date) -> list[PlannedStep]:
    if step.role == OWNER:
        return [PlannedStep(OWNER, (owner,), None, step.why)]
    barred = {owner.pk}
    if step.role != SOURCE_OWNER:
        people = tuple(people_of(GROUPS[step.role], barred))
        note = "" if people else "Nobody yet: ask a platform admin."
        return [PlannedStep(step.role, people, _due(today, step.days, people), step.why, "", note)]
    found = {each.slug: each for each in systems_of(step.systems)}
    return [_of_source(found.get(slug), slug, step, barred, today) for slug in step.systems]


def _of_source(
    system: System | None, slug: str, step: Step, barred: set[int], today: date
) -> PlannedStep:
    people, note = source_people(system, barred)
    due = _due(today, step.days, people)
    return PlannedStep(SOURCE_OWNER, tuple(people), due, step.why, slug, note)


def systems_of(slugs: Sequence[str]) -> list[System]:
    """Systems with their owners."""
    return list(System.objects.filter(slug__in=slugs).select_related("owner"))


def source_people(system: System | None, barred: set[int]) -> tuple[list[Person], str]:
    """Who says yes for a source, and why it is someone else than its owner, if it is."""
    owner = system.owner if system else None
    slug = system.slug if system else "it"
    if owner is None:
        return people_of(GroupName.SECURITY, barred), (
            f"{slug} has no owner, so a second person in security signs for it."
        )
    if owner.pk in barred or not owner.may_act:
        return people_of(GroupName.SECURITY, barred), (
            f"{owner} owns {slug} and answers for this agent or has left, "
            "so a second person in security signs for it."
        )
    if deputy := stand_in_of(owner, barred):
        return [owner, deputy], f"{owner} is away; {deputy} stands in."
    return [owner], ""


def people_for(role: str, system: System | None, agent: Agent) -> tuple[list[Person], str]:
    """Who may answer a step of an agent, and a sentence where that is someone unusual."""
    if role == OWNER:
        return [agent.owner], ""
    barred = {agent.owner_id, *([agent.backup_owner_id] if agent.backup_owner_id else [])}
    if role == SOURCE_OWNER:
        return source_people(system, barred)
    people = people_of(GROUPS[role], barred)
    return people, "" if people else "Nobody yet: ask a platform admin."


def people_of(group: str, barred: set[int]) -> list[Person]:
    """Who is in a group and may act, but those who answer for the agent."""
    people = Person.objects.filter(groups__name=group, is_active=True).exclude(pk__in=barred)
    return [each for each in people.order_by("name", "pk") if each.is_employed]


def _due(today: date, days: int, people: Sequence[Person]) -> date:
    return business_days.add_business_days(today, days, calendar_of(people))


def calendar_of(people: Sequence[Person]) -> str:
    """Whose holidays count: a single person's own, else the installation's."""
    own = people[0].calendar if len(people) == 1 else ""
    return own or str(settings.MUSTER_CALENDAR)


def zone_of(people: Sequence[Person]) -> str:
    """The zone in which a day ends: a single person's own, else the installation's."""
    return people[0].zone if len(people) == 1 else str(settings.MUSTER_ZONE)


def due_at(start: datetime, days: int, people: Sequence[Person]) -> datetime:
    """When an answer that these people were asked for at `start` is due."""
    return business_days.due(start, days, calendar=calendar_of(people), zone=zone_of(people))


def what_of(review: Review) -> str:
    """What is asked, as a clause."""
    if review.change is None:
        return f"{review.agent.slug} asks to go live"
    return review.change.summary.rstrip(".")


def said_due(step: ReviewStep, people: Sequence[Person]) -> str:
    """The due date in the zone of who signs, as a notice says it."""
    zone = ZoneInfo(zone_of(people))
    return f"{step.due.astimezone(zone):%a %d %b %Y, %H:%M %Z}"
