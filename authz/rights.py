"""What a person may do by their roles, and what of it an agent could do for them."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet

from registry.models import Agent, Person, Tool


@dataclass(frozen=True, slots=True)
class Offer:
    """What an agent may be let do for a person, and what of the person's rights it never gets.

    `may` are the tools that both have, `withheld` those that only the person has; by name.
    """

    may: tuple[Tool, ...]
    withheld: tuple[Tool, ...]

    @property
    def names(self) -> frozenset[str]:
        """The names of what may be let."""
        return frozenset(tool.name for tool in self.may)

    @property
    def is_everything(self) -> bool:
        """Whether all of it together is all that the person may do."""
        return not self.withheld


def tools_of(person: Person) -> QuerySet[Tool]:
    """The tools that the person's roles grant, in order of their names."""
    granted = Tool.objects.filter(roles__people=person).select_related("system")
    return granted.distinct().order_by("name")


def offer_of(person: Person, agent: Agent) -> Offer:
    """What of the person's rights stands in the agent's row, with a role of the agent for it."""
    theirs = list(tools_of(person))
    its = set(
        Tool.objects.filter(roles__agents=agent, allowlisted__agent=agent).values_list(
            "name", flat=True
        )
    )
    return Offer(
        may=tuple(tool for tool in theirs if tool.name in its),
        withheld=tuple(tool for tool in theirs if tool.name not in its),
    )
