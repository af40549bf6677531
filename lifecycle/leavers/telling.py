"""What people are told of a leaver's agents: one notice a day for each who is concerned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from lifecycle.cases.rules import said_due
from lifecycle.leavers import rules, selectors
from lifecycle.models import Case, CaseState
from lifecycle.models.notices import Severity
from lifecycle.notices import notify
from lifecycle.reviews.selectors import people_of
from registry.enums import GroupName
from registry.models import Person

_OUTCOMES = {
    "accepted": "belongs to {owner} now",
    "ended_at_once": "was ended by {by}",
    "decommissioned": "is decommissioned",
    "end_ordered": "ends once those who rely on it know: {by} ordered it",
    "came_back": "stays as it is: {owner} stays",
}


def tell_opened(person: Person, opened: Sequence[Case], now: datetime) -> None:
    """Whoever is asked, and those whom it concerns besides, of everything that was opened."""
    if not opened:
        return
    event = f"leaver:{person.pid}:opened:{opened[0].pk}"
    asked = {each.proposed_owner_id: each.proposed_owner for each in opened}
    for to in filter(None, asked.values()):
        theirs = [each for each in opened if each.proposed_owner_id == to.pk]
        _tell([to], "leaver.offered", person, theirs, event)
    others = {each.pk: each for case in opened for each in selectors.concerned_by(case)}
    _tell(
        (each for pk, each in others.items() if pk not in asked),
        "leaver.flagged",
        person,
        opened,
        event,
    )
    if unasked := [each for each in opened if each.proposed_owner_id is None]:
        _tell(
            people_of(GroupName.SECURITY, set()),
            "leaver.nobody",
            person,
            unasked,
            f"{event}:nobody",
        )


def tell(case: Case, what: str, now: datetime) -> None:
    """What the case's own clock and its end have to tell."""
    if what.startswith("day:"):
        _tell_day(case, what)
    elif what in {CaseState.ANSWERED, CaseState.ENDED, CaseState.DROPPED}:
        _tell_end(case)


def _tell_day(case: Case, what: str) -> None:
    """Each day once for each person, with all that waits of this leaver."""
    person, last = case.agent.owner, what == f"day:{rules.DAYS}"
    alike = list(selectors.open_cases().filter(agent__owner=person, due_at=case.due_at))
    told = {each.pk: each for each in selectors.concerned_by(case)}
    if last or case.proposed_owner_id is None:
        told |= {each.pk: each for each in people_of(GroupName.SECURITY, set())}
    if last:
        told |= {each.pk: each for each in people_of(GroupName.PLATFORM_ADMIN, set())}
    event = f"leaver:{person.pid}:{case.due_on}:{what}"
    code = "leaver.last_day" if last else "leaver.day"
    day = what.removeprefix("day:")
    _tell(told.values(), code, person, alike, event, page=last, day=day)


def _tell_end(case: Case) -> None:
    """How it ended, for everyone who was asked or told before."""
    agent = case.agent
    by = str(case.closed_by or "Muster")
    outcome = _OUTCOMES.get(case.outcome, "needs no answer any more")
    people = {each.pk: each for each in selectors.concerned_by(case)}
    # By now it may be another's: who left and their manager hear of it as well.
    left = Person.objects.select_related("manager").filter(pid=case.about.get("person")).first()
    near = (left, left.manager if left else None)
    people |= {each.pk: each for each in near if each is not None}
    if case.state == CaseState.ENDED:
        people |= {each.pk: each for each in people_of(GroupName.SECURITY, set())}
    said = {"agent": agent.slug, "outcome": outcome.format(owner=agent.owner, by=by)}
    for person in people.values():
        if case.closed_by_id != person.pk:
            notify(
                person=person,
                severity=Severity.INFO,
                code="leaver.closed",
                context=said,
                event=f"case:{case.pk}:closed",
            )


def tell_offered(case: Case, to: Person) -> None:
    """Whoever is asked anew."""
    many = case.events.filter(what__startswith="offered:").count()
    event = f"case:{case.pk}:offered:{many}"
    _tell([to], f"{case.kind}.offered", case.agent.owner, [case], event)


def tell_refused(case: Case, by: Person) -> None:
    """Those whom it concerns hear of a no, and who is asked now."""
    many = case.events.filter(what__startswith="refused:").count()
    said = {"agent": case.agent.slug, "by": str(by), "to": str(case.proposed_owner or "Nobody")}
    said |= {"due": said_due(case), "pid": case.agent.owner.pid, "case": str(case.pk)}
    for person in selectors.concerned_by(case):
        if person.pk not in {by.pk, case.proposed_owner_id}:
            notify(
                person=person,
                severity=Severity.INFO,
                code=f"{case.kind}.refused",
                context=said,
                event=f"case:{case.pk}:refused:{many}",
            )


def tell_nobody(case: Case) -> None:
    """Security names somebody, where nobody is left to be asked."""
    many = case.events.count()
    event = f"case:{case.pk}:nobody:{many}"
    _tell(people_of(GroupName.SECURITY, set()), "leaver.nobody", case.agent.owner, [case], event)


def _tell(
    people: Iterable[Person],
    code: str,
    leaver: Person,
    cases: Sequence[Case],
    event: str,
    *,
    page: bool = False,
    **more: str,
) -> None:
    said = {
        "owner": str(leaver),
        "leaves": rules.leaves_word(leaver),
        "many": _many(cases),
        "agents": _named(cases),
        "due": said_due(cases[0]),
        "pid": leaver.pid,
        "case": str(cases[0].pk),
        **more,
    }
    for person in people:
        severity = Severity.PAGE if page else Severity.INFO
        notify(person=person, severity=severity, code=code, context=said, event=event)


def _many(cases: Sequence[Case]) -> str:
    return "1 agent" if len(cases) == 1 else f"{len(cases)} agents"


def _named(cases: Sequence[Case]) -> str:
    names = sorted(each.agent.slug for each in cases)
    shown, more = names[:3], len(names) - 3
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
