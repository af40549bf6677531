"""The steps of an end. Whoever gives agents something registers how that ends, in
`AppConfig.ready`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from registry.models import Agent


@dataclass(frozen=True, slots=True)
class Held:
    """One thing that an agent holds. `by_muster` says whether Muster ends all of it."""

    what: str
    where: str
    by_muster: bool
    how: str


@dataclass(frozen=True, slots=True)
class EndingStep:
    """One thing that ends with an agent.

    `do(agent)` ends it and says what came of it as a sentence, without secrets; done again it
    changes nothing. `left(agent)` says what is still there and Muster cannot end by itself, one
    sentence each. `do` runs in a transaction with the row locked; with `outside` in none, since
    another system is waited for. What it raises is tried again. `held(agent)` is what the plan
    lists of it beforehand; the parts of Muster's own steps are in `plan`.
    """

    name: str
    title: str
    order: int
    do: Callable[[Agent], str]
    left: Callable[[Agent], list[str]]
    outside: bool = False
    held: Callable[[Agent], Iterable[Held]] | None = None


_steps: dict[str, EndingStep] = {}


def register(step: EndingStep) -> None:
    """Make a step known."""
    _steps[step.name] = step


def forget(name: str) -> None:
    """Make a step unknown again."""
    _steps.pop(name, None)


def find(name: str) -> EndingStep | None:
    """The step of this name; None where this installation has it no more."""
    return _steps.get(name)


def in_order() -> list[EndingStep]:
    """Every step, the first one first."""
    return sorted(_steps.values(), key=lambda each: (each.order, each.name))


def nothing(agent: Agent) -> list[str]:
    """What is left of a step that ends everything by itself."""
    return []
