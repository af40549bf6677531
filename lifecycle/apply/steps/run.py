"""What the steps of one run share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from authz.engine.world import World
from authz.models import Role
from authz.services import PolicyDraft
from lifecycle.apply.plan import Difference, Step, Verb
from lifecycle.apply.secret_file import SecretFile
from registry.models import Agent, Gateway, Person, ProposedChange, System, Tool

Json = Any


class Skipped(Exception):
    """What this step needs was itself refused, which has been said."""


@dataclass(slots=True)
class Run:
    """One application of an inventory: who does it, whether alone, and what was refused."""

    by: Person
    alone: bool
    secrets: SecretFile | None = None
    failed: set[tuple[str, str]] = field(default_factory=set)
    drafts: list[tuple[Step, PolicyDraft]] = field(default_factory=list)
    world: World | None = None

    def person(self, email: str) -> Person:
        self._need("people", email)
        return Person.objects.get(email__iexact=email)

    def maybe_person(self, email: str | None) -> Person | None:
        return self.person(email) if email else None

    def system(self, slug: str) -> System:
        self._need("systems", slug)
        return System.objects.get(slug=slug)

    def maybe_system(self, slug: str | None) -> System | None:
        return self.system(slug) if slug else None

    def tool(self, name: str) -> Tool:
        self._need("tools", name)
        return Tool.objects.select_related("system").get(name=name)

    def agent(self, slug: str) -> Agent:
        self._need("agents", slug)
        return Agent.objects.select_related("owner", "backup_owner").get(slug=slug)

    def gateway(self, slug: str) -> Gateway:
        self._need("gateways", slug)
        return Gateway.objects.get(slug=slug)

    def role(self, slug: str) -> Role:
        self._need("roles", slug)
        return Role.objects.get(slug=slug)

    def _need(self, kind: str, key: str) -> None:
        if (kind, key) in self.failed:
            raise Skipped


def wait(step: Step, proposed: Iterable[ProposedChange]) -> None:
    """Note on the step what now waits for a second person."""
    step.waits += [f"a second person must agree: {change.summary}" for change in proposed]


def set_difference(step: Step, name: str, before: Json, after: Json) -> None:
    """Say of one field what really became of it; nothing where it stayed as it was."""
    others = tuple(one for one in step.differences if one.field != name)
    made = () if before == after else (Difference(name, before, after),)
    step.differences = others + made
    if step.verb in {Verb.KEEP, Verb.CHANGE}:
        step.verb = Verb.CHANGE if step.differences else Verb.KEEP
