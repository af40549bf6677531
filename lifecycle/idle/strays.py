"""Orphans, dormants and zombies: what runs without anybody, what does not run, what runs on.

An *orphan* has no employed owner. A *dormant* is idle, or suspended for as long. A *zombie* was
ended and still calls: under its own credentials, which the record tells, or as a stranger by a
name that a row which was ended had.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet
from django.db.models.functions import Lower

from audit import selectors as trail
from audit.export import write_cell
from lifecycle.idle import selectors, words
from registry.enums import AgentState, CallerState, Employment
from registry.models import Agent, Person, UnregisteredCaller

ORPHAN, DORMANT, ZOMBIE = "orphan", "dormant", "zombie"
ENDED = (AgentState.DECOMMISSIONING, AgentState.DECOMMISSIONED)
HEADER = ("kind", "agent", "state", "owner", "since", "why", "what to do")


@dataclass(frozen=True, slots=True)
class Stray:
    """One of them: since when, why it counts as one, and what to do about it."""

    kind: str
    agent: Agent
    since: datetime | None
    why: str
    todo: str


def strays_for(person: Person, now: datetime) -> list[Stray]:
    """Every stray that this person sees: orphans, dormants, zombies. A fixed number of queries."""
    agents = Agent.objects.visible_to(person).select_related("owner", "backup_owner")
    return [*_orphans(agents), *_dormants(agents, now), *_zombies(agents, person)]


def _orphans(agents: QuerySet[Agent]) -> Iterator[Stray]:
    gone = Q(owner__employment=Employment.LEFT) | Q(owner__is_active=False)
    for agent in agents.filter(gone).exclude(state__in=ENDED).order_by("slug"):
        left = agent.owner.employment == Employment.LEFT
        since = agent.owner.access_ended_at if left else None
        why = f"Its owner {agent.owner} {'left' if left else 'may not sign in any more'}."
        after = f"{agent.backup_owner} stands in: they" if agent.backup_owner else "Somebody"
        yield Stray(
            ORPHAN, agent, since, why, f"{after} must accept it, or it is to be decommissioned."
        )


def _dormants(agents: QuerySet[Agent], now: datetime) -> Iterator[Stray]:
    rows = list(agents.filter(pk__in=selectors.watched().values("pk")).order_by("slug"))
    found = selectors.silences(rows)
    for agent in rows:
        silence = found[agent.pk]
        if silence.is_idle(now):
            why = f"It {words.silent(silence)}."
            yield Stray(DORMANT, agent, silence.since, why, "Its owner renews, narrows or ends it.")
    limit = now - timedelta(days=selectors.limits().days)
    stopped = agents.filter(state=AgentState.SUSPENDED, state_changed_at__lte=limit)
    for agent in stopped.order_by("slug"):
        why = f"It is suspended. {agent.state_reason or 'No reason was given.'}"
        yield Stray(DORMANT, agent, agent.state_changed_at, why, "Resume it, or decommission it.")


def _zombies(agents: QuerySet[Agent], person: Person) -> Iterator[Stray]:
    """Ended rows whose credentials or names are still sent."""
    rows = list(agents.filter(state__in=ENDED).select_related("client").order_by("slug"))
    calls = trail.calls_since(
        {each.slug: each.state_changed_at or each.created_at for each in rows}
    )
    strangers = _strangers(rows, person)
    for agent in rows:
        if at := calls.get(agent.slug):
            yield Stray(ZOMBIE, agent, at, _CALLED, _STOP_IT)
        for caller in strangers.get(agent.pk, ()):
            where = f"Somebody from {caller.source} calls itself {caller.claimed}, "
            why = f"{where}{caller.count} times so far, and is refused."
            yield Stray(ZOMBIE, agent, caller.last_seen, why, _ASK_WHO)


_CALLED = "It was ended, and its own credentials or its name are still sent. Each call is refused."
_STOP_IT = (
    "Find where it runs and switch it off; end what of its credentials is live at its source."
)
_ASK_WHO = "Block the caller, or find who runs it and register what it is now."


def _strangers(rows: Sequence[Agent], person: Person) -> dict[int, list[UnregisteredCaller]]:
    """Unregistered callers by the ended agent whose slug or client id they sent since it ended."""
    names: dict[str, Agent] = {}
    for agent in rows:
        names[agent.slug.lower()] = agent
        if client := getattr(agent, "client", None):
            names[client.client_id.lower()] = agent
    callers = UnregisteredCaller.objects.visible_to(person).exclude(state=CallerState.ADOPTED)
    found: dict[int, list[UnregisteredCaller]] = {}
    named = callers.annotate(name=Lower("claimed")).filter(name__in=list(names))
    for caller in named.order_by("-last_seen"):
        agent = names[caller.claimed.lower()]
        if agent.state_changed_at is None or caller.last_seen > agent.state_changed_at:
            found.setdefault(agent.pk, []).append(caller)
    return found


def csv_lines(strays: Sequence[Stray]) -> Iterator[str]:
    """All of them. No cell is taken for a formula."""
    yield _line(HEADER)
    for each in strays:
        since = each.since.isoformat() if each.since else ""
        agent = each.agent
        yield _line(
            (each.kind, agent.slug, agent.state, agent.owner.email, since, each.why, each.todo)
        )


def _line(cells: tuple[str, ...]) -> str:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerow(map(write_cell, cells))
    return out.getvalue()
