"""Every write about movers. Who takes an agent over answers as for a leaver's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.urls import reverse

from governance.kernel import clock
from governance.kernel.errors import Invalid, NotFound
from lifecycle.cases import services as cases
from lifecycle.cases.errors import CaseClosed
from lifecycle.cases.rules import Due, due_of, said_due
from lifecycle.models import Case, CaseKind, CaseState, Review
from lifecycle.models.notices import Severity
from lifecycle.models.reviews import ReviewOutcome
from lifecycle.movers import permissions
from lifecycle.notices import notify
from lifecycle.reviews.periodic.services import open_periodic
from registry import services as register
from registry.enums import AgentState, Employment
from registry.models import Agent, Person
from registry.permissions import Actor, Automatic, can
from registry.rules import LIVE
from registry.selectors import pids_to_people, security_people

MOVERS = Automatic("movers")
DAYS = 10
NOTICE_DAYS = (5, 8, 10)
KEPT = "kept"
# What comes of a review of an agent that goes on.
GOES_ON = (ReviewOutcome.KEEP, ReviewOutcome.NARROW)
BECAUSE = "Its owner is in another department."
_OUTCOMES = {
    KEPT: "stays with {owner}",
    "accepted": "belongs to {owner} now",
    "end_ordered": "ends once those who rely on it know",
    "ended_at_once": "is decommissioned",
    "decommissioned": "is decommissioned",
    "due": "is suspended: nobody said whether it stays with {owner}",
}


def ask(person: Person, before: Mapping[str, Any], by: Actor) -> list[Case]:
    """Open a question for each live agent of someone who is in another department."""
    if person.employment != Employment.EMPLOYED:
        return []
    held = Agent.objects.select_for_update(of=("self",), no_key=True).filter(
        owner=person, state__in=LIVE
    )
    about = {
        "person": person.pid,
        "source": by.pid,
        "managers": _managers(person, before),
    }
    due = due_of(person, DAYS, clock.now())
    opened = [_ask(agent, by, due, about) for agent in held.order_by("pk")]
    return [case for case in opened if case is not None]


def _ask(agent: Agent, by: Actor, due: Due, about: Mapping[str, Any]) -> Case | None:
    """Ask its owner and their managers whose it is, and others whether it is still right.

    They are two questions to different people, due on the same day: neither answers the other,
    but for security, who is not asked twice whether its owner answers for it (`receivers`).
    """
    open_periodic(agent_id=agent.pk, by=by, because=BECAUSE, business_days=DAYS)
    return cases.open_case(agent=agent, kind=CaseKind.MOVER, by=by, due=due, about=about)


def _managers(person: Person, before: Mapping[str, Any]) -> list[str]:
    """Their manager now, and the one of before where that changed with it."""
    was = before.get("manager")
    pids = [each.pid for each in (person.manager, was) if isinstance(each, Person)]
    return list(dict.fromkeys(pids))


@transaction.atomic
def keep(*, case_id: int, by: Person, reason: str) -> Case:
    """It stays with its owner, who says why that is right in the new place."""
    case = cases.locked_case(case_id)
    if case.kind != CaseKind.MOVER:
        raise NotFound("There is no such case.")
    if not case.is_open:
        raise CaseClosed()
    permissions.check_can_keep(case, by)
    if not reason.strip():
        sentence = "Say why it stays with its owner."
        raise Invalid(sentence, fields={"reason": [sentence]})
    return cases.close_case(case_id=case.pk, outcome=KEPT, by=by, reason=reason)


def keep_as_reviewed(review: Review) -> Case | None:
    """It stays with its owner, since whoever reviewed it said that they still answer for it.

    Only where everyone who looked says so, one of them may keep it, and it goes on.
    """
    case = review.agent.cases.filter(kind=CaseKind.MOVER, state=CaseState.OPEN).first()
    if case is None or review.outcome not in GOES_ON:
        return None
    answered = [each for each in review.steps.select_related("answered_by") if each.outcome]
    yes = all(each.answers.get("people") for each in answered)
    if not yes or not any(_may_keep(case, each.answered_by) for each in answered):
        return None
    because = f"Its review of {review.opened_at:%Y-%m-%d} says that its owner still answers for it."
    return cases.close_case(case_id=case.pk, outcome=KEPT, by=MOVERS, reason=because)


def _may_keep(case: Case, by: Person | None) -> bool:
    return by is not None and not can(permissions.check_can_keep, case, by)


def suspend(case: Case, now: datetime) -> None:
    """Nobody said so in time: it stops until somebody does."""
    if case.agent.state == AgentState.ACTIVE:
        reason = (
            f"{case.agent.owner} is in another department, and nobody said by "
            f"{case.due_there:%Y-%m-%d %H:%M %Z} whether it stays theirs."
        )
        register.suspend_agent(agent_id=case.agent_id, by=MOVERS, reason=reason)


def still_true(case: Case) -> bool:
    """Whether it is theirs still, and live; a leaver's agents are asked about as such."""
    owner = case.agent.owner
    same = owner.pid == case.about.get("person") and owner.employment == Employment.EMPLOYED
    return same and case.agent.state in LIVE


# What people are told


def tell(case: Case, what: str, now: datetime) -> None:
    """Owner and managers at the beginning and on some days; at the end how it ended."""
    if what == "opened" or what.startswith("day:"):
        _tell_asked(case, what)
    elif case.state != CaseState.DROPPED:
        _tell_end(case)


def _tell_asked(case: Case, what: str) -> None:
    owner = case.agent.owner
    said = {
        "owner": str(owner),
        "agent": case.agent.slug,
        "department": owner.department or "no department",
        "due": said_due(case),
        "case": str(case.pk),
    }
    people = asked_in(case)
    if what == f"day:{DAYS}":
        people |= {each.pk: each for each in security_people()}
    _notify(people, "mover.asked", said, f"case:{case.pk}:{what}")


def _tell_end(case: Case) -> None:
    outcome = _OUTCOMES.get(case.outcome, "needs no answer any more")
    said = {"agent": case.agent.slug, "outcome": outcome.format(owner=case.agent.owner)}
    people = asked_in(case)
    people.pop(case.closed_by_id or 0, None)
    _notify(people, "mover.closed", said, f"case:{case.pk}:closed")


def asked_in(case: Case) -> dict[int, Person]:
    """The owner, the managers of now and before, and who is asked to take it over."""
    named = [*case.about.get("managers", []), str(case.about.get("person", ""))]
    people = (case.agent.owner, case.proposed_owner, *pids_to_people(named).values())
    return {each.pk: each for each in people if each and each.may_act}


def _notify(people: Mapping[int, Person], code: str, said: Mapping[str, str], event: str) -> None:
    for person in people.values():
        notify(person=person, severity=Severity.INFO, code=code, context=said, event=event)


def place(case: Case) -> str:
    """The page on which it is answered."""
    return reverse("case", args=[case.pk])
