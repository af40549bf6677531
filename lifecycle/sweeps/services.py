"""What people do with sweeps."""

from __future__ import annotations

from functools import partial

from django.db import transaction

from audit import services as audit
from audit.enums import Kind
from lifecycle import tasks
from lifecycle.permissions import check_can_see_sweeps
from lifecycle.sweeps.registry import Sweep, find
from registry.models import Person


@transaction.atomic
def set_off_now(*, name: str, by: Person) -> Sweep:
    """Have a sweep run before its time. One that runs already runs once."""
    check_can_see_sweeps(by)
    sweep = find(name)
    audit.record(kind=Kind.SYSTEM, actor=by.pid, asked={"did": "sweep_set_off", "sweep": name})
    transaction.on_commit(partial(tasks.set_off, name))
    return sweep
