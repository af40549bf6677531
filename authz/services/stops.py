"""Suspending what a limit has stopped: after the commit that stopped it, or by the next sweep."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from django.db import Error, transaction

from authz import timekeeper
from authz.models import Stop
from governance.kernel.errors import GovernanceError
from registry import services as register
from registry.enums import AgentState
from registry.models import Agent
from registry.permissions import Automatic

LIMITS = Automatic("limits")
REASONS = {
    Stop.Cause.SPEND: "Its spend cap is used up.",
    Stop.Cause.DENIALS: "Too many of its calls were denied within an hour.",
}

log = logging.getLogger(__name__)


def suspend_stopped(agents: Iterable[str] | None = None) -> int:
    """Suspend the agents that are stopped and not suspended yet; these alone where they are named.

    Each in a transaction of its own: one that cannot be suspended stays for the next time.
    """
    waiting = Stop.objects.filter(handled_at__isnull=True)
    if agents is not None:
        waiting = waiting.filter(agent__in=list(agents))
    return sum(suspend_one(slug) for slug in waiting.values_list("agent", flat=True))


def suspend_at_once(agents: Iterable[str]) -> None:
    """`suspend_stopped` after a decision, which stands whatever becomes of this."""
    try:
        suspend_stopped(agents)
    except Error as error:
        log.error("Stopped agents are not suspended yet (%s).", type(error).__name__)


def suspend_one(slug: str) -> bool:
    """Suspend one agent that is stopped; whether there was anything to do."""
    try:
        with transaction.atomic():
            return _suspend(slug)
    except (GovernanceError, Error) as error:
        log.error("%s is stopped, not suspended yet (%s).", slug, type(error).__name__)
        return False


def _suspend(slug: str) -> bool:
    open_stops = Stop.objects.filter(agent=slug, handled_at__isnull=True)
    stop = open_stops.first()
    if stop is None:
        return False
    # The row of the agent is locked before its stop, as in the function that stops it.
    agent = Agent.objects.filter(slug=slug).first()
    if agent is not None and agent.state == AgentState.ACTIVE:
        reason = REASONS[Stop.Cause(stop.cause)]
        register.suspend_agent(agent_id=agent.pk, by=LIMITS, reason=reason)
    return bool(open_stops.update(handled_at=timekeeper.now()))
