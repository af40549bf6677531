"""Going live with an identity provider outside: its client is a step, and is taken back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lifecycle.models.provisioning import ProvisioningRun, RunState, StepState
from lifecycle.provisioning import identities, outside, rules, working
from registry import services as register
from registry.enums import AgentState
from registry.models import Agent, ExternalClient
from tests.lifecycle.test_provisioning import cleared
from tests.registry.peers import Keycloak, configure

pytestmark = pytest.mark.django_db(transaction=True)
STEP = "identity:house"


@pytest.fixture
def house(tmp_path: Path, settings: Any) -> Iterator[Keycloak]:
    found = Keycloak(tmp_path)
    configure(settings, found, tmp_path)
    identities.register_steps()
    yield found
    outside.forget(STEP)
    found.close()


def going_live() -> tuple[Agent, ProvisioningRun]:
    agent, by = cleared()
    register.activate_agent(agent_id=agent.pk, by=by)
    run = ProvisioningRun.objects.get(agent=agent)
    working.carry_on(run_id=run.pk)
    return Agent.objects.get(pk=agent.pk), ProvisioningRun.objects.get(pk=run.pk)


def test_the_client_is_a_step_of_going_live(house: Keycloak) -> None:
    agent, run = going_live()

    (made,) = house.clients.values()
    assert (made["clientId"], made["enabled"]) == (f"muster-{agent.slug}", True)
    assert (run.state, run.steps.get(name=STEP).state) == (RunState.DONE, StepState.DONE)


def test_a_provider_that_is_away_is_tried_again_and_in_the_end_taken_back(
    house: Keycloak, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.broken = True
    agent, run = going_live()
    assert (run.state, agent.state) == (RunState.RUNNING, AgentState.ACTIVE)

    monkeypatch.setattr(rules, "MOST_ATTEMPTS", run.steps.get(name=STEP).attempts + 1)
    ProvisioningRun.objects.update(next_try_at=run.started_at)
    ExternalClient.objects.update(next_at=run.started_at)
    working.carry_on(run_id=run.pk)

    agent.refresh_from_db()
    run.refresh_from_db()
    assert agent.state == AgentState.SUSPENDED
    assert run.steps.get(name=STEP).state in {StepState.UNDONE, StepState.FAILED}
    assert not house.clients
