"""When a row is tested: before it goes live, when it asks to, and after every change of it."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import transaction

from lifecycle.probes import tasks
from lifecycle.probes.services import require_no_worse, require_probed
from registry.enums import AgentState
from registry.models import Agent, Clearance
from registry.permissions import Actor
from registry.selectors import is_bootstrapping
from registry.signals import agent_state_changed, reach_changed, row_changed

S = AgentState
TESTED = frozenset({S.IN_REVIEW, S.ACTIVE, S.SUSPENDED})


def connect() -> None:
    """Listen; called once the models are there."""
    agent_state_changed.connect(on_state, sender=Agent, dispatch_uid="probe a row that moved")
    row_changed.connect(on_change, sender=Agent, dispatch_uid="probe a row that changed")
    reach_changed.connect(on_reach, sender=Agent, dispatch_uid="probe a live row's new reach")


def on_state(agent: Agent, before: AgentState, by: Actor, **_: Any) -> None:
    """Nothing goes live untested: what raises here undoes the move."""
    if agent.state == S.ACTIVE and not _is_loaded(agent, before):
        require_probed(agent, by)
    elif agent.state == S.IN_REVIEW:
        _after_commit(agent)


def _is_loaded(agent: Agent, before: AgentState) -> bool:
    """Loading a fresh installation has its policies last, so it tests what it loaded at its end."""
    newest = agent.clearances.first()
    loaded = newest is not None and newest.basis == Clearance.Basis.BOOTSTRAP
    return loaded and before == S.IN_REVIEW


def on_change(agent: Agent, **_: Any) -> None:
    """Fields, prompt, model or tools of a row that is under review, or was let live."""
    if agent.state in TESTED:
        _after_commit(agent)


def on_reach(agent: Agent, **_: Any) -> None:
    """A live row takes no change that opens it to an attack: what raises here undoes it."""
    if agent.state == S.ACTIVE and not is_bootstrapping():
        require_no_worse(agent)


def _after_commit(agent: Agent) -> None:
    transaction.on_commit(partial(tasks.set_off, agent.pk))
