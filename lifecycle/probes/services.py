"""Running adversarial tests and keeping what they found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NoReturn

from django.db import transaction

from audit import services as audit
from audit.enums import Kind
from audit.enums import Mode as RecordMode
from governance.kernel import clock
from governance.kernel.egress import NoAnswer
from lifecycle.models.probes import ProbeCause, ProbeResult, ProbeRun
from lifecycle.probes import gate, selectors
from lifecycle.probes.corpus import Corpus, product_corpus
from lifecycle.probes.errors import NothingToProbe, ProbeFailed
from lifecycle.probes.live import Send, attack_live, host_of, send
from lifecycle.probes.row import Row, read_row
from lifecycle.probes.running import End, Made, Result, run_corpus
from lifecycle.probes.standing import standing_of
from registry import permissions
from registry.enums import AgentState
from registry.models import Agent, Person
from registry.permissions import Actor, Automatic
from registry.reach import Reach, reach_of
from registry.selectors import agents_for_reach

# Of older runs the figures stay, what became of each attack does not.
KEPT_WHOLE = 20
PROBE = Automatic("probe")
CLOSED = frozenset({AgentState.DECOMMISSIONING, AgentState.DECOMMISSIONED})


@dataclass(frozen=True)
class _Begun:
    """A row as it is when its attacks begin."""

    agent: Agent
    corpus: Corpus
    reach: Reach
    row: Row
    at: datetime = field(default_factory=lambda: clock.now())  # noqa: PLW0108  a clock may be moved


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
    begun = _begin(agent_id, corpus or product_corpus())
    if isinstance(by, Person):
        permissions.check_can_view_agent(begun.agent, by)
    results = run_corpus(begun.corpus, begun.row, begun.at)
    return _keep(begun, results, by, cause)


def probe_live(
    *, agent_id: int, url: str, by: Actor, corpus: Corpus | None = None, send: Send = send
) -> ProbeRun:
    """Feed the texts of a corpus to a running agent, and keep what it then asked for.

    It may take minutes, so it is no one transaction: each text, and then the result, has its own.
    Raises `AddressRefused`, and `NoAnswer` where the agent answered to no text at all.
    """
    begun = _begin(agent_id, corpus or product_corpus())
    if isinstance(by, Person):
        permissions.check_can_change_agent(begun.agent, by)
    results = list(attack_live(begun.corpus, begun.agent, url, send=send))
    if all(each.end is End.NOT_AIMED for each in results):
        raise NoAnswer(f"{host_of(url)} followed no test. docs/reference/probe-live.md says how.")
    with transaction.atomic():
        return _keep(begun, results, by, ProbeCause.ASKED, live=host_of(url))


def _begin(agent_id: int, corpus: Corpus) -> _Begun:
    agent = agents_for_reach().get(pk=agent_id)
    if not agent.allowlist.all():
        raise NothingToProbe()
    reach = reach_of(agent)
    return _Begun(agent, corpus, reach, read_row(agent.slug, tier=str(reach.tier)))


def _keep(
    begun: _Begun, results: Sequence[Result], by: Actor, cause: ProbeCause, *, live: str = ""
) -> ProbeRun:
    threshold = gate.gate_of(str(begun.reach.tier))
    # What a running agent asked about came by other requests, so its run rests on all there is.
    things = None if live else sorted(begun.row.things)
    run = ProbeRun(
        agent=begun.agent,
        at=clock.now(),
        by=by if isinstance(by, Person) else None,
        cause=cause,
        live=live,
        corpus=begun.corpus.name,
        corpus_digest=begun.corpus.digest,
        standing=standing_of(
            begun.row, begun.at, things, selectors.rests_on(begun.agent, begun.corpus)
        ),
        things=things,
        reach_digest=begun.reach.digest,
        tier=begun.reach.tier,
        gate=threshold,
        calls=_calls(results),
        blocking=gate.blocking(results, threshold),
        # A machine whose clock is set back meanwhile probes all the same.
        milliseconds=max(round((clock.now() - begun.at).total_seconds() * 1000), 0),
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
    runs = ProbeRun.objects.filter(agent=run.agent, corpus_digest=run.corpus_digest, live=run.live)
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
            "live": run.live,
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
    # A running agent is attacked only where someone asks for it; what it was caught at counts.
    for found in filter(None, (run, selectors.fresh_run(agent, live=True))):
        if found.blocking:
            _refuse(found, found.blocking, "cannot go live")


def require_no_worse(agent: Agent) -> None:
    """Raise `ProbeFailed` where attacks would execute that did not before a live row's change.

    What executed before stays told: narrowing a row must be possible step by step.
    """
    if not agent.allowlist.exists():
        return
    before = selectors.gating_runs(agent).first()
    run = probe_agent(agent_id=agent.pk, by=PROBE, cause=ProbeCause.CHANGE)
    new = [attack for attack in run.blocking if before and attack not in before.blocking]
    if new:
        _refuse(run, new, "cannot be changed so")


def _refuse(run: ProbeRun, attacks: Sequence[str], what: str) -> NoReturn:
    found = list(run.results.filter(attack__in=attacks))
    raise ProbeFailed(gate.refusal(run.agent.slug, found, what))


def probe_if_stale(*, agent_id: int, cause: ProbeCause) -> ProbeRun | None:
    """Run the product's corpus where no run stands any more; delivered twice, it runs once."""
    with transaction.atomic():
        agent = (
            Agent.objects.select_for_update(of=("self",), no_key=True).filter(pk=agent_id).first()
        )
        if agent is None or agent.state in CLOSED or not agent.allowlist.exists():
            return None
        if selectors.fresh_run(agent):
            return None
        return probe_agent(agent_id=agent_id, by=PROBE, cause=cause)
