"""The trail as a file: CSV for spreadsheets, JSONL for programs, OCSF and CEF for a SIEM.

All of them stream in constant memory, and each entry is one line, whatever it holds. CSV, JSONL and
OCSF lose nothing: read back, each line is the same entry, and its leaf can be computed again from
its body.
"""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from audit import export_cef, export_ocsf, leaf
from audit.export_text import plain, read_plain, written
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

    A column holds no line end, nothing unseen and no markup: those stand as code points. Every
    cell that starts like a formula, or with an apostrophe, has an apostrophe put before it.
    `read_row` takes both back.
    """
    yield _row(HEADER)
    for records in walk(filters, scope=scope):
        yield from map(csv_line, records)


def jsonl_lines(filters: TrailFilters, *, scope: AuditScope) -> Iterator[str]:
    """One line of ASCII JSON for each entry, newest first: columns, leaf, body, what it says."""
    return _lines(jsonl_line, filters, scope)


def ocsf_lines(filters: TrailFilters, *, scope: AuditScope) -> Iterator[str]:
    """One event of OCSF for each entry, newest first, as a line of ASCII JSON."""
    return _lines(ocsf_line, filters, scope)


def cef_lines(filters: TrailFilters, *, scope: AuditScope) -> Iterator[str]:
    """One line of CEF for each entry, newest first."""
    return _lines(cef_line, filters, scope)


def csv_line(record: Record) -> str:
    """An entry as a row with its end."""
    return _row(map(write_cell, _cells(record)))


def jsonl_line(record: Record, index: int | None = None) -> str:
    """An entry as a line of JSON without its end; with its place in the log where it is known."""
    place = {} if index is None else {"index": index}
    return written(place | _object(record))


def ocsf_line(record: Record, index: int | None = None) -> str:
    return written(export_ocsf.event(record, _said(bytes(record.body)), index))


def cef_line(record: Record, index: int | None = None) -> str:
    return export_cef.line(record, _said(bytes(record.body)), index)


def short_cef_line(record: Record, index: int | None, most: int) -> str:
    """The same in at most so many bytes, saying in itself what it leaves out."""
    return export_cef.shortened(record, _said(bytes(record.body)), index, most=most)


def _lines(
    make: Callable[[Record], str], filters: TrailFilters, scope: AuditScope
) -> Iterator[str]:
    for records in walk(filters, scope=scope):
        yield from (make(record) + "\n" for record in records)


def write_cell(value: str) -> str:
    """A cell that no spreadsheet takes for a formula, also behind blanks that it drops."""
    guarded = value.startswith(GUARD) or value.lstrip().startswith(FORMULA_STARTS)
    return GUARD + value if guarded else value


def read_cell(cell: str) -> str:
    """What `write_cell` was given."""
    return cell.removeprefix(GUARD)


def read_row(cells: list[str]) -> dict[str, str]:
    """A row of the CSV by its header, with the texts as they were recorded."""
    found = dict(zip(HEADER, map(read_cell, cells), strict=True))
    return found | {column: read_plain(found[column]) for column in COLUMNS}


def read_jsonl_line(line: str) -> dict[str, Any]:
    """The row that a line of JSONL stands for, as `audit.leaf.faults` takes it."""
    read = json.loads(line)
    return {
        **read["columns"],
        "body": base64.b64decode(read["body"]),
        "leaf": bytes.fromhex(read["leaf"]),
    }


def _row(cells: Iterable[str]) -> str:
    return str(_WRITER.writerow(cells))


class _Echo:
    """A file for csv.writer, whose writerow returns what this returns."""

    def write(self, text: str) -> str:
        return text


_WRITER = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)


def columns_of(record: Record) -> dict[str, Any]:
    """The columns of an entry as its body writes them."""
    plain: dict[str, Any] = {
        column: getattr(record, "deciding_check" if column == "check" else column)
        for column in COLUMNS
    }
    parent = str(record.parent) if record.parent else None
    return plain | {"at": leaf.instant(record.at), "id": str(record.id), "parent": parent}


def _cells(record: Record) -> list[str]:
    body = bytes(record.body)
    said = _said(body)
    columns = ["" if value is None else plain(str(value)) for value in columns_of(record).values()]
    parts = [written(said.get(part)) for part in ("asked", "judged", "settled")]
    tail = [bytes(record.leaf).hex(), base64.b64encode(body).decode()]
    return [*columns, str(record.xid), *parts, *tail]


def _object(record: Record) -> dict[str, Any]:
    body = bytes(record.body)
    return {
        "columns": columns_of(record),
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
