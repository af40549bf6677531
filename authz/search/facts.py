"""What a search knows before it looks at a candidate, as new as the moment it asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from authz import snapshot, timekeeper
from authz.asks import Ask, Caller
from authz.cleaning import Clean, clean
from authz.engine.types import Document
from authz.engine.world import World, world_of
from authz.resolve import OWN_SOURCE, Resolved, resolve
from authz.search.questions import PLACEHOLDER, Question
from authz.snapshot import WORLD, Held
from registry.models import Slice


@dataclass(frozen=True)
class Known:
    """A search, its caller, and the facts on which every candidate is judged.

    `clean` and `resolved` are of the question with a placeholder for the candidate.
    """

    question: Question
    caller: Caller
    now: datetime
    clean: Clean
    resolved: Resolved

    @property
    def ask(self) -> Ask:
        return self.clean.ask

    @cached_property
    def world(self) -> World:
        return world_of(self.resolved.snapshot.world)

    @property
    def agent(self) -> Document | None:
        """The acting agent, where the question names one that is registered."""
        part = self.resolved.snapshot.agent
        return part.document if part else None

    @property
    def person(self) -> Document | None:
        """The person who acts alone, where the question names one."""
        part = self.resolved.snapshot.person
        return part.document if part else None

    @property
    def source(self) -> str:
        """The directory by whose ids the caller names people."""
        part = self.resolved.snapshot.gateway
        return str(part.document["source"] if part else "") or OWN_SOURCE

    def secret_of(self, tool: str) -> tuple[str, ...]:
        """The parameters that this tool declares secret; every tool's where it is not known."""
        return secret_parameters(self.world.tools, tool)


def learn(question: Question, caller: Caller) -> Known:
    """The facts of a search, none of them older than this call."""
    ask = question.ask(PLACEHOLDER)
    world = fresh([WORLD, caller.key])[WORLD].slice
    tools = world.document["tools"] if world else {}
    cleaned = clean(ask, secret_parameters(tools, ask.tool))
    resolved = resolve(cleaned.ask, caller, secret_path=cleaned.secret_path)
    if drop_stale(resolved.used):
        resolved = resolve(cleaned.ask, caller, secret_path=cleaned.secret_path)
    return Known(question, caller, timekeeper.now(), cleaned, resolved)


def fresh(keys: Iterable[str]) -> dict[str, Held]:
    """The slices under `keys`, none of them older than this call."""
    held = snapshot.load(keys)
    stale = drop_stale(held)
    return held | snapshot.load(stale) if stale else held


def drop_stale(held: Mapping[str, Held]) -> list[str]:
    """Forget those whose facts have changed since they were read, and name them."""
    known = dict(Slice.objects.filter(key__in=list(held)).values_list("key", "revision"))
    stale = [key for key, one in held.items() if one.revision != known.get(key, 0)]
    snapshot.drop(stale)
    return stale


def secret_parameters(tools: Mapping[str, Any], tool: str) -> tuple[str, ...]:
    """What `tool` declares secret, and what any tool does where no such tool is registered."""
    asked = [tools[tool]] if tool in tools else tools.values()
    return tuple({name for each in asked for name in each.get("secret") or ()})
