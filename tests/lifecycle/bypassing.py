"""A log of a system, written by a test."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime, timedelta

from governance.kernel import clock
from lifecycle.bypass import importing, logs, sweep
from lifecycle.models import LogImport, SeenCall, ToolLog
from registry.enums import GroupName
from registry.models import Person, System
from tests.factories.authz import Desk, make_person

COLUMNS = {"at": "time", "agent": "actor", "action": "event", "resource": "object", "id": "uid"}
LATER = timedelta(minutes=10)
Row = tuple[str, str, str, str, str]


def security() -> Person:
    return make_person(groups=[GroupName.SECURITY])


def make_log(system: System, by: Person | None = None, **fields: object) -> ToolLog:
    given = {"columns": COLUMNS} | fields
    return logs.set_log(system=system, by=by or security(), **given)  # type: ignore[arg-type]


def row(desk: Desk, uid: str, at: datetime | None = None, **changed: str) -> Row:
    """A line about a call of a desk's agent, by its client id."""
    said = {
        "time": (at or clock.now()).isoformat(),
        "actor": desk.client.client_id,
        "event": desk.tool.name,
        "object": "CL-1",
        "uid": uid,
    } | changed
    return (said["time"], said["actor"], said["event"], said["object"], said["uid"])


def sheet(rows: Sequence[Row]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows([list(COLUMNS.values()), *rows])
    return out.getvalue().encode()


def read_in(log: ToolLog, rows: Sequence[Row], by: Person | None = None) -> LogImport:
    by = by or security()
    kept = importing.keep_preview(log=log, raw=sheet(rows), file_name="log.csv", by=by)
    return importing.apply_import(import_id=kept.pk, by=by)


def sweep_all(now: datetime | None = None) -> int:
    """Match what waits, some minutes later; how many keys were handled."""
    at = now or clock.now() + LATER
    return sum(sweep.handle(key, at) for key in list(sweep.due(at)))


def states(log: ToolLog) -> list[str]:
    return sorted(SeenCall.objects.filter(log=log).values_list("state", flat=True))
