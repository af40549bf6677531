"""A row that is stopped, or that reaches restricted data, is observed no more, at once."""

from __future__ import annotations

from typing import Any

from governance.kernel import clock
from lifecycle.observing.sweep import OBSERVING
from registry import services as register
from registry.models import Agent
from registry.signals import agent_state_changed, reach_changed


def connect() -> None:
    """Listen; called once the models are there."""
    for signal in (agent_state_changed, reach_changed):
        signal.connect(on_change, sender=Agent, dispatch_uid="end what may be observed no more")


def on_change(agent: Agent, **_: Any) -> None:
    """In the transaction of the change."""
    if agent.observe_until is None:
        return
    if register.end_where_due(agent_id=agent.pk, by=OBSERVING, now=clock.now()):
        # The caller goes on with the row that it has.
        agent.refresh_from_db()
