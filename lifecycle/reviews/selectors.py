"""Reads of reviews: who would sign, who must, and what there is to compare with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Min, Prefetch, Q, QuerySet

from governance import words
from governance.kernel import business_days
from governance.kernel.database_clock import database_now
from lifecycle.models import Review, ReviewStep
from lifecycle.models.reviews import ReviewKind, ReviewState, StepState
from lifecycle.reviews.permissions import check_can_see_queue
from lifecycle.reviews.rules import DPO, OWNER, SECURITY, SOURCE_OWNER, Step
from registry.absences import duties_of, signs_for_source, sources_of, stand_in_of
from registry.enums import Employment, GroupName, Tier
from registry.models import Absence, Agent, Person, System
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
    if owner.pk in barred or not signs_for_source(owner):
        return people_of(GroupName.SECURITY, barred), (
            f"{owner} owns {slug}, but answers for this agent or is not in the group of source "
            "owners, so a second person in security signs for it."
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
    return people[0].holidays if len(people) == 1 else str(settings.MUSTER_CALENDAR)


def zone_of(people: Sequence[Person]) -> str:
    """The zone in which a day ends: a single person's own, else the installation's."""
    return people[0].zone if len(people) == 1 else str(settings.MUSTER_ZONE)


def due_at(start: datetime, days: int, people: Sequence[Person]) -> datetime:
    """When an answer that these people were asked for at `start` is due."""
    return business_days.due(start, days, calendar=calendar_of(people), zone=zone_of(people))


def what_of(review: Review) -> str:
    """What is asked, as a clause."""
    if review.due_on is not None:
        return f"{review.agent.slug} is looked at again, due on {words.day(review.due_on)}"
    if review.change is None:
        return f"{review.agent.slug} asks to go live"
    return review.change.summary.rstrip(".")


def said_due(step: ReviewStep, people: Sequence[Person]) -> str:
    """The due date in the zone of who signs, as a notice says it."""
    zone = ZoneInfo(zone_of(people))
    return f"{step.due.astimezone(zone):%a %d %b %Y, %H:%M %Z}"


def visible(person: Person) -> QuerySet[Review]:
    """The reviews that this person sees, with everything that a list shows."""
    steps = ReviewStep.objects.select_related("system__owner", "answered_by", "stands_in_for")
    return (
        Review.objects.visible_to(person)
        .select_related("agent__owner", "agent__backup_owner", "change__proposed_by", "opened_by")
        .prefetch_related(Prefetch("steps", steps))
    )


def queue(
    person: Person, *, state: str = "", kind: str = "", agent: str = "", queue: str = ""
) -> QuerySet[Review]:
    """Those that are wanted, soonest due first."""
    waiting = Q(steps__state=StepState.WAITING)
    rows = visible(person).annotate(due=Min("steps__due", filter=waiting))
    for name, value in (("state", state), ("kind", kind), ("agent__slug", agent)):
        rows = rows.filter(**{name: value}) if value else rows
    if queue:
        rows = rows.filter(state=ReviewState.OPEN)
    if queue == "overdue":
        rows = rows.filter(due__lt=database_now())
    if queue == "mine":
        rows = rows.filter(pk__in=_theirs(person).values("review"))
    return rows.order_by("due", "-opened_at", "-pk")


def _theirs(person: Person) -> QuerySet[ReviewStep]:
    """Waiting steps that may be this person's: by group, or as the owner of a source."""
    roles = {SECURITY, DPO} & person.group_names
    sources = Q(role=SOURCE_OWNER, system__slug__in=sources_of(person))
    steps = ReviewStep.objects.filter(state=StepState.WAITING)
    own = Q(review__agent__owner=person) | Q(review__agent__backup_owner=person)
    return steps.filter(Q(role__in=roles) | sources).exclude(own)


@dataclass(frozen=True, slots=True)
class TimeToLive:
    """How long agents of a tier took from being sent to being live: the median, in hours."""

    tier: str
    hours: float | None
    live: int

    @property
    def said(self) -> str:
        """The same in words."""
        if self.hours is None:
            return "none went live"
        return f"{self.hours / 24:.1f} days" if self.hours >= 48 else f"{self.hours:.1f} h"


@dataclass(frozen=True, slots=True)
class Metrics:
    """How reviews went lately."""

    days: int
    open: int
    overdue: int
    decided: int
    approved: int
    time_to_live: tuple[TimeToLive, ...]

    @property
    def rate(self) -> str:
        """The share that was approved, in words."""
        if not self.decided:
            return "none decided"
        return f"{round(100 * self.approved / self.decided)} % of {self.decided}"


def metrics_for(person: Person) -> Metrics:
    """The figures of the admin's front page, for those who see everyone's reviews."""
    check_can_see_queue(person)
    return metrics(database_now())


def metrics(now: datetime, days: int = 30) -> Metrics:
    """Time to live by tier, what is overdue, and the approval rate."""
    since = now - timedelta(days=days)
    # What was loaded at the start, or made from a template, was asked of nobody.
    asked = ReviewStep.objects.values("review")
    closed = Review.objects.filter(closed_at__gte=since, pk__in=asked)
    ended = Counter(closed.values_list("state", flat=True))
    waiting = ReviewStep.objects.filter(state=StepState.WAITING, review__state=ReviewState.OPEN)
    refused = ended[ReviewState.CHANGES] + ended[ReviewState.REJECTED]
    return Metrics(
        days=days,
        open=Review.objects.filter(state=ReviewState.OPEN).count(),
        overdue=waiting.filter(due__lt=now).values("review").distinct().count(),
        decided=ended[ReviewState.APPROVED] + refused,
        approved=ended[ReviewState.APPROVED],
        time_to_live=tuple(_time_to_live(closed, tier) for tier in reversed(Tier.values)),
    )


def _time_to_live(closed: QuerySet[Review], tier: str) -> TimeToLive:
    rows = closed.filter(kind=ReviewKind.LIVE, live_at__isnull=False, tier=tier)
    hours = [
        (live - opened).total_seconds() / 3600
        for opened, live in rows.values_list("opened_at", "live_at")
        if live
    ]
    return TimeToLive(tier, median(hours) if hours else None, len(hours))


def absences_for(person: Person) -> QuerySet[Absence]:
    """Absences that concern this person; all of them for those who see everything."""
    rows = Absence.objects.select_related("person", "stand_in")
    if not person.may_act:
        return rows.none()
    return rows if person.reads_everything else rows.filter(Q(person=person) | Q(stand_in=person))


def may_stand_in(person: Person) -> QuerySet[Person]:
    """Who shares a duty with this person."""
    shared = Q(groups__name__in=duties_of(person))
    people = Person.objects.filter(shared, is_active=True).exclude(employment=Employment.LEFT)
    return people.exclude(pk=person.pk).distinct().order_by("name", "pk")
