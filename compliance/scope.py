"""Whose agents evidence is about: the whole company, a department, one agent."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet

from compliance.errors import BadScope
from registry.models import Agent, Person

ALL = "company"


@dataclass(frozen=True, slots=True)
class Scope:
    """`kind` is company, department or agent; `name` says which."""

    kind: str = ALL
    name: str = ""

    @property
    def is_all(self) -> bool:
        return self.kind == ALL

    @property
    def key(self) -> str:
        """As it stands in an address."""
        return self.kind if self.is_all else f"{self.kind}:{self.name}"

    @property
    def title(self) -> str:
        """As it stands in a sentence."""
        if self.is_all:
            return "the whole company"
        return (
            f"{self.name} and nothing else" if self.kind == "agent" else f"department {self.name}"
        )

    def narrow(self, agents: QuerySet[Agent]) -> QuerySet[Agent]:
        """Those of these agents that it is about."""
        if self.kind == "department":
            return agents.filter(owner__department=self.name)
        return agents.filter(slug=self.name) if self.kind == "agent" else agents


COMPANY = Scope()


def read(text: str) -> Scope:
    """A scope from an address; there must be an agent in it. Raises `BadScope`."""
    kind, _, name = text.partition(":")
    if text in ("", ALL):
        return COMPANY
    if kind not in ("department", "agent") or "\0" in name:
        raise BadScope()
    found = Scope(kind, name)
    if not found.narrow(Agent.objects.all()).exists():
        raise BadScope()
    return found


def offered() -> list[Scope]:
    """What a form offers: the whole company, and each department with an agent."""
    owners = Agent.objects.order_by().values("owner")
    people = Person.objects.filter(pk__in=owners).exclude(department="")
    names = people.order_by("department").values_list("department", flat=True).distinct()
    return [COMPANY, *(Scope("department", name) for name in names)]
