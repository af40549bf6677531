"""The clock of cases: drops what is not true any more, tells each day, acts at the end."""

from __future__ import annotations

from datetime import datetime

from lifecycle.cases import kinds, rules, services
from lifecycle.models.cases import Case, CaseState
from lifecycle.sweeps.registry import Key
from registry.permissions import Automatic


def due(now: datetime) -> list[int]:
    """Every open case, those due longest first: what dropped out of truth is seen nowhere else."""
    rows = Case.objects.filter(state=CaseState.OPEN)
    return list(rows.order_by("due_at", "pk").values_list("pk", flat=True))


def handle(key: Key, now: datetime) -> bool:
    """One of them, in the transaction of the sweep."""
    case = services.locked_case(int(key))
    if not case.is_open:
        return False
    if not kinds.of(case).still_true(case):
        services.close_case(
            case_id=case.pk,
            outcome="no_longer_true",
            by=Automatic(str(case.kind)),
            state=CaseState.DROPPED,
        )
        return True
    if now >= case.due_at:
        services.end_in_time(case, now)
        return True
    return _tell_day(case, now)


def _tell_day(case: Case, now: datetime) -> bool:
    """What is told on the newest of its days, once."""
    kind = kinds.of(case)
    day = rules.notice_day(case, kind.notice_days, now)
    what = f"day:{day}"
    if day is None or case.events.filter(what=what).exists():
        return False
    services.note(case, what, by=Automatic(str(case.kind)), now=now)
    kind.tell(case, what, now)
    return True
