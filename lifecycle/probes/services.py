"""Running adversarial tests and keeping what they found."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from django.db import transaction

from audit import services as audit
from audit.enums import Kind
from audit.enums import Mode as RecordMode
from governance.kernel import clock
from lifecycle.models.probes import ProbeCause, ProbeResult, ProbeRun
from lifecycle.probes import gate, selectors
from lifecycle.probes.corpus import Corpus, product_corpus
from lifecycle.probes.errors import NothingToProbe, ProbeFailed
from lifecycle.probes.row import read_row, standing_of
from lifecycle.probes.running import End, Made, Result, run_corpus
from registry import permissions
from registry.enums import AgentState
from registry.models import Agent, Person
from registry.permissions import Actor, Automatic
from registry.reach import reach_of
from registry.selectors import agents_for_reach

# Of older runs the figures stay, what became of each attack does not.
KEPT_WHOLE = 20
PROBE = Automatic("probe")
CLOSED = frozenset({AgentState.DECOMMISSIONING, AgentState.DECOMMISSIONED})


@transaction.atomic
def probe_agent(
    *,
    agent_id: int,
    by: Actor,
    cause: ProbeCause = ProbeCause.ASKED,
    corpus: Corpus | None = None,
) -> ProbeRun:
    """Aim every attack of a corpus at a row, and keep what became of it.

    Nothing is decided and nothing is changed: that it was done, and how it ended, is recorded.
    """
    agent = agents_for_reach().get(pk=agent_id)
    if isinstance(by, Person):
        permissions.check_can_view_agent(agent, by)
    if not agent.allowlist.all():
        raise NothingToProbe()
    corpus = corpus or product_corpus()
    began, reach = time.perf_counter(), reach_of(agent)
    row = read_row(agent.slug, tier=str(reach.tier))
    results = run_corpus(corpus, row, clock.now())
    threshold = gate.gate_of(str(reach.tier))
    run = ProbeRun(
        agent=agent,
        at=clock.now(),
        by=by if isinstance(by, Person) else None,
        cause=cause,
        corpus=corpus.name,
        corpus_digest=corpus.digest,
        standing=standing_of(row, *selectors.rests_on(agent, corpus)),
        reach_digest=reach.digest,
        tier=reach.tier,
        gate=threshold,
        calls=_calls(results),
        blocking=gate.blocking(results, threshold),
        milliseconds=round((time.perf_counter() - began) * 1000),
        **_ends(results),
    )
    run.save()
    ProbeResult.objects.bulk_create(_kept(run, results))
    _forget_older(run)
    _record(run, by)
    return run


def _ends(results: Sequence[Result]) -> dict[str, int]:
    counted = Counter(each.end for each in results)
    return {str(end): counted[end] for end in End}


def _calls(results: Sequence[Result]) -> dict[str, dict[str, dict[str, int]]]:
    """How many attack calls ended how, and by which check: those of consequence, and reads."""
    calls = [call for each in results for call in each.calls]
    parts = {"consequential": True, "reads": False}
    return {part: _by_check([c for c in calls if c.acts is acts]) for part, acts in parts.items()}


def _by_check(calls: Sequence[Made]) -> dict[str, dict[str, int]]:
    counted: dict[str, Counter[str]] = {}
    for call in calls:
        counted.setdefault(str(call.end), Counter())[call.check] += 1
    return {end: dict(by_check) for end, by_check in counted.items()}


def _kept(run: ProbeRun, results: Sequence[Result]) -> list[ProbeResult]:
    return [_result(run, position, each) for position, each in enumerate(results)]


def _result(run: ProbeRun, position: int, result: Result) -> ProbeResult:
    attack, worst = result.attack, result.worst
    return ProbeResult(
        run=run,
        position=position,
        attack=attack.id,
        title=attack.title,
        llm=list(attack.llm),
        agentic=list(attack.agentic),
        minor=attack.minor,
        remedy=attack.remedy,
        end=str(result.end),
        acts=result.acts,
        tool=worst.deciding.tool[:300] if worst and worst.deciding else "",
        check_name=worst.check if worst else "",
        code=worst.code if worst else "",
        why=result.why,
        steps=[each.document() for each in worst.made] if worst else [],
        shots=[
            {"tool": shot.tool, "end": str(shot.end), "check": shot.check, "code": shot.code}
            for shot in result.shots
        ],
    )


def _forget_older(run: ProbeRun) -> None:
    runs = ProbeRun.objects.filter(agent=run.agent, corpus_digest=run.corpus_digest)
    newest = list(runs.values_list("pk", flat=True)[:KEPT_WHOLE])
    ProbeResult.objects.filter(run__in=runs).exclude(run__in=newest).delete()


def _record(run: ProbeRun, by: Actor) -> None:
    audit.record(
        kind=Kind.ACCESS,
        actor=by.pid,
        agent=run.agent.slug,
        tier=run.tier,
        mode=RecordMode.SIMULATE,
        asked={
            "did": "agent_probed",
            "run": str(run.id),
            "cause": run.cause,
            "corpus": run.corpus,
            "corpus_digest": run.corpus_digest,
            "ends": {str(end): getattr(run, str(end)) for end in End},
            "blocking": run.blocking,
        },
    )


def require_probed(agent: Agent, by: Actor) -> None:
    """Raise `ProbeFailed` where attacks would execute that keep the row from going live.

    A run that still stands is good enough; without one it is run now. A row that may call
    nothing has nothing to test.
    """
    run = selectors.fresh_run(agent)
    if run is None and agent.allowlist.exists():
        run = probe_agent(agent_id=agent.pk, by=by, cause=ProbeCause.ACTIVATION)
    if run and run.blocking:
        found = list(run.results.filter(attack__in=run.blocking))
        raise ProbeFailed(gate.refusal(agent.slug, found))


def probe_if_stale(*, agent_id: int, cause: ProbeCause) -> ProbeRun | None:
    """Run the product's corpus where no run stands any more; delivered twice, it runs once."""
    with transaction.atomic():
        agent = Agent.objects.select_for_update(of=("self",)).filter(pk=agent_id).first()
        if agent is None or agent.state in CLOSED or not agent.allowlist.exists():
            return None
        if selectors.fresh_run(agent):
            return None
        return probe_agent(agent_id=agent_id, by=PROBE, cause=cause)
