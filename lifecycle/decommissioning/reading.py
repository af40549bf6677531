"""Reads about what an agent holds, who relies on it, and what of it is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from authz.models import Lease
from lifecycle import claims
from lifecycle.decommissioning import ending
from lifecycle.models import EndAcknowledgement, EndOrder, EndRun, Review
from lifecycle.models.decommissioning import EndStepState, OrderState
from lifecycle.models.reviews import ReviewState
from lifecycle.reviews import services as reviews
from registry.enums import AgentState
from registry.identity import providers
from registry.models import Agent, AllowlistEntry, ExternalClient, Person, Reliance, Tool
from registry.models.credentials import MAY_BE_LIVE
from registry.models.external_clients import ExternalClientState
from registry.permissions import Actor

ENDED = frozenset({AgentState.DECOMMISSIONING, AgentState.DECOMMISSIONED})


@dataclass(frozen=True, slots=True)
class Dependent:
    """Who relies on an agent, who speaks for them, and whether they know."""

    reliance: Reliance
    speaks: Person
    acknowledged: EndAcknowledgement | None
    waited_for: bool

    @property
    def name(self) -> str:
        """Of the person, or of the agent."""
        return str(self.reliance.person or self.reliance.dependent)

    @property
    def is_agent(self) -> bool:
        return self.reliance.dependent is not None


def dependents_of(agent: Agent, by: Person | None = None) -> list[Dependent]:
    """Everyone who relies on it: people by name, then agents. `by`, who orders its end, needs no
    word of their own."""
    said = {(each.person_id, each.dependent_id): each for each in _said(agent)}
    rows = agent.dependents.select_related("person", "dependent__owner", "dependent__backup_owner")
    found = [_dependent(each, said.get((each.person_id, each.dependent_id)), by) for each in rows]
    # By the letters alone: a certificate reads the same under every database's collation.
    return sorted(found, key=lambda each: (each.is_agent, each.name, each.reliance.pk))


def _said(agent: Agent) -> QuerySet[EndAcknowledgement]:
    return agent.acknowledgements.select_related("by", "person", "dependent")


def _dependent(row: Reliance, word: EndAcknowledgement | None, by: Person | None) -> Dependent:
    speaks = row.person or _speaker(row.dependent)
    gone = row.dependent is not None and row.dependent.state in ENDED
    knows = word is not None or (by is not None and speaks.pk == by.pk)
    return Dependent(row, speaks, word, not knows and not gone and speaks.may_act)


def _speaker(agent: Agent | None) -> Person:
    """Who speaks for an agent: its owner, or who stands in where the owner has left."""
    assert agent is not None  # noqa: S101 - the constraint reliance_has_one_dependent
    backup = agent.backup_owner
    return backup if backup and backup.may_act and not agent.owner.may_act else agent.owner


def waited_for(agent: Agent, by: Person | None = None) -> list[Dependent]:
    """Those who rely on it and have not said yet that they know."""
    return [each for each in dependents_of(agent, by) if each.waited_for]


def mine(agent: Agent, person: Person) -> list[Reliance]:
    """What this person can give their word for, and has not."""
    said = {(each.person_id, each.dependent_id) for each in _said(agent)}
    own = Q(person=person) | Q(dependent__owner=person) | Q(dependent__backup_owner=person)
    rows = agent.dependents.filter(own).select_related("person", "dependent")
    return [each for each in rows if (each.person_id, each.dependent_id) not in said]


def ordered() -> QuerySet[EndOrder, Any]:
    """The keys of the agents whose end is ordered, for a query: nothing is asked about them."""
    return EndOrder.objects.filter(state=OrderState.WAITING).values("agent")


def open_order(agent: Agent) -> EndOrder | None:
    """The wish to end it that waits, if there is one."""
    return agent.end_orders.filter(state=OrderState.WAITING).select_related("by").first()


def run_of(agent: Agent) -> EndRun | None:
    """Its end, if it has begun."""
    return EndRun.objects.filter(agent=agent).select_related("agent", "by").first()


def due_runs(now: datetime) -> QuerySet[EndRun]:
    """Ends that nobody works on, and of which something is to be done or looked at."""
    rows = EndRun.objects.filter(claims.free(now), settled_at__isnull=True, next_try_at__lte=now)
    return rows.order_by("next_try_at", "pk")


def due_orders(now: datetime) -> QuerySet[EndOrder]:
    """Orders whose time has come, the longest due first."""
    waiting = EndOrder.objects.filter(state=OrderState.WAITING, begins_at__lte=now)
    return waiting.order_by("begins_at", "pk")


# What is left


def left_of(run: EndRun) -> list[str]:
    """What of an agent is still there now, one sentence each."""
    found = [sentence for step in ending.in_order() for sentence in step.left(run.agent)]
    refused = run.steps.filter(state=EndStepState.LEFT).order_by("position")
    return [*found, *(f"{each.title}: {each.error}" for each in refused)]


def live_credentials(agent: Agent) -> list[str]:
    """Credentials that may still open something where they come from."""
    live = agent.credentials.filter(MAY_BE_LIVE).order_by("reference")
    return [
        f"{each.reference} may still open {each.system.slug if each.system else 'what it was for'}."
        " End it where it comes from, then say so on its page."
        for each in live.select_related("system")
    ]


def live_clients(agent: Agent) -> list[str]:
    """Clients at identity providers that are not known to be gone, one sentence each."""
    known = _known()
    return [
        f"The client {each.client_id or 'muster-' + agent.slug} at {each.provider}: "
        + (
            each.failure or "it is not deleted yet."
            if each.provider in known
            else "Muster speaks to that provider no more. Delete it there."
        )
        for each in clients_left(agent)
    ]


def clients_left(agent: Agent) -> list[ExternalClient]:
    """Clients at identity providers that are not known to be gone."""
    known = _known()
    rows = agent.external_clients.exclude(state=ExternalClientState.DELETED).order_by("provider")
    return [each for each in rows if each.client_id or each.provider in known]


def _known() -> set[str]:
    return {each.name for each in providers.configured()}


def naming(agent: Agent) -> list[str]:
    """What names this agent as one that decides: its word is never given again."""
    asks = {"agents": [agent.slug]}
    tools = Tool.objects.filter(gates__contains=asks).order_by("name")
    entries = AllowlistEntry.objects.filter(gates__contains=asks).select_related("agent", "tool")
    entries = entries.exclude(agent__state__in=ENDED).order_by("agent__slug", "tool__name")
    return [f"{each.name} asks it for approval. Name another." for each in tools] + [
        f"{each.agent.slug} asks it for approval of {each.tool.name}. Name another."
        for each in entries
    ]


def leases_ended(agent: Agent) -> int:
    """How many leases ended early since it stopped."""
    since = agent.state_changed_at
    return Lease.objects.filter(agent=agent, ended_at__isnull=False, ended_at__gte=since).count()


def open_reviews(agent: Agent) -> Sequence[Review]:
    """Reviews about it that wait for someone."""
    return list(Review.objects.filter(agent=agent, state=ReviewState.OPEN).order_by("pk"))


def close_reviews(agent: Agent, by: Actor, why: str) -> int:
    """Close every review about it; how many."""
    found = open_reviews(agent)
    for review in found:
        reviews.close(review, ReviewState.WITHDRAWN, by, why)
    return len(found)
