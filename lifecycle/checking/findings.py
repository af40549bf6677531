"""What is looked at, one function each. Nothing is changed, nothing is decided.

A finding that fails stops a pipeline; the others are told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Q

from audit.enums import Kind
from audit.models import Record
from governance.kernel.errors import GovernanceError
from lifecycle.cases.rules import said_due
from lifecycle.idle import selectors as idle
from lifecycle.idle import words
from lifecycle.models.toxic import FindingScope, FindingState, ToxicFinding
from lifecycle.probes import reporting
from lifecycle.probes import selectors as probes
from lifecycle.renewals.rules import TOLD_BEFORE
from registry import guard
from registry.enums import AgentState
from registry.models import Agent
from registry.reach import Reach, reach_of
from registry.selectors import agents_for_reach, current_clearance
from registry.services.agents import today_of

UNUSED = timedelta(days=90)
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about an agent, as a stable code and a sentence that says what to do."""

    code: str
    sentence: str
    fails: bool = True


@dataclass(frozen=True, slots=True)
class Looked:
    """An agent as it is now."""

    agent: Agent
    reach: Reach
    now: datetime

    @property
    def today(self) -> date:
        """The day where its owner is."""
        return today_of(self.agent.owner, self.now)


def look_at(agent_id: int, now: datetime) -> Looked:
    """Read everything that the findings rest on."""
    agent = agents_for_reach().get(pk=agent_id)
    return Looked(agent, reach_of(agent), now)


def findings_of(looked: Looked) -> list[Finding]:
    """Everything that is found, in a fixed order."""
    return [found for find in FINDERS for found in find(looked)]


def _not_active(looked: Looked) -> Iterator[Finding]:
    try:
        guard.require_active(looked.agent)
    except GovernanceError as error:
        yield Finding(error.code, error.message)


def _over_reaching(looked: Looked) -> Iterator[Finding]:
    agent, reach = looked.agent, looked.reach
    if agent.activated_at is None or current_clearance(agent, reach.digest):
        return
    last = agent.clearances.first()
    was = f"it was last cleared as {last.tier}" if last else "nobody ever cleared it"
    yield Finding(
        "over_reaching",
        f"{agent.slug} reaches what nobody cleared: it is {reach.tier} now, and {was}. "
        "Narrow it, or send the change for review.",
    )


def _unused(looked: Looked) -> Iterator[Finding]:
    """Tools that it may call and never did; told only of agents that had the time to."""
    agent, since = looked.agent, looked.now - UNUSED
    if agent.activated_at is None or agent.activated_at > since:
        return
    decided = Record.objects.filter(kind=Kind.DECISION, agent=agent.slug, at__gte=since)
    used = set(decided.order_by().values_list("tool", flat=True).distinct())
    unused = sorted(each.tool.name for each in agent.allowlist.all() if each.tool.name not in used)
    if unused:
        yield Finding(
            "unused_tools",
            f"{agent.slug} may call {_listed(unused)} and has not in {UNUSED.days} days. "
            "Take away what it does not need.",
            fails=False,
        )


def _probes(looked: Looked) -> Iterator[Finding]:
    agent = looked.agent
    if not agent.allowlist.all():
        return
    run = probes.gating_runs(agent).first()
    if run is None or not probes.stands(run):
        yield Finding(
            "probes_stale",
            f"No adversarial test of {agent.slug} stands for the row as it is. "
            f"Run ./muster probe {agent.slug}.",
        )
    elif run.blocking:
        yield Finding(
            "probes_failing",
            f"{agent.slug}: {reporting.verdict_of(run)} Its page of adversarial tests says how "
            "to mend each.",
        )


def _toxic(looked: Looked) -> Iterator[Finding]:
    """What comes together in it, or across its owner's agents, and nobody has answered yet."""
    agent = looked.agent
    theirs = Q(agent=agent) | Q(owner=agent.owner, agents__contains=[agent.slug])
    for found in ToxicFinding.objects.filter(theirs, state=FindingState.OPEN).order_by("pk"):
        blocks = found.connected or (found.scope == FindingScope.AGENT and not found.only_listed)
        yield Finding(
            "toxic",
            f"{', '.join(found.agents)} can put together {found.combination}, which counts as "
            f"{found.tier}. Split it, have it reviewed, or have its outputs count as that.",
            fails=blocks,
        )


def _unrenewed(looked: Looked) -> Iterator[Finding]:
    """Fails after its day, and is told of for two weeks before."""
    agent, due = looked.agent, looked.agent.renewal_due
    if due is None:
        return
    if due < looked.today:
        yield Finding(
            "unrenewed",
            f"{agent.slug} was to be renewed by {due:%Y-%m-%d}. "
            f"Its owner {agent.owner} must say that it is still needed.",
        )
    elif due <= looked.today + TOLD_BEFORE:
        yield Finding(
            "renewal_due",
            f"{agent.slug} is to be renewed by {due:%Y-%m-%d}. "
            f"Its owner {agent.owner} answers three questions on its page.",
            fails=False,
        )


def _review_overdue(looked: Looked) -> Iterator[Finding]:
    agent, due = looked.agent, looked.agent.review_due
    if due and due < looked.today:
        yield Finding(
            "review_overdue",
            f"{agent.slug} was to be looked at again by {due:%Y-%m-%d}, and nobody has. "
            "Security answers its review; until then it is suspended in time.",
        )


def _idle(looked: Looked) -> Iterator[Finding]:
    agent = looked.agent
    if agent.state != AgentState.ACTIVE:
        return
    silence, case = idle.silence_of(agent), idle.case_of(agent)
    if case is not None and silence.is_idle(looked.now):
        ends = f" Where nobody answers, it is decommissioned {said_due(case)}."
    elif silence.is_idle(looked.now):
        ends = ""
    else:
        return
    yield Finding(
        "idle",
        f"{agent.slug} {words.silent(silence)}. Its owner {agent.owner} must renew it, narrow it "
        f"or end it.{ends}",
    )


def _observing(looked: Looked) -> Iterator[Finding]:
    until = looked.agent.observe_until
    if until and until > looked.now:
        yield Finding(
            "observing",
            f"{looked.agent.slug} is observed until {until:%Y-%m-%d %H:%M} UTC: its calls are "
            "let through that would be refused.",
            fails=False,
        )


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:MOST_NAMED])
    return shown if len(names) <= MOST_NAMED else f"{shown} and {len(names) - MOST_NAMED} more"


FINDERS: tuple[Callable[[Looked], Iterator[Finding]], ...] = (
    _not_active,
    _over_reaching,
    _probes,
    _toxic,
    _unrenewed,
    _review_overdue,
    _idle,
    _observing,
    _unused,
)
