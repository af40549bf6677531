"""Reads of adversarial tests: which run still stands, and what the newest ones say."""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings
from django.db.models import QuerySet

from lifecycle.models.probes import ProbeRun
from lifecycle.probes.corpus import Corpus, product_corpus
from lifecycle.probes.row import read_row, standing_of
from registry.enums import AgentState, GroupName
from registry.models import Agent, Person
from registry.permissions import in_group
from registry.reach import reach_of
from registry.selectors import agents_for_reach


def rests_on(agent: Agent, corpus: Corpus) -> tuple[str, ...]:
    """What of the row a run rests on besides its slices: its prompt, its model, the attacks."""
    provider = agent.model_provider.slug if agent.model_provider else ""
    reach = reach_of(agent)
    gate = str(settings.MUSTER_PROBE_GATES[reach.tier])
    return (agent.model, provider, corpus.digest, reach.digest, gate)


def standing_now(agent: Agent, corpus: Corpus | None = None) -> str:
    """What a run would rest on, were it made now."""
    fresh = agents_for_reach().get(pk=agent.pk)
    row = read_row(fresh.slug, tier=str(reach_of(fresh).tier))
    return standing_of(row, *rests_on(fresh, corpus or product_corpus()))


def gating_runs(agent: Agent) -> QuerySet[ProbeRun]:
    """Runs of the product's own corpus against the row, newest first: they gate going live."""
    return ProbeRun.objects.filter(agent=agent, corpus_digest=product_corpus().digest, live="")


def live_runs(agent: Agent) -> QuerySet[ProbeRun]:
    """The same against the running agent."""
    runs = ProbeRun.objects.filter(agent=agent, corpus_digest=product_corpus().digest)
    return runs.exclude(live="")


def fresh_run(agent: Agent, *, live: bool = False) -> ProbeRun | None:
    """The newest run of the product's corpus, if it still stands."""
    newest = (live_runs(agent) if live else gating_runs(agent)).first()
    return newest if newest and newest.standing == standing_now(agent) else None


def live_agents() -> Iterable[int]:
    """Rows that are live, whose tests must stand."""
    states = [AgentState.ACTIVE, AgentState.IN_REVIEW]
    return Agent.objects.filter(state__in=states).order_by("pk").values_list("pk", flat=True)


def failing(person: Person) -> list[ProbeRun]:
    """The newest runs that found what would keep a row from going live, for who answers for it.

    That is its owner; and security, for every row that is live or in review.
    """
    agents = Agent.objects.exclude(
        state__in=[AgentState.DECOMMISSIONING, AgentState.DECOMMISSIONED]
    )
    if not in_group(person, GroupName.SECURITY):
        agents = agents.filter(owner=person)
    newest = (
        ProbeRun.objects.filter(agent__in=agents, corpus_digest=product_corpus().digest, live="")
        .order_by("agent_id", "-at", "-id")
        .distinct("agent_id")
        .select_related("agent")
    )
    return [run for run in newest if run.blocking]
