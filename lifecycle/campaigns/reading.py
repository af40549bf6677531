"""A list of what runs, read row by row. Pure: no database, nothing kept of a secret."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from audit.export import read_cell
from lifecycle.imports import BadImport, Proposed, read
from lifecycle.imports.agent_files import read_agent

CSV = "csv"
MAX_BYTES = 1024 * 1024
MOST_ROWS = 1_000
TEXTS = ("name", "slug", "owner", "purpose", "builder", "repository", "runs_at", "model", "kind")
LISTS = ("tools",)
NUMBERS = ("rate_per_minute", "rate_per_hour", "spend_cap_minor", "spend_cap_month_minor")
COLUMNS = (*TEXTS, *LISTS, *NUMBERS)


@dataclass(frozen=True, slots=True)
class Row:
    """One row: where it stood, what was made of it, and what is wrong with it."""

    place: str
    proposed: Proposed
    problems: tuple[str, ...] = ()


def read_rows(raw: bytes, *, kind: str = "") -> list[Row]:
    """Every row of `raw`, the wrong ones too. `kind` "" finds out what it is.

    Raises `BadImport` where it cannot be read at all.
    """
    if kind == CSV or (not kind and _is_csv(raw)):
        return _of_csv(raw)
    found = read(raw, kind=kind)
    return [Row(f"entry {place}", each) for place, each in enumerate(found, start=1)]


def _is_csv(raw: bytes) -> bool:
    head = raw.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0].decode("utf-8", "replace")
    try:
        names = [_column(cell) for cell in next(csv.reader([head.strip()]), [])]
    except csv.Error:
        return False
    return len(names) > 1 and bool({"name", "slug"} & set(names))


def _column(cell: str) -> str:
    return cell.strip().lower().replace(" ", "_").replace("-", "_")


def _of_csv(raw: bytes) -> list[Row]:
    if len(raw) > MAX_BYTES:
        raise BadImport(f"The list is larger than {MAX_BYTES // 1024} KiB. Split it.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadImport("The list is not in UTF-8. Save it so, then try again.") from error
    try:
        return list(_csv_rows(text))
    except csv.Error as error:
        raise BadImport(f"This is no CSV: {error}.") from error


def _csv_rows(text: str) -> Iterator[Row]:
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    names = [_column(cell) for cell in next(lines, [])]
    if not {"name", "slug"} & set(names):
        raise BadImport(f"The first line names the columns, such as: {', '.join(COLUMNS[:5])}.")
    unread = sorted({name for name in names if name and name not in COLUMNS})
    for count, cells in enumerate(filter(any, lines), start=1):
        if count > MOST_ROWS:
            raise BadImport(f"There are more than {MOST_ROWS:,} rows. Split the list.")
        yield _csv_row(f"line {lines.line_num}", names, cells, unread)


def _csv_row(place: str, names: list[str], cells: list[str], unread: Iterable[str]) -> Row:
    given: dict[str, Any] = {}
    problems = [f"The column {name} was not read." for name in unread]
    if len(cells) != len(names):
        problems.append(f"It has {len(cells)} cells, and there are {len(names)} columns.")
    for name, cell in zip(names, cells, strict=False):
        value = read_cell(cell).strip()
        if value and name in COLUMNS:
            _take(given, name, value, problems)
    return Row(place, read_agent(given), tuple(problems))


def _take(given: dict[str, Any], name: str, value: str, problems: list[str]) -> None:
    if name in LISTS:
        given[name] = value.replace(";", " ").replace(",", " ").split()
    elif name not in NUMBERS:
        given[name] = value
    elif value.isascii() and value.isdecimal() and len(value) < 12:
        given[name] = int(value)
    else:
        problems.append(f"{name} is no whole number.")
