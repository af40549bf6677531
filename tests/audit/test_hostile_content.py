"""Promise 6: no content breaks a line, forges an entry, or comes back as something else."""

import csv
import io
import json
from typing import Any
from uuid import UUID

import pytest

from audit import export, leaf, selectors, services
from audit.enums import Kind
from audit.models import Record
from audit.selectors import AuditScope, TrailFilters
from tests import public
from tests.audit.test_payloads import Auditor

pytestmark = pytest.mark.django_db

EVERYTHING = AuditScope(everything=True)
FILES = [
    "control-chars__NullByteRepresentations.txt",
    "control-chars__terminal-escape-codes.txt",
    "http-protocol__crlf-injection.txt",
    "unicode__naughty-unicode.txt",
    "unicode__right-to-left.txt",
    "unicode__specialchars.txt",
    "unicode__two-byte-chars.txt",
]
OWN = [
    '\r\n2026-11-23T13:40:01Z,allow,"forged"\r\n',
    '"\n{"columns": {"effect": "allow"}}\n',
    "\x1b[2J\x1b[1;1Hcleared",
    "\u202egnp.exe\u2066",
    "a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg",
    "=cmd|'/c calc'!A1",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "'=1",
    "''",
    "＝1+1",
    '=HYPERLINK("https://example.com","x")',
    ",;\"'`",
    "\ufeffbom",
    "\ufffe\uffff\U0010ffff",
    "a\\u0000b\\",
    "".join(map(chr, range(1, 32))) + "\x7f",
]


def naughty() -> list[str]:
    return public.naughty_strings()


def lines_of_files() -> list[str]:
    folder = public.path("corpora/fuzzdb")
    lines = [line for name in FILES for line in (folder / name).read_bytes().split(b"\n")]
    return [line.decode("utf-8", "replace").replace("\0", "\\0") for line in lines if line]


def own() -> list[str]:
    return OWN


def record_in_every_field(strings: list[str], session: str) -> dict[UUID, dict[str, Any]]:
    """Record each string in every column, in line 1, in line 2 and as payload."""
    wanted = {}
    rows = []
    for text in strings:
        column = text.encode()[:900].decode(errors="ignore")
        said = {
            **dict.fromkeys(
                ("actor", "agent", "user", "gateway", "tool", "resource", "tier", "mode"), column
            ),
            **dict.fromkeys(("effect", "check", "code"), column),
            "kind": Kind.OUTCOME,
            "session": session,
            "asked": {"text": text, text: [text]},
            "judged": {text: text},
            "settled": {"text": text, text: [text]},
        }
        row = services.prepare_row(**said, payload={"output": {text: text}})
        wanted[UUID(row["id"])] = said
        rows.append(row)
    for start in range(0, len(rows), 64):
        services.append_rows(rows[start : start + 64])
    return wanted


def without_digests(asked: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in asked.items() if key != "digests"}


@pytest.mark.parametrize("source", [naughty, lines_of_files, own])
def test_an_export_reads_back_as_the_same_entries(source: Any) -> None:
    strings, session = source(), f"hostile-{source.__name__}"
    wanted = record_in_every_field(strings, session)
    filters = TrailFilters(session=session)
    stored = {
        record.id: (bytes(record.body), bytes(record.leaf))
        for record in Record.objects.filter(session=session)
    }

    rows = [export.read_jsonl_line(line) for line in export.jsonl_lines(filters, scope=EVERYTHING)]
    text = "".join(export.csv_lines(filters, scope=EVERYTHING))
    header, *cells = csv.reader(io.StringIO(text, newline=""))

    # As JSONL: the same bytes, the same leaves, and nothing but the entries.
    assert {UUID(row["id"]): (row["body"], row["leaf"]) for row in rows} == stored
    assert [fault for row in rows for fault in leaf.faults(row)] == []
    assert len(rows) == len(strings) == len(stored)
    # What is said is what was meant.
    for row in rows:
        said, meant = leaf.parse_body(row["body"]), wanted[UUID(row["id"])]
        said["asked"] = without_digests(said["asked"])
        assert {key: said[key] for key in meant} == meant
        assert {key: row[key] for key in meant if key in row} == {
            key: value for key, value in meant.items() if key in row
        }
    # As CSV: the same, cell by cell, and no cell is a formula.
    assert tuple(header) == export.HEADER
    assert [cell for row in cells for cell in row if cell.startswith(export.FORMULA_STARTS)] == []
    read = [export.read_row(row) for row in cells]
    assert [as_row(row) for row in read] == rows


def as_row(cells: dict[str, str]) -> dict[str, Any]:
    """A CSV row as `read_jsonl_line` gives it."""
    line = {
        "columns": {
            **{column: cells[column] for column in export.COLUMNS},
            "parent": cells["parent"] or None,
            "version": int(cells["version"]),
        },
        "body": cells["body"],
        "leaf": cells["leaf"],
    }
    return export.read_jsonl_line(json.dumps(line))


def test_a_tampered_entry_is_exported_as_it_is(as_owner: Any) -> None:
    record_in_every_field(["one", "two"], "tampered")
    with as_owner() as cursor:
        cursor.execute("ALTER TABLE audit.record DISABLE TRIGGER no_change")
        cursor.execute("UPDATE audit.record SET body = '{' WHERE session = 'tampered'")
    filters = TrailFilters(session="tampered")

    lines = list(export.jsonl_lines(filters, scope=EVERYTHING))
    cells = list(export.csv_lines(filters, scope=EVERYTHING))

    said = ["the leaf is not the hash of the body", "the body has 1 lines, not 2"]
    assert [leaf.faults(export.read_jsonl_line(line)) for line in lines] == [said, said]
    assert [selectors.faults(record) for record in Record.objects.filter(session="tampered")] == [
        said,
        said,
    ]
    assert len(cells) == 3


@pytest.mark.parametrize("source", [naughty, lines_of_files, own])
def test_jsonl_has_one_line_an_entry_whoever_splits_it(source: Any) -> None:
    strings, session = source(), f"lines-{source.__name__}"
    record_in_every_field(strings, session)

    text = "".join(export.jsonl_lines(TrailFilters(session=session), scope=EVERYTHING))

    # str.splitlines also breaks at U+2028, U+0085, vertical tabs and the like.
    assert len(text.splitlines()) == len(text.split("\n")) - 1 == len(strings)
    assert text.isascii()
    assert "\x1b" not in text


@pytest.mark.parametrize("source", [naughty, lines_of_files, own])
def test_payloads_come_back_as_they_were(source: Any) -> None:
    strings, session = [*source(), "with NUL \0"], f"payload-{source.__name__}"
    rows = [
        services.prepare_row(
            kind=Kind.OUTCOME, actor="desk", agent="desk", session=session, payload={"output": text}
        )
        for text in strings
    ]
    services.append_rows(rows)
    records = {record.id: record for record in Record.objects.filter(session=session)}

    read = [selectors._open(records[UUID(row["id"])], "output") for row in rows]

    assert read == strings
    assert (
        selectors.read_payload(records[UUID(rows[0]["id"])], "output", by=Auditor()) == strings[0]
    )
