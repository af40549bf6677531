"""The steps outside Muster: which there are. Whoever has one registers it in `AppConfig.ready`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from registry.models import Agent


@dataclass(frozen=True, slots=True)
class OutsideStep:
    """One thing that is made in another system for an agent that goes live.

    `wanted(agent)` says whether this agent needs it, in the transaction that activates the row.
    `do(agent, run_id)` makes it and returns what came of it as a sentence, without secrets;
    `undo(agent)` takes it away. Both run outside of any transaction and may run again for what
    is done already: they then change nothing more. `Unavailable` is tried again later, any other
    `GovernanceError` of `do` is final.
    """

    name: str
    title: str
    wanted: Callable[[Agent], bool]
    do: Callable[[Agent, UUID], str]
    undo: Callable[[Agent], None]


_steps: dict[str, OutsideStep] = {}


def register(step: OutsideStep) -> None:
    """Make a step known. They are done in the order of their registration."""
    _steps[step.name] = step


def forget(name: str) -> None:
    """Make a step unknown again."""
    _steps.pop(name, None)


def find(name: str) -> OutsideStep | None:
    """The step of this name; None where this installation has it no more."""
    return _steps.get(name)


def wanted_by(agent: Agent) -> list[OutsideStep]:
    """The steps that this agent needs."""
    return [step for step in _steps.values() if step.wanted(agent)]
