"""Observe mode of a row: proposed by one, agreed to by security, ended by one or by itself.

While it lasts, decisions are made and recorded as they would be, and the caller is told to go on.
Never for restricted data, never longer than 30 days.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from governance.kernel import clock
from governance.kernel.errors import Conflict, Invalid
from registry import changes, permissions
from registry.enums import AgentState, Tier
from registry.errors import ChangeOutdated, TooSensitive, WrongState
from registry.models import Agent, Person, ProposedChange
from registry.models.agents import MOST_OBSERVED
from registry.permissions import Actor
from registry.services.agents import fresh_reach
from registry.services.saving import keep, locked, record
from registry.signals import row_changed

OBSERVE_KIND = "agent.observe"
FIELDS = ("observe_until", "observe_by", "observe_agreed_by", "observe_agreed_at")


@transaction.atomic
def propose_observation(*, agent_id: int, days: int, by: Person, reason: str) -> ProposedChange:
    """Ask security that an active agent may be observed for so many days."""
    agent = locked(Agent, "agent", pk=agent_id)
    permissions.check_can_change_agent(agent, by)
    if not 1 <= days <= MOST_OBSERVED.days:
        sentence = f"Between 1 and {MOST_OBSERVED.days} days."
        raise Invalid(sentence, fields={"days": [sentence]})
    if not reason.strip():
        raise Invalid("Say why.", fields={"reason": ["Say why."]})
    _check_observable(agent)
    return changes.propose(
        kind=OBSERVE_KIND,
        target=agent.slug,
        agent=agent.slug,
        summary=f"{agent.slug} is observed for {days} days: calls go on that would be refused.",
        before={"observe_until": _stamp(agent)},
        after={"days": days},
        by=by,
        reason=reason[:500],
    )


def _check_observable(agent: Agent) -> None:
    if agent.state != AgentState.ACTIVE:
        raise WrongState(f"{agent.slug} is {agent.state_word}: only an active agent is observed.")
    if fresh_reach(agent).tier == Tier.RESTRICTED:
        raise TooSensitive()


def why_not_observed(agent: Agent) -> str:
    """The sentence for which nobody may have this agent observed; empty if one may ask."""
    try:
        _check_observable(agent)
    except Conflict as error:
        return error.message
    return ""


def _stamp(agent: Agent) -> str | None:
    return agent.observe_until.isoformat() if agent.observe_until else None


def interested(change: ProposedChange) -> set[str]:
    """Whoever answers for the agent does not agree to it."""
    agent = Agent.objects.select_related("owner", "backup_owner").get(slug=change.target)
    return {person.pid for person in (agent.owner, agent.backup_owner) if person}


def apply_observation(change: ProposedChange, by: Person) -> None:
    """Begin: from the commit on calls go on that would be refused."""
    agent = locked(Agent, "agent", slug=change.target)
    if _stamp(agent) != change.before["observe_until"]:
        raise ChangeOutdated()
    _check_observable(agent)
    agent.observe_agreed_at = clock.now()
    agent.observe_until = agent.observe_agreed_at + timedelta(days=change.after["days"])
    agent.observe_by, agent.observe_agreed_by = change.proposed_by, by
    keep(agent, by, list(FIELDS))
    _record(agent, "observation_begun", by, change.reason)


@transaction.atomic
def end_observation(*, agent_id: int, by: Actor, reason: str = "") -> Agent:
    """End it at once: whoever may stop the agent may do so. Done twice, it is done once."""
    agent = locked(Agent, "agent", pk=agent_id)
    permissions.check_can_suspend_agent(agent, by)
    if agent.observe_until is not None:
        _end(agent, by, reason)
    return agent


@transaction.atomic
def end_where_due(*, agent_id: int, by: Actor, now: datetime) -> bool:
    """End it where its time is up, the row is not active, or it reaches restricted data by now."""
    agent = locked(Agent, "agent", pk=agent_id)
    why = _why_over(agent, now)
    if why:
        _end(agent, by, why)
    return bool(why)


def _why_over(agent: Agent, now: datetime) -> str:
    if agent.observe_until is None:
        return ""
    if agent.observe_until <= now:
        return "Its time is up."
    if agent.state != AgentState.ACTIVE:
        return f"It is {agent.state_word}."
    if fresh_reach(agent).tier == Tier.RESTRICTED:
        return "It reaches restricted data now."
    return ""


def _end(agent: Agent, by: Actor, reason: str) -> None:
    _record(agent, "observation_ended", by, reason)
    for name in FIELDS:
        setattr(agent, name, None)
    keep(agent, by, list(FIELDS))
    row_changed.send(sender=Agent, agent=agent, changed=("observe_until",), by=by)


def _record(agent: Agent, did: str, by: Actor, reason: str) -> None:
    record(
        did,
        by=by,
        agent=agent.slug,
        resource=f"agent:{agent.slug}",
        more={
            "until": _stamp(agent),
            "proposed_by": agent.observe_by.pid if agent.observe_by else "",
            "agreed_by": agent.observe_agreed_by.pid if agent.observe_agreed_by else "",
            "reason": reason,
        },
    )
