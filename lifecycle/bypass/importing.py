"""A file of calls: looked at first, then applied as it was shown."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from audit import services as audit
from audit.enums import Kind
from audit.uses import reaches_back_to
from authz.rows import resource_id_of
from governance.kernel import clock
from governance.kernel.errors import NotFound
from lifecycle.bypass import accounts, permissions, reading
from lifecycle.bypass.errors import ImportOver
from lifecycle.bypass.reading import Line, Sheet, Wrong
from lifecycle.models import LogImport, LogState, SeenCall, ToolLog
from registry.models import Person

PREVIEW = timedelta(hours=24)
MOST_SHOWN = 200
AT_ONCE = 1000
ACTOR = "system:tool-log"

Row = dict[str, Any]


@transaction.atomic
def keep_preview(*, log: ToolLog, raw: bytes, file_name: str, by: Person) -> LogImport:
    """Read a file and keep what it comes to, for a day. Raises `BadLog`."""
    permissions.check_can_read_in(log.system, by)
    return _kept(log, raw, file_name, by)


@transaction.atomic
def apply_import(*, import_id: int, by: Person) -> LogImport:
    """Take in the calls of a preview, as they were shown. Those that are known stay one."""
    kept = _locked(import_id, by)
    _apply(kept, by)
    return kept


@transaction.atomic
def drop_import(*, import_id: int, by: Person) -> LogImport:
    """Forget a preview."""
    kept = _locked(import_id, by)
    _end(kept, LogState.DROPPED, by)
    return kept


@transaction.atomic
def take_in(*, log: ToolLog, raw: bytes) -> LogImport:
    """A file that came by the log's token: read and applied at once. Raises `BadLog`."""
    kept = _kept(log, raw, "by token", None)
    _apply(kept, None)
    return kept


def forget_preview(import_id: int, now: datetime) -> bool:
    """Drop what a preview holds once it is too old; whether it did."""
    rows = LogImport.objects.select_for_update(no_key=True).filter(
        pk=import_id, state=LogState.PREVIEW, expires_at__lte=now
    )
    kept = rows.first()
    if kept is None:
        return False
    _end(kept, LogState.DROPPED, None)
    return True


def _locked(import_id: int, by: Person) -> LogImport:
    rows = LogImport.objects.select_for_update(of=("self",), no_key=True).select_related(
        "log__system__owner"
    )
    kept = rows.filter(pk=import_id).first()
    if kept is None:
        raise NotFound("There is no such file.")
    permissions.check_can_read_in(kept.log.system, by)
    if kept.state != LogState.PREVIEW or kept.expires_at <= clock.now():
        raise ImportOver()
    return kept


def _kept(log: ToolLog, raw: bytes, file_name: str, by: Person | None) -> LogImport:
    now = clock.now()
    sheet = reading.read_log(raw, columns=log.columns, zone=log.zone, now=now)
    read = _Read(log, sheet)
    return LogImport.objects.create(
        log=log,
        file_name=_name(file_name),
        digest=hashlib.sha256(raw).hexdigest(),
        counts=read.counts,
        wrong=[asdict(each) for each in read.wrong[:MOST_SHOWN]],
        strangers=read.strangers[:MOST_SHOWN],
        unnamed=read.unnamed[:MOST_SHOWN],
        rows=read.rows,
        made_by=by,
        made_at=now,
        expires_at=now + PREVIEW,
    )


def _name(file_name: str) -> str:
    clean = "".join(each for each in file_name if each.isprintable())
    return clean[:120] or "a file"


class _Read:
    """What the lines of a file come to on the register, counted.

    What an account did that is no agent's is counted and not kept: most of them are people.
    """

    def __init__(self, log: ToolLog, sheet: Sheet) -> None:
        self._log = log
        self._agents = accounts.agents_of(log, {each.identity for each in sheet.lines})
        self._tools = accounts.tools_of(log, {each.action for each in sheet.lines})
        self._since = reaches_back_to()
        self.wrong = list(sheet.wrong)
        self.rows: list[Row] = []
        strangers: Counter[str] = Counter()
        unnamed: Counter[str] = Counter()
        self.ignored = 0
        for line in sheet.lines:
            if line.identity not in self._agents:
                strangers[line.identity] += 1
            elif self._tools.get(line.action) == "":
                self.ignored += 1
            elif self._since is None or line.at < self._since:
                self.wrong.append(Wrong(line.number, "The record of decisions begins after it."))
            else:
                unnamed[line.action] += line.action not in self._tools
                self.rows.append(self._row(line))
        self.strangers = _most(strangers)
        self.unnamed = _most(unnamed)
        self.counts = self._counted(sheet, strangers)

    def _row(self, line: Line) -> Row:
        shown = resource_id_of(line.resource, self._log.system.personal_resource_ids)
        return {
            "key": line.key,
            "at": line.at.isoformat(),
            "agent": self._agents[line.identity].pk,
            "identity": line.identity,
            # An action that no tool stands for was decided by nobody: it is listed by its name.
            "tool": self._tools.get(line.action, line.action),
            "action": line.action,
            "resource": shown,
        }

    def _counted(self, sheet: Sheet, strangers: Counter[str]) -> dict[str, int]:
        keys = {row["key"] for row in self.rows}
        known = SeenCall.objects.filter(log=self._log, key__in=keys).count()
        return {
            "lines": len(sheet.lines) + len(sheet.wrong),
            "calls": len(keys),
            "known": known,
            "new": len(keys) - known,
            "wrong": len(self.wrong),
            "strangers": sum(strangers.values()),
            "ignored": self.ignored,
        }


def _most(counted: Counter[str]) -> list[list[Any]]:
    return [[name, many] for name, many in counted.most_common() if many]


def _apply(kept: LogImport, by: Person | None) -> None:
    """Each call once, whoever else reads the same one in at this moment."""
    for start in range(0, len(kept.rows), AT_ONCE):
        calls = [
            SeenCall(log_id=kept.log_id, agent_id=row["agent"], **_fields(row))
            for row in kept.rows[start : start + AT_ONCE]
        ]
        SeenCall.objects.bulk_create(calls, ignore_conflicts=True)
    _end(kept, LogState.DONE, by)
    audit.record(
        kind=Kind.SYSTEM,
        actor=by.pid if by else ACTOR,
        resource=f"system:{kept.log.system.slug}",
        asked={"did": "tool_log_read_in", "import": kept.pk, "digest": kept.digest, **kept.counts},
    )


def _fields(row: Row) -> Row:
    fields = {name: row[name] for name in ("key", "identity", "tool", "action", "resource")}
    return fields | {"at": datetime.fromisoformat(row["at"])}


def _end(kept: LogImport, state: LogState, by: Person | None) -> None:
    """Its rows go, and with them the names of accounts that are no agents: they may be people."""
    kept.state, kept.ended_at, kept.ended_by = state, clock.now(), by
    kept.rows, kept.strangers = [], []
    kept.save(update_fields=["state", "ended_at", "ended_by", "rows", "strangers"])
