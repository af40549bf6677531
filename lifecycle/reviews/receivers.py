"""What follows for reviews when the register changes. All of it in the change's transaction."""

from __future__ import annotations

from typing import Any

from lifecycle.models import Review
from lifecycle.models.reviews import ReviewKind, ReviewState
from lifecycle.reviews import services
from registry.enums import AgentState, ChangeState
from registry.models import Agent, Clearance, Person, ProposedChange
from registry.permissions import Actor
from registry.services.agents import ENTRY_KIND, FIELDS_KIND, STAY_KIND, SUB_AGENT_KIND
from registry.signals import (
    agent_cleared,
    agent_state_changed,
    agent_transferred,
    change_decided,
    change_proposed,
    row_changed,
)

S = AgentState
ENDING = frozenset({S.DECOMMISSIONING, S.DECOMMISSIONED})
REVIEWED = frozenset({FIELDS_KIND, ENTRY_KIND, SUB_AGENT_KIND, STAY_KIND})
_ENDED = {
    ChangeState.AGREED: ReviewState.APPROVED,
    ChangeState.REJECTED: ReviewState.REJECTED,
    ChangeState.WITHDRAWN: ReviewState.WITHDRAWN,
    ChangeState.DROPPED: ReviewState.WITHDRAWN,
}


def connect() -> None:
    """Listen; called once the models are there."""
    agent_state_changed.connect(on_state, sender=Agent, dispatch_uid="review an agent that asks")
    agent_cleared.connect(on_word, sender=Agent, dispatch_uid="mark the step of a word")
    row_changed.connect(on_change, sender=Agent, dispatch_uid="void what was signed")
    agent_transferred.connect(on_transfer, sender=Agent, dispatch_uid="void at another owner")
    change_proposed.connect(on_proposal, dispatch_uid="review a widening change")
    change_decided.connect(on_decision, dispatch_uid="end the review of a change")


def on_state(agent: Agent, before: AgentState, by: Actor, reason: str = "", **_: Any) -> None:
    """Begin where it comes into review, end where it leaves it."""
    if agent.state in ENDING:
        for review in _open(agent, ReviewKind.PERIODIC):
            services.close(review, ReviewState.WITHDRAWN, by, "It ends.")
    if agent.state == S.IN_REVIEW:
        services.begin(agent, by)
    elif before == S.IN_REVIEW:
        for review in _open(agent, ReviewKind.LIVE):
            services.close(review, _outcome(agent, reason), by, reason)


def _outcome(agent: Agent, reason: str) -> ReviewState:
    if agent.state == S.ACTIVE:
        return ReviewState.APPROVED
    return ReviewState.CHANGES if reason and agent.state == S.DRAFT else ReviewState.WITHDRAWN


def _open(agent: Agent, *kinds: str) -> list[Review]:
    return list(Review.objects.filter(agent=agent, kind__in=kinds, state=ReviewState.OPEN))


def on_word(agent: Agent, clearance: Clearance, change: ProposedChange | None, **_: Any) -> None:
    """A word given by whichever way answers its step."""
    services.note_word(agent, clearance, change)


def on_change(agent: Agent, by: Actor, **_: Any) -> None:
    """Any change before the start voids what was signed; beneath an open change as well."""
    for review in _open(agent, ReviewKind.LIVE):
        services.refresh(review_id=review.pk, by=by)


def on_transfer(agent: Agent, by: Actor, **_: Any) -> None:
    """Another owner is a change of the row."""
    on_change(agent, by)


def on_proposal(change: ProposedChange, by: Person, **_: Any) -> None:
    """A widening change of a live row has a review of its own."""
    if change.kind in REVIEWED:
        services.begin(Agent.objects.get(slug=change.agent), by, change)


def on_decision(change: ProposedChange, by: Actor, **_: Any) -> None:
    """The change was agreed to, rejected, taken back, or fell away with its agent."""
    for review in Review.objects.filter(change=change, state=ReviewState.OPEN):
        services.close(review, _ENDED[ChangeState(change.state)], by, change.answer)
