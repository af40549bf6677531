"""Sweeps: work that falls due with time, whoever looks or not.

A sweep is a name, what is due at an instant, and how one row of it is handled. Its work follows
from the database alone, so that a run that was missed costs nothing but time: the next one finds
what is due. `settings.MUSTER_SWEEPS` says how often each runs.
"""

from lifecycle.sweeps.registry import Key, Sweep, find, register, registered
from lifecycle.sweeps.run import run_sweep
from lifecycle.sweeps.selectors import (
    QUIET,
    Late,
    SweepState,
    late_sweeps,
    missed_sweeps,
    overdue_sweeps,
    sweep_states,
)

__all__ = [
    "QUIET",
    "Key",
    "Late",
    "Sweep",
    "SweepState",
    "find",
    "late_sweeps",
    "missed_sweeps",
    "overdue_sweeps",
    "register",
    "registered",
    "run_sweep",
    "sweep_states",
]
