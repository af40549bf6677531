"""Adversarial tests that nobody waits for."""

from __future__ import annotations

import logging

from celery import shared_task
from kombu.exceptions import OperationalError

from governance.kernel.errors import GovernanceError
from lifecycle.models.probes import ProbeCause
from lifecycle.probes import selectors, services
from registry.models import Agent, Person

log = logging.getLogger(__name__)


@shared_task(name="lifecycle.probe_row")  # type: ignore[untyped-decorator]
def probe_row(agent_id: int) -> None:
    """Test a row that changed; where its last test still stands nothing is done."""
    services.probe_if_stale(agent_id=agent_id, cause=ProbeCause.CHANGE)


@shared_task(name="lifecycle.probe_live")  # type: ignore[untyped-decorator]
def probe_running(agent_id: int, person_id: int) -> None:
    """Attack a running agent at the address that its row names, for who asked for it."""
    agent, person = Agent.objects.get(pk=agent_id), Person.objects.get(pk=person_id)
    try:
        services.probe_live(agent_id=agent_id, url=agent.runs_at, by=person)
    except GovernanceError as error:
        log.warning("%s could not be attacked at its address: %s", agent.slug, error.message)


def set_off(agent_id: int) -> None:
    """Have the queue test a row, unless its last test still stands."""
    agent = Agent.objects.filter(pk=agent_id).first()
    if agent is None or selectors.fresh_run(agent):
        return
    try:
        probe_row.delay(agent_id)
    except OperationalError as error:
        # The hourly sweep finds it.
        log.warning("the test of agent %s could not be queued: %s", agent_id, error)
