"""Working an end off: one step after the other, each tried until it is done or time is over.

Whoever works on a run holds its claim, and renews it before each step. A step that another system
refuses is put off, and those after it are done all the same: nothing that still opens something
waits for something that does not answer.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from audit import services as audit
from audit.enums import Kind
from governance.kernel import clock
from governance.kernel.errors import GovernanceError
from lifecycle import claims
from lifecycle.claims import Overtaken
from lifecycle.decommissioning import (
    aftercare,
    certificate,
    ending,
    printing,
    reading,
    rules,
    telling,
)
from lifecycle.decommissioning.ending import EndingStep
from lifecycle.decommissioning.steps import ENDING
from lifecycle.models import EndRun, EndStep
from lifecycle.models.decommissioning import EndState, EndStepState
from registry import services as register
from registry.enums import AgentState
from registry.models import Agent

log = logging.getLogger(__name__)

ALL = [EndState.RUNNING, EndState.DONE]
FIRST = -1


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be done next."""

    agent: Agent
    step: EndStep


def carry_on(*, run_id: UUID) -> EndRun | None:
    """Do what is left of an end, as far as it goes now; None where another one works on it.

    Killed at any point, the next call goes on: what was begun is done again, and done once.
    """
    claim = claims.take(EndRun, run_id, ALL, clock.now())
    if claim is None:
        return None
    try:
        _work_off(run_id, claim)
    except Overtaken:
        log.warning("decommissioning %s was overtaken", run_id)
        return None
    run = EndRun.objects.get(pk=run_id)
    if run.state == EndState.DONE:
        printing.print_missing(run)
    return run


def _work_off(run_id: UUID, claim: UUID) -> None:
    if EndRun.objects.get(pk=run_id).state == EndState.DONE:
        aftercare.destroy_due(run_id)
    place = FIRST
    while work := _next(run_id, claim, place):
        place = work.step.position
        _work(run_id, claim, work)
    _finish(run_id, claim)


def _ours(run_id: UUID, claim: UUID) -> EndRun:
    agent, run = claims.held(EndRun, run_id, claim)
    run.agent = agent
    return run


@transaction.atomic(durable=True)
def _next(run_id: UUID, claim: UUID, place: int) -> _Work | None:
    """The next step that is not done; None where this round has tried each."""
    run = _ours(run_id, claim)
    steps = run.steps.select_for_update(no_key=True).exclude(state=EndStepState.DONE)
    step = steps.filter(position__gt=place).first()
    if step is None:
        return None
    run.claimed_until = clock.now() + claims.CLAIM
    run.save(update_fields=["claimed_until"])
    step.attempts = min(step.attempts + 1, 30_000)
    step.begun_at = step.begun_at or clock.now()
    step.save(update_fields=["attempts", "begun_at"])
    return _Work(run.agent, step)


def _work(run_id: UUID, claim: UUID, work: _Work) -> None:
    try:
        _do(run_id, claim, work)
    except Overtaken:
        raise
    except GovernanceError as error:
        _put_off(run_id, claim, work, error.message)
    except Exception as error:
        # Its text may hold what must not stand on a page or in a log; its class is enough.
        log.exception("step %s of decommissioning %s", work.step.name, run_id)
        _put_off(run_id, claim, work, f"It ended with {type(error).__name__}.")


def _do(run_id: UUID, claim: UUID, work: _Work) -> None:
    """What is inside Muster is done and written down in one transaction."""
    found = ending.find(work.step.name)
    if found is None:
        _write_down(run_id, claim, work, "This installation has this step no more.", [])
    elif found.outside:
        said = found.do(work.agent)
        _write_down(run_id, claim, work, said, found.left(work.agent))
    else:
        _do_inside(run_id, claim, work, found)


@transaction.atomic(durable=True)
def _do_inside(run_id: UUID, claim: UUID, work: _Work, found: EndingStep) -> None:
    run = _ours(run_id, claim)
    said = found.do(run.agent)
    _done(run, work.step.pk, said, found.left(run.agent))


@transaction.atomic(durable=True)
def _write_down(run_id: UUID, claim: UUID, work: _Work, said: str, left: list[str]) -> None:
    _done(_ours(run_id, claim), work.step.pk, said, left)


def _done(run: EndRun, step_id: int, said: str, left: list[str]) -> None:
    step = run.steps.select_for_update(no_key=True).get(pk=step_id)
    _step(run, step, EndStepState.DONE, said=said[:500], left=left, error="")


@transaction.atomic(durable=True)
def _put_off(run_id: UUID, claim: UUID, work: _Work, why: str) -> None:
    """Say what is in the way. Once the time for it is over the end goes on without it."""
    run = _ours(run_id, claim)
    step, now = run.steps.select_for_update(no_key=True).get(pk=work.step.pk), clock.now()
    step.error = why[:500]
    step.save(update_fields=["error"])
    if now >= run.started_at + rules.ESCALATE_AFTER and run.escalated_at is None:
        _escalate(run, step, now)
    if step.state == EndStepState.WAITING and now >= run.patience_at:
        found = ending.find(step.name)
        left = [f"{step.title}: {step.error}", *(found.left(run.agent) if found else [])]
        _step(run, step, EndStepState.LEFT, left=left)


def _escalate(run: EndRun, step: EndStep, now: datetime) -> None:
    run.escalated_at = now
    run.save(update_fields=["escalated_at"])
    _record("end_escalated", run, step=step.name)
    telling.escalate(run, step.title, step.error)


@transaction.atomic(durable=True)
def _finish(run_id: UUID, claim: UUID) -> None:
    """Close the row where no step waits any more; else say when it is tried again."""
    run = _ours(run_id, claim)
    waiting = list(run.steps.filter(state=EndStepState.WAITING))
    if run.state == EndState.RUNNING and not waiting:
        _close(run)
    elif run.state == EndState.DONE:
        aftercare.look(run, clock.now())
    run.claim = run.claimed_until = None
    run.next_try_at = _next_try(run, waiting)
    run.save(update_fields=["claim", "claimed_until", "next_try_at"])


def _next_try(run: EndRun, waiting: list[EndStep]) -> datetime:
    now = clock.now()
    if run.state == EndState.DONE:
        return now + rules.LOOK_AGAIN
    return rules.next_try(min(each.attempts for each in waiting), now)


def _close(run: EndRun) -> None:
    if run.agent.state == AgentState.DECOMMISSIONING:
        register.finish_decommissioning(agent_id=run.agent_id, by=ENDING)
        run.agent.refresh_from_db()
        # Written by the receiver of that very move.
        run.refresh_from_db(fields=["closed_record"])
    _move(run, EndState.DONE)
    made = certificate.issue(run)
    left = reading.left_of(run)
    _record("end_done", run, digest=made.digest if made else "", left=len(left))
    telling.tell_ended(run, len(left))
    aftercare.look(run, clock.now())


def _move(run: EndRun, target: EndState) -> None:
    """The only place that changes a run's state."""
    if not rules.may_move(run.state, target):
        raise AssertionError(f"a run that is {run.state} does not become {target}")
    run.state, run.ended_at = target, clock.now()
    run.save(update_fields=["state", "ended_at"])


def _step(run: EndRun, step: EndStep, target: EndStepState, **fields: object) -> None:
    """The only place that changes a step's state."""
    if not rules.may_step(step.state, target):
        raise AssertionError(f"a step that is {step.state} does not become {target}")
    step.state, step.ended_at = target, clock.now()
    for name, value in fields.items():
        setattr(step, name, value)
    step.record = _record(f"end_step_{target}", run, step=step.name)
    step.save(update_fields=["state", "ended_at", "record", *fields])


def _record(did: str, run: EndRun, **more: Any) -> UUID:
    return audit.record(
        kind=Kind.REGISTRY,
        actor=ENDING.pid,
        agent=run.agent.slug,
        resource=f"agent:{run.agent.slug}",
        asked={"did": did, "run": str(run.pk), **more},
    )
