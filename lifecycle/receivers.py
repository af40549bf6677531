"""What lifecycle does when the register changes: it tells those who must know.

Everything here is written in the transaction of the change, and sent after its commit.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import transaction
from django.dispatch import receiver

from lifecycle.notices import Severity, notify
from registry import changes
from registry.enums import AgentState
from registry.identity import providers
from registry.models import Agent, Person, ProposedChange
from registry.permissions import Actor
from registry.selectors import answering_for
from registry.signals import (
    agent_state_changed,
    change_decided,
    change_proposed,
    employment_changed,
)


@receiver(agent_state_changed, dispatch_uid="lifecycle.tell of states")
def tell_of_state(*, agent: Agent, before: AgentState, by: Actor, reason: str, **_: Any) -> None:
    """Page who answers for an agent that was stopped, and tell them when it runs again."""
    event = f"{agent.state}:{agent.pk}:{agent.state_changed_at}"
    named = {"agent": agent.slug, "by": str(by)}
    if agent.state == AgentState.SUSPENDED:
        said = named | {"reason": _sentence(reason)}
        _tell(answering_for(agent), by, "agent.suspended", said, event=event, page=True)
    elif before == AgentState.SUSPENDED and agent.state == AgentState.ACTIVE:
        _tell(answering_for(agent), by, "agent.resumed", named, event=event)


@receiver(agent_state_changed, dispatch_uid="lifecycle.clients outside of states")
def follow_state(*, agent: Agent, **_: Any) -> None:
    """What an agent has in an identity provider outside goes with its state."""
    if settings.MUSTER_IDENTITY_PROVIDERS:
        providers.follow(agent)
        transaction.on_commit(_settle_soon)


@receiver(employment_changed, dispatch_uid="lifecycle.clients outside of leavers")
def follow_owner(*, person: Person, **_: Any) -> None:
    """And with its owner, without whom it gets nothing."""
    if settings.MUSTER_IDENTITY_PROVIDERS:
        for agent in Agent.objects.select_related("owner").filter(owner=person):
            providers.follow(agent)
        transaction.on_commit(_settle_soon)


def _settle_soon() -> None:
    """Tell the providers now. Where the queue is not there, the sweep does a little later."""
    from lifecycle import tasks  # noqa: PLC0415  imports the sweeps, which import much else

    tasks.set_off("identities")


@receiver(change_proposed, dispatch_uid="lifecycle.tell of proposals")
def tell_of_proposal(*, change: ProposedChange, by: Person, **_: Any) -> None:
    """Tell those who may agree to a change that it waits."""
    people = Person.objects.filter(is_active=True).prefetch_related("groups")
    may = [each for each in people if not changes.can_agree(change, each)]
    said = {"by": str(by), "summary": _sentence(change.summary)}
    _tell(may, by, "change.proposed", said, event=f"change:{change.pk}")


@receiver(change_decided, dispatch_uid="lifecycle.tell of answers")
def tell_of_answer(*, change: ProposedChange, by: Actor, **_: Any) -> None:
    """Tell the proposer what became of their change."""
    answer = change.get_state_display()
    said = {"by": str(by), "answer": answer, "summary": _sentence(change.summary)}
    event = f"change:{change.pk}:{change.state}"
    _tell([change.proposed_by], by, "change.decided", said, event=event)


def _tell(
    people: Iterable[Person],
    by: Actor,
    code: str,
    context: dict[str, str],
    *,
    event: str,
    page: bool = False,
) -> None:
    """Tell everyone but the one who did it."""
    severity = Severity.PAGE if page else Severity.INFO
    for person in people:
        if not (isinstance(by, Person) and by.pk == person.pk):
            notify(person=person, severity=severity, code=code, context=context, event=event)


def _sentence(said: str) -> str:
    said = said.strip() or "no reason was given"
    return said if said.endswith((".", "!", "?")) else f"{said}."
