"""What can be due. Whoever has something with a date registers it in `AppConfig.ready`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from registry.models import Agent, Person


@dataclass(frozen=True, slots=True)
class Look:
    """Who looks, at which agents, and how far ahead."""

    person: Person
    agents: QuerySet[Agent]
    until: datetime
    now: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """One thing that is due. `what` ends the sentence "is due: ".

    `then` says what follows when nobody acts. `agent` is a slug; what is about no agent names the
    person of whom it is asked.
    """

    kind: str
    what: str
    at: datetime
    place: str
    agent: str = ""
    person: Person | None = None
    then: str = ""


@dataclass(frozen=True, slots=True)
class DueKind:
    """One kind of them. `find` asks a fixed number of queries, one as a rule."""

    name: str
    title: str
    find: Callable[[Look], Iterable[Due]]


_kinds: dict[str, DueKind] = {}


def register(kind: DueKind) -> None:
    """Make a kind known."""
    _kinds[kind.name] = kind


def registered() -> list[DueKind]:
    """Every kind, by name."""
    return [_kinds[name] for name in sorted(_kinds)]
