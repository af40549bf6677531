"""Whom an end is told, and once each."""

from __future__ import annotations

from collections.abc import Iterable

from governance import words
from governance.kernel import business_days
from lifecycle.decommissioning import reading
from lifecycle.models import EndOrder, EndRun
from lifecycle.notices import Severity, notify
from registry.models import Agent, Person
from registry.selectors import answering_for, security_people


def ask_dependents(order: EndOrder) -> None:
    """Those who rely on it, that its end is ordered, and until when they may plan for it."""
    waited = reading.waited_for(order.agent, order.by)
    for person in _each(each.speaks for each in waited):
        day = business_days.date_in(person.zone, order.begins_at)
        said = {"agent": order.agent.slug, "by": str(order.by), "day": words.day(day, year=True)}
        _tell(person, "end.asked", said | {"reason": order.reason}, f"end:{order.pk}:asked")


def tell_withdrawn(order: EndOrder) -> None:
    """Those who were asked, that it does not end."""
    said = {"agent": order.agent.slug, "why": order.why}
    for person in _speakers(order.agent):
        _tell(person, "end.withdrawn", said, f"end:{order.pk}:withdrawn")


def tell_dependents(agent: Agent) -> int:
    """Those who rely on it, that it has ended; how many they are."""
    people = _speakers(agent)
    for person in people:
        _tell(person, "end.told", {"agent": agent.slug}, f"end:{agent.pk}:told")
    return len(people)


def tell_ended(run: EndRun, left: int) -> None:
    """Who answers for it, that its row is closed, and what of it is not."""
    rest = f"It lists {left} that Muster cannot end." if left else "Nothing of it is left."
    for person in answering_for(run.agent):
        said = {"agent": run.agent.slug, "left": rest}
        _tell(person, "end.done", said, f"end:{run.agent_id}:done")


def escalate(run: EndRun, what: str, why: str) -> None:
    """Who answers for it and security, that something outside refuses to end."""
    people = [*answering_for(run.agent), *security_people()]
    for person in _each(people):
        said = {"agent": run.agent.slug, "what": what, "why": why}
        _tell(person, "end.stuck", said, f"end:{run.agent_id}:stuck", Severity.PAGE)


def _speakers(agent: Agent) -> list[Person]:
    return _each(each.speaks for each in reading.dependents_of(agent) if each.speaks.may_act)


def _each(people: Iterable[Person]) -> list[Person]:
    return list({person.pk: person for person in people}.values())


def _tell(
    person: Person,
    code: str,
    said: dict[str, str],
    event: str,
    severity: Severity = Severity.INFO,
) -> None:
    notify(person=person, severity=severity, code=code, context=said, event=event)
