"""Working a run off: one step outside after the other, never inside a transaction.

Whoever works on a run holds its claim, and renews it before each step. Before each step, and
before the run counts as done, the row is locked and looked at: nothing is made for a row that is
not active, and what was made for one that no longer is, is taken back.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from audit import services as audit
from audit.enums import Kind
from governance.kernel import clock
from governance.kernel.errors import GovernanceError, NotFound, Unavailable
from lifecycle import claims
from lifecycle.claims import Overtaken
from lifecycle.models.provisioning import (
    OPEN,
    ProvisioningRun,
    ProvisioningStep,
    RunState,
    StepState,
)
from lifecycle.provisioning import outside, rules
from registry import guard
from registry import services as register
from registry.models import Agent
from registry.permissions import Automatic

log = logging.getLogger(__name__)

PROVISIONING = Automatic("provisioning")


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be done next, outside of any transaction."""

    agent: Agent
    step: ProvisioningStep
    undo: bool


def carry_on(*, run_id: UUID) -> ProvisioningRun | None:
    """Do what is left of a run, as far as it goes now; None where another one works on it.

    Killed at any point, the next call goes on: what was begun is done again, or undone.
    """
    claim = _claim(run_id, clock.now())
    if claim is None:
        return None
    try:
        while (work := _next(run_id, claim)) and _work(run_id, claim, work):
            pass
    except Overtaken:
        log.warning("provisioning %s was overtaken", run_id)
        return None
    return ProvisioningRun.objects.get(pk=run_id)


def _claim(run_id: UUID, now: datetime) -> UUID | None:
    return claims.take(ProvisioningRun, run_id, OPEN, now)


def _ours(run_id: UUID, claim: UUID) -> ProvisioningRun:
    agent, run = claims.held(ProvisioningRun, run_id, claim)
    run.agent = agent
    return run


@transaction.atomic(durable=True)
def _next(run_id: UUID, claim: UUID) -> _Work | None:
    """The next piece of work; None where nothing is left, and then the run has ended."""
    run = _ours(run_id, claim)
    run.claimed_until = clock.now() + claims.CLAIM
    if run.state == RunState.RUNNING and guard.refusal(run.agent):
        _begin_undoing(run, f"{run.agent.slug} was stopped while it went live.")
    step = _next_step(run)
    if step is None:
        _move(run, RunState.DONE if run.state == RunState.RUNNING else RunState.UNDONE)
        return None
    run.save(update_fields=["state", "failure", "claimed_until"])
    return _Work(run.agent, step, undo=run.state == RunState.UNDOING)


def _next_step(run: ProvisioningRun) -> ProvisioningStep | None:
    steps = run.steps.select_for_update(no_key=True).filter(outside=True)
    if run.state == RunState.UNDOING:
        begun = steps.exclude(state=StepState.UNDONE).filter(attempts__gt=0)
        return begun.order_by("-position").first()
    step = steps.filter(state=StepState.WAITING).first()
    if step is None:
        return None
    step.attempts += 1
    step.begun_at = step.begun_at or clock.now()
    step.save(update_fields=["attempts", "begun_at"])
    return step


def _work(run_id: UUID, claim: UUID, work: _Work) -> bool:
    """Do or undo one step; whether to go on now."""
    try:
        said = (_undo if work.undo else _do)(work, run_id)
    except Unavailable as error:
        return _put_off(run_id, claim, work, error.message)
    except GovernanceError as error:
        return _refused(run_id, claim, work, error.message)
    except Exception as error:
        # Its text may hold what must not stand on a page or in a log; its class is enough.
        log.exception("step %s of provisioning %s", work.step.name, run_id)
        return _put_off(run_id, claim, work, f"It ended with {type(error).__name__}.")
    _write_down(run_id, claim, work, said)
    return True


def _do(work: _Work, run_id: UUID) -> str:
    return _found(work.step).do(work.agent, run_id)


def _undo(work: _Work, run_id: UUID) -> str:
    _found(work.step).undo(work.agent)
    return ""


def _found(step: ProvisioningStep) -> outside.OutsideStep:
    found = outside.find(step.name)
    if found is None:
        raise NotFound(f"This installation no longer has the step {step.name}.")
    return found


@transaction.atomic(durable=True)
def _write_down(run_id: UUID, claim: UUID, work: _Work, said: str) -> None:
    run = _ours(run_id, claim)
    step = run.steps.select_for_update(no_key=True).get(pk=work.step.pk)
    if work.undo:
        _step(step, StepState.UNDONE, undone_at=clock.now(), error="")
        _record("provisioning_step_undone", run, step=step.name)
    else:
        _step(step, StepState.DONE, ended_at=clock.now(), said=said[:500], error="")
        _record("provisioning_step_done", run, step=step.name)


def _put_off(run_id: UUID, claim: UUID, work: _Work, why: str) -> bool:
    """Try again later; what was tried too often has failed for good."""
    if not work.undo and work.step.attempts >= rules.MOST_ATTEMPTS:
        return _refused(run_id, claim, work, why)
    _rest(run_id, claim, work, why)
    return False


@transaction.atomic(durable=True)
def _rest(run_id: UUID, claim: UUID, work: _Work, why: str) -> None:
    run = _ours(run_id, claim)
    run.steps.filter(pk=work.step.pk).update(error=why[:500])
    run.claim = run.claimed_until = None
    run.next_try_at = rules.next_try(work.step.attempts, clock.now())
    run.save(update_fields=["claim", "claimed_until", "next_try_at"])


def _refused(run_id: UUID, claim: UUID, work: _Work, why: str) -> bool:
    """A step that failed for good: what was made is undone, and the agent is suspended.

    What cannot be undone stays open, is said, and is tried until it can.
    """
    if work.undo:
        _rest(run_id, claim, work, why)
        return False
    _give_up(run_id, claim, work, why)
    return True


@transaction.atomic(durable=True)
def _give_up(run_id: UUID, claim: UUID, work: _Work, why: str) -> None:
    run = _ours(run_id, claim)
    step = run.steps.select_for_update(no_key=True).get(pk=work.step.pk)
    _step(step, StepState.FAILED, ended_at=clock.now(), error=why[:500])
    reason = f"It could not go live: {step.title} failed. {why}"
    _begin_undoing(run, reason)
    run.save(update_fields=["state", "failure"])
    if guard.refusal(run.agent) is None:
        register.suspend_agent(agent_id=run.agent_id, by=PROVISIONING, reason=reason)


def _begin_undoing(run: ProvisioningRun, reason: str) -> None:
    run.failure = reason[:500]
    _move(run, RunState.UNDOING)


def _move(run: ProvisioningRun, target: RunState) -> None:
    """The only place that changes a run's state."""
    if not rules.may_move(run.state, target):
        raise AssertionError(f"a run that is {run.state} does not become {target}")
    run.state = target
    if not run.is_open:
        run.ended_at, run.claim, run.claimed_until = clock.now(), None, None
    run.save(update_fields=["state", "failure", "ended_at", "claim", "claimed_until"])
    _record(f"provisioning_{target}", run, why=run.failure)


def _step(step: ProvisioningStep, target: StepState, **fields: object) -> None:
    """The only place that changes a step's state."""
    if not rules.may_step(step.state, target):
        raise AssertionError(f"a step that is {step.state} does not become {target}")
    step.state = target
    for name, value in fields.items():
        setattr(step, name, value)
    step.save(update_fields=["state", *fields])


def _record(did: str, run: ProvisioningRun, **more: str) -> None:
    audit.record(
        kind=Kind.REGISTRY,
        actor=PROVISIONING.pid,
        agent=run.agent.slug,
        resource=f"agent:{run.agent.slug}",
        asked={"did": did, "run": str(run.pk), **more},
    )
