"""What waited for someone who has left: it goes to others, and whoever waited is told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q

from authz.enums import HoldState
from authz.models import Hold
from lifecycle.models import ReviewStep
from lifecycle.models.notices import Severity
from lifecycle.models.reviews import ReviewState, StepRole, StepState
from lifecycle.notices import notify
from lifecycle.reviews import selectors as reviews
from registry import services as register
from registry.models import Absence, Agent, Person
from registry.permissions import Actor


@dataclass(frozen=True, slots=True)
class Waited:
    """What waited for a person at the moment at which they left."""

    steps: list[ReviewStep]
    stood_in_for: list[Person]


def lapse(person: Person, by: Actor) -> None:
    """Take their duties and every way in, and have what waited for them go to others."""
    waited = Waited(_steps_of(person), _stood_in_for(person))
    if not register.end_access(person_id=person.pk, by=by):
        return
    for step in waited.steps:
        _hand_on(step, person)
    for absent in waited.stood_in_for:
        event = f"leaver.stand_in:{person.pid}:{absent.pid}"
        _tell(absent, "leaver.stand_in", {"owner": str(person)}, event)
    _tell_of_holds(person)


def _steps_of(person: Person) -> list[ReviewStep]:
    """Open steps that were theirs by name: as owners of a source, or standing in for one."""
    owners = Absence.objects.filter(stand_in=person, ended_at__isnull=True).values("person")
    rows = ReviewStep.objects.filter(
        Q(system__owner=person) | Q(system__owner__in=owners),
        state=StepState.WAITING,
        role=StepRole.SOURCE_OWNER,
        review__state=ReviewState.OPEN,
    )
    return list(rows.select_related("system__owner", "review__agent__owner").order_by("pk"))


def _stood_in_for(person: Person) -> list[Person]:
    rows = Absence.objects.filter(stand_in=person, ended_at__isnull=True).select_related("person")
    return list({row.person_id: row.person for row in rows}.values())


def _hand_on(step: ReviewStep, person: Person) -> None:
    """Have the clock of reviews ask those who sign now, and tell the owner who waits."""
    agent = step.review.agent
    found = ReviewStep.objects.select_related("system__owner").get(pk=step.pk)
    people, _ = reviews.people_for(found.role, found.system, agent)
    ReviewStep.objects.filter(pk=step.pk, state=StepState.WAITING).update(
        told_at=None, reminded_at=None
    )
    said = {
        "agent": agent.slug,
        "owner": str(person),
        "role": step.title,
        "who": " or ".join(map(str, people)) or "Nobody yet",
    }
    _tell(agent.owner, "leaver.duty", said, f"leaver.duty:{step.pk}:{person.pid}")


def _tell_of_holds(person: Person) -> None:
    """Owners of agents whose actions wait for somebody hear who may still decide."""
    waiting: dict[str, set[str]] = defaultdict(set)
    rows = Hold.objects.filter(state=HoldState.OPEN, asked_of__contains=[person.pid])
    for slug, asked in rows.values_list("agent", "asked_of"):
        waiting[slug] |= set(asked) - {person.pid}
    for agent in Agent.objects.filter(slug__in=waiting).select_related("owner").order_by("pk"):
        who = _who_may(waiting[agent.slug])
        said = {"agent": agent.slug, "owner": str(person), "who": who}
        _tell(agent.owner, "leaver.holds", said, f"leaver.holds:{person.pid}:{agent.pk}")


def _who_may(pids: Iterable[str]) -> str:
    people = Person.objects.filter(pid__in=list(pids), is_active=True).order_by("name", "pk")
    names = [str(each) for each in people if each.is_employed]
    return ", ".join(names[:5]) or "nobody"


def _tell(person: Person, code: str, said: dict[str, str], event: str) -> None:
    notify(person=person, severity=Severity.INFO, code=code, context=said, event=event)
