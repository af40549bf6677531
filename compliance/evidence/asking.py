"""Asking the queries of a framework. Each query runs once for a concern, whoever asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from django.core.exceptions import ImproperlyConfigured

from compliance.catalogue import Asked, Control, Framework, frameworks
from compliance.enums import Concern
from compliance.evidence import (
    of_acting,
    of_agents,
    of_changes,
    of_data,
    of_decisions,
    of_lifecycle,
)
from compliance.evidence.look import Look
from compliance.evidence.status import Answered, Found, status_of_control, status_of_query
from compliance.evidence.types import Evidence, queries

# Their queries are registered when they are read.
MODULES = (of_acting, of_agents, of_changes, of_data, of_decisions, of_lifecycle)

Step = Callable[[str, int, int], None]


class Asking:
    """The answers of one look, each asked once."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._looks: dict[Concern, Look] = {}
        self._answers: dict[tuple[Concern, str], Evidence] = {}

    def look(self, concern: Concern) -> Look:
        """The look at the agents that a framework is about."""
        if concern not in self._looks:
            self._looks[concern] = self._look.about(concern)
        return self._looks[concern]

    def answer(self, concern: Concern, asked: Asked) -> Evidence:
        """What one query answers, about the agents of this concern."""
        key = (concern, asked.key)
        if key not in self._answers:
            self._answers[key] = queries()[asked.id].asks(self.look(concern), **asked.given)
        return self._answers[key]

    def control(self, framework: Framework, control: Control) -> Found:
        """How one line stands."""
        answers = [self._answered(framework.concern, asked) for asked in control.queries]
        return status_of_control(
            framework,
            control,
            answers,
            registered=self._look.registered,
            concerned=self.look(framework.concern).bound(control.binds),
            undeclared=self._look.undeclared,
            live=self._look.every_live,
        )

    def framework(self, framework: Framework, step: Step | None = None) -> list[Found]:
        """How every line of a framework stands; `step` hears of each before it is asked."""
        found = []
        for number, control in enumerate(framework.controls):
            if step is not None:
                step(f"{control.clause}: {control.title}", number, len(framework.controls))
            found.append(self.control(framework, control))
        return found

    def _answered(self, concern: Concern, asked: Asked) -> Answered:
        evidence = self.answer(concern, asked)
        return Answered(asked, queries()[asked.id], evidence, status_of_query(asked, evidence))


def ask(look: Look, query_ids: Iterable[str]) -> dict[str, Evidence]:
    """The answers of these queries about every agent of the look."""
    return {each: queries()[each].asks(look) for each in query_ids}


def check_frameworks(tables: Iterable[str]) -> None:
    """Every query and annex that a framework names is there. Raises `ImproperlyConfigured`."""
    annexes = set(tables)
    for query in queries().values():
        if query.annex and query.annex not in annexes:
            raise ImproperlyConfigured(f"{query.id}: there is no annex {query.annex}.")
    for framework in frameworks():
        named = {*framework.annexes, *(one for each in framework.controls for one in each.annexes)}
        if missing := sorted(named - annexes):
            raise ImproperlyConfigured(f"{framework.id}: there is no annex {missing[0]}.")
        for control in framework.controls:
            for asked in control.queries:
                _check_asked(f"{framework.id}, {control.id}", asked)


def _check_asked(place: str, asked: Asked) -> None:
    query = queries().get(asked.id)
    if query is None:
        raise ImproperlyConfigured(f"{place}: there is no query {asked.id}.")
    if unknown := sorted(set(asked.given) - query.takes):
        raise ImproperlyConfigured(f"{place}: {asked.id} takes no {unknown[0]}.")
