"""Going live: a run with its steps, begun in the transaction that activates the row."""

from __future__ import annotations

from functools import partial

from django.db import transaction

from governance.kernel import clock
from governance.kernel.errors import Conflict
from lifecycle.models.provisioning import (
    OPEN,
    ProvisioningRun,
    ProvisioningStep,
    RunState,
    StepState,
)
from lifecycle.provisioning import outside, tasks
from lifecycle.provisioning.inside import INSIDE
from registry import services as register
from registry.models import Agent, Person
from registry.permissions import Actor


@transaction.atomic
def try_again(*, agent_id: int, by: Person) -> ProvisioningRun:
    """Start an agent again whose going live was undone: whoever may resume it may do so."""
    agent = register.resume_agent(agent_id=agent_id, by=by)
    run: ProvisioningRun = agent.provisioning_runs.latest("started_at")
    return run


def begin(agent: Agent, by: Actor) -> ProvisioningRun:
    """Do what is inside, and write down what is outside. The caller's transaction activates.

    Without a step outside the run is over at once.
    """
    now, later = clock.now(), outside.wanted_by(agent)
    run = ProvisioningRun.objects.create(
        agent=agent,
        by=by if isinstance(by, Person) else None,
        state=RunState.RUNNING if later else RunState.DONE,
        started_at=now,
        ended_at=None if later else now,
        next_try_at=now,
    )
    _do_inside(run, agent, by)
    ProvisioningStep.objects.bulk_create(
        ProvisioningStep(
            run=run, position=len(INSIDE) + place, name=step.name, title=step.title, outside=True
        )
        for place, step in enumerate(later)
    )
    if later:
        transaction.on_commit(partial(tasks.set_off, run.pk))
    return run


def _do_inside(run: ProvisioningRun, agent: Agent, by: Actor) -> None:
    done = [_inside(run, place, agent, by) for place in range(len(INSIDE))]
    ProvisioningStep.objects.bulk_create(done)


def _inside(run: ProvisioningRun, place: int, agent: Agent, by: Actor) -> ProvisioningStep:
    step, begun = INSIDE[place], clock.now()
    said = step.do(agent, by)
    return ProvisioningStep(
        run=run,
        position=place,
        name=step.name,
        title=step.title,
        state=StepState.DONE,
        attempts=1,
        said=said[:500],
        begun_at=begun,
        ended_at=clock.now(),
    )


def begin_again(agent: Agent, by: Actor) -> ProvisioningRun | None:
    """A run for an agent that is started again, where its last one was taken back.

    Raises `Conflict` while that is still being done.
    """
    last = agent.provisioning_runs.first()
    if last is None or last.state == RunState.DONE:
        return None
    if last.state == RunState.UNDOING:
        raise Conflict(
            f"What was made for {agent.slug} outside is still being taken back. Try again soon."
        )
    return begin(agent, by) if last.state not in OPEN else None
