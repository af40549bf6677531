"""Reads of adversarial tests: which run still stands, and what the newest ones say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet

from governance.kernel import clock
from lifecycle.models.probes import ProbeRun
from lifecycle.probes.corpus import Corpus, product_corpus
from lifecycle.probes.row import read_rows
from lifecycle.probes.standing import Things, standing_of
from registry.enums import AgentState, GroupName
from registry.models import Agent, AllowlistEntry, Person
from registry.permissions import in_group

BATCH = 500


def rests_on(agent: Agent, corpus: Corpus) -> list[str]:
    """What a run rests on besides slices: the prompt's model, the attacks, the gates of tiers."""
    provider = agent.model_provider.slug if agent.model_provider else ""
    gates = sorted(settings.MUSTER_PROBE_GATES.items())
    return [agent.model, provider, corpus.digest, *(f"{tier}:{gate}" for tier, gate in gates)]


def stands(run: ProbeRun) -> bool:
    """Does a run of the product's corpus still say what one would that were made now?"""
    agents = Agent.objects.filter(pk=run.agent_id).select_related("model_provider")
    return standings(agents, {run.agent_id: run.things})[run.agent_id] == run.standing


def standings(agents: Iterable[Agent], things: Mapping[int, Things]) -> dict[int, str]:
    """What runs against these agents would rest on, were they made now; by primary key."""
    by_slug, corpus, now = {each.slug: each for each in agents}, product_corpus(), clock.now()
    found = ((by_slug[row.slug], row) for row in read_rows(dict.fromkeys(by_slug, "")))
    return {
        agent.pk: standing_of(row, now, things.get(agent.pk), rests_on(agent, corpus))
        for agent, row in found
    }


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
    return newest if newest and stands(newest) else None


def stale_agents() -> list[int]:
    """Rows that are live or in review and have no test that stands.

    It looks at all of them, exactly as each test is looked at by itself.
    """
    newest = {
        pk: (standing, things)
        for pk, standing, things in ProbeRun.objects.filter(
            corpus_digest=product_corpus().digest, live=""
        )
        .order_by("agent_id", "-at", "-id")
        .distinct("agent_id")
        .values_list("agent_id", "standing", "things")
    }
    things = {pk: kept for pk, (_, kept) in newest.items()}
    now = {pk: one for batch in _batches() for pk, one in standings(batch, things).items()}
    return [pk for pk, one in now.items() if newest.get(pk, ("",))[0] != one]


def _batches() -> Iterator[list[Agent]]:
    """The rows whose tests must stand, so many at a time."""
    agents = (
        Agent.objects.filter(state__in=[AgentState.ACTIVE, AgentState.IN_REVIEW])
        .filter(Exists(AllowlistEntry.objects.filter(agent=OuterRef("pk"))))
        .select_related("model_provider")
        .order_by("pk")
    )
    waiting = agents.iterator(chunk_size=BATCH)
    while batch := list(islice(waiting, BATCH)):
        yield batch


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
