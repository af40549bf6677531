"""What may follow what in a run, and when a step is tried again. No queries, no writes."""

from __future__ import annotations

from datetime import datetime, timedelta

from lifecycle.models.provisioning import RunState, StepState

R, S = RunState, StepState

RUN_TRANSITIONS: dict[RunState, frozenset[RunState]] = {
    R.RUNNING: frozenset({R.DONE, R.UNDOING}),
    R.DONE: frozenset(),
    R.UNDOING: frozenset({R.UNDONE}),
    R.UNDONE: frozenset(),
}
STEP_TRANSITIONS: dict[StepState, frozenset[StepState]] = {
    S.WAITING: frozenset({S.DONE, S.FAILED, S.UNDONE}),
    S.DONE: frozenset({S.UNDONE}),
    S.FAILED: frozenset({S.UNDONE}),
    S.UNDONE: frozenset(),
}
# A step that another system does not take for so long, some twenty minutes, has failed for good.
MOST_ATTEMPTS = 8
_FIRST_PAUSE = timedelta(seconds=10)
_LONGEST_PAUSE = timedelta(minutes=10)


def may_move(state: str, target: RunState) -> bool:
    """Whether a run in `state` may become `target`."""
    return target in RUN_TRANSITIONS[RunState(state)]


def may_step(state: str, target: StepState) -> bool:
    """Whether a step in `state` may become `target`."""
    return target in STEP_TRANSITIONS[StepState(state)]


def next_try(attempts: int, now: datetime) -> datetime:
    """When a step that was tried so often is tried again."""
    pause: timedelta = _FIRST_PAUSE * 2.0 ** min(attempts - 1, 10)
    return now + min(pause, _LONGEST_PAUSE)
