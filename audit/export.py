"""The trail as a file: CSV for people and spreadsheets, JSONL for machines and proofs.

Both stream in constant memory and lose nothing: read back, each line is the same entry, and its
leaf can be computed again from its body.
"""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Iterator
from typing import Any

from audit import leaf
from audit.models import Record
from audit.selectors import AuditScope, TrailFilters, walk

COLUMNS = (
    "at", "id", "kind", "effect", "check", "code", "agent", "user", "tool", "resource", "tier",
    "session", "gateway", "actor", "parent", "mode", "version",
)  # fmt: skip
HEADER = (*COLUMNS, "xid", "asked", "judged", "settled", "leaf", "body")
# A spreadsheet takes a cell that starts so for a formula, or for the end of one.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
GUARD = "'"


def csv_lines(filters: TrailFilters, *, scope: AuditScope) -> Iterator[str]:
    """A header and one CSV row (RFC 4180) for each entry, newest first.

    Every cell that starts like a formula, or with an apostrophe, has an apostrophe put before
    it: whoever reads the file back drops one leading apostrophe from each cell (`read_cell`).
    """
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)
    yield writer.writerow(HEADER)
    for records in walk(filters, scope=scope):
        yield from (writer.writerow(map(write_cell, _cells(record))) for record in records)


def jsonl_lines(filters: TrailFilters, *, scope: AuditScope) -> Iterator[str]:
    """One line of ASCII JSON for each entry, newest first: columns, leaf, body, what it says."""
    for records in walk(filters, scope=scope):
        yield from (json.dumps(_object(record)) + "\n" for record in records)


def write_cell(value: str) -> str:
    return GUARD + value if value.startswith((*FORMULA_STARTS, GUARD)) else value


def read_cell(cell: str) -> str:
    """What `write_cell` was given."""
    return cell.removeprefix(GUARD)


def read_jsonl_line(line: str) -> dict[str, Any]:
    """The row that a line of JSONL stands for, as `audit.leaf.faults` takes it."""
    read = json.loads(line)
    return {
        **read["columns"],
        "body": base64.b64decode(read["body"]),
        "leaf": bytes.fromhex(read["leaf"]),
    }


class _Echo:
    """A file for csv.writer, whose writerow returns what this returns."""

    def write(self, text: str) -> str:
        return text


def _columns(record: Record) -> dict[str, Any]:
    plain: dict[str, Any] = {
        column: getattr(record, "deciding_check" if column == "check" else column)
        for column in COLUMNS
    }
    parent = str(record.parent) if record.parent else None
    return plain | {"at": leaf.instant(record.at), "id": str(record.id), "parent": parent}


def _cells(record: Record) -> list[str]:
    body = bytes(record.body)
    said = _said(body)
    columns = ["" if value is None else str(value) for value in _columns(record).values()]
    parts = [json.dumps(said.get(part)) for part in ("asked", "judged", "settled")]
    tail = [bytes(record.leaf).hex(), base64.b64encode(body).decode()]
    return [*columns, str(record.xid), *parts, *tail]


def _object(record: Record) -> dict[str, Any]:
    body = bytes(record.body)
    return {
        "columns": _columns(record),
        "xid": str(record.xid),
        "leaf": bytes(record.leaf).hex(),
        "body": base64.b64encode(body).decode(),
        "said": _said(body),
    }


def _said(body: bytes) -> dict[str, Any]:
    """What the body says; nothing where it was tampered with, which is exported all the same."""
    try:
        return leaf.parse_body(body)
    except leaf.BadBody:
        return {}
