"""A log of calls, read line by line. Pure: no database, and no line that cannot be read is guessed.

CSV with a first line that names the columns, or one JSON object a line, whose members are named
by dotted paths (`actor.email`).
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from audit.export import read_cell
from governance.kernel import strict_json
from lifecycle.bypass.errors import BadLog

MAX_BYTES = 5 * 1024 * 1024
MAX_LINE = 64 * 1024
MOST_ROWS = 20_000
MOST_LENGTH = 255
NEEDED = ("at", "agent", "action")
COLUMNS = (*NEEDED, "resource", "id")
FUTURE = timedelta(minutes=10)

_SECONDS = re.compile(r"\d{9,10}(?:\.\d{1,9})?")
_MILLISECONDS = re.compile(r"\d{12,13}")


@dataclass(frozen=True, slots=True)
class Line:
    """One call as the log tells it. `key` is SHA-256 over its id, else over the line."""

    number: int
    key: str
    at: datetime
    identity: str
    action: str
    resource: str = ""


@dataclass(frozen=True, slots=True)
class Wrong:
    """A line that was not read, and why."""

    number: int
    why: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """A whole file."""

    lines: tuple[Line, ...]
    wrong: tuple[Wrong, ...]


class _Unreadable(Exception):
    """Why a line says nothing."""


def read_log(raw: bytes, *, columns: Mapping[str, str], zone: str, now: datetime) -> Sheet:
    """Every line of `raw`. Raises `BadLog` where it is no log at all."""
    text = _text(raw)
    lines: list[Line] = []
    wrong: list[Wrong] = []
    reading = _Reading(columns, zone, now)
    for number, row in _rows(text, columns):
        if len(lines) + len(wrong) >= MOST_ROWS:
            raise BadLog(f"There are more than {MOST_ROWS:,} lines. Split the file.")
        try:
            if isinstance(row, str):
                raise _Unreadable(row)
            lines.append(reading.line(number, row))
        except _Unreadable as error:
            wrong.append(Wrong(number, str(error)))
    return Sheet(tuple(lines), tuple(wrong))


def _text(raw: bytes) -> str:
    if len(raw) > MAX_BYTES:
        raise BadLog(f"The file is larger than {MAX_BYTES // 1024**2} MiB. Split it.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadLog(f"The file is not in UTF-8 (byte {error.start}).") from error
    if "\0" in text:
        raise BadLog("The file holds the character NUL.")
    if not text.strip():
        raise BadLog("There is nothing in it.")
    return text


Row = dict[str, Any] | str
"""The values of a line, or what is wrong with it."""


def _rows(text: str, columns: Mapping[str, str]) -> Iterator[tuple[int, Row]]:
    if text.lstrip()[:1] == "[":
        raise BadLog("This is one JSON list. Send one object a line (JSONL), or CSV.")
    return _jsonl(text) if text.lstrip()[:1] == "{" else _csv(text, columns)


def _jsonl(text: str) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = strict_json.loads(line.encode(), max_bytes=MAX_LINE)
        except strict_json.BadJson as error:
            yield number, error.message[:200]
            continue
        yield number, value if isinstance(value, dict) else "This is no JSON object."


def _csv(text: str, columns: Mapping[str, str]) -> Iterator[tuple[int, Row]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        names = [read_cell(cell.strip()) for cell in next(reader, [])]
        _check_names(names, columns)
        before = reader.line_num
        for cells in reader:
            number, before = before + 1, reader.line_num
            if any(cell.strip() for cell in cells):
                yield number, _cells(names, cells)
    except csv.Error as error:
        raise BadLog(f"This is no CSV from line {reader.line_num} on: {error}.") from error


def _check_names(names: list[str], columns: Mapping[str, str]) -> None:
    wanted = [name for name in columns.values() if name]
    if missing := [name for name in wanted if name not in names]:
        raise BadLog(f"The first line has no column {missing[0][:60]}.")
    if twice := [name for name in wanted if names.count(name) > 1]:
        raise BadLog(f"The first line names {twice[0][:60]} twice.")


def _cells(names: list[str], cells: list[str]) -> Row:
    if len(cells) != len(names):
        return f"It has {len(cells)} cells, and there are {len(names)} columns."
    return dict(zip(names, map(read_cell, cells), strict=True))


@dataclass(frozen=True, slots=True)
class _Reading:
    """How the lines of one file are read. `alike` counts lines that say the same."""

    columns: Mapping[str, str]
    zone: str
    now: datetime
    alike: Counter[str] = field(default_factory=Counter)

    def line(self, number: int, row: dict[str, Any]) -> Line:
        """The call that a line tells of. Raises `_Unreadable`."""
        said = {name: _value(row, path, name) for name, path in self.columns.items() if path}
        if missing := [name for name in NEEDED if not said.get(name)]:
            raise _Unreadable(f"It says no {self.columns[missing[0]][:60]}.")
        at = read_time(said["at"], self.zone)
        if at > self.now + FUTURE:
            raise _Unreadable("Its time has not come yet.")
        key = self._key(said.get("id", ""), row)
        return Line(number, key, at, said["agent"], said["action"], said.get("resource", ""))

    def _key(self, given: str, row: dict[str, Any]) -> str:
        """Two lines that are alike are two calls; the same file again tells of the same two."""
        key = f"id\n{given}"
        if not given:
            key = "line\n" + json.dumps(row, sort_keys=True)
            self.alike[key] += 1
            key = f"{key}\n{self.alike[key]}"
        return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _value(row: dict[str, Any], path: str, name: str) -> str:
    found: Any = row.get(path)
    if found is None:
        found = row
        for part in path.split("."):
            found = found.get(part) if isinstance(found, dict) else None
    if found is None or isinstance(found, bool | dict | list):
        return ""
    value = str(found).strip()
    if len(value) > MOST_LENGTH:
        raise _Unreadable(f"{name} is longer than {MOST_LENGTH} characters.")
    if any(unicodedata.category(each) in {"Cc", "Cf", "Cs"} for each in value):
        raise _Unreadable(f"{name} holds a character that nobody sees.")
    return value


def read_time(value: str, zone: str) -> datetime:
    """An instant: ISO 8601, or seconds or milliseconds since 1970. `zone` where it says none."""
    try:
        if _MILLISECONDS.fullmatch(value):
            return datetime.fromtimestamp(int(value) / 1000, UTC)
        if _SECONDS.fullmatch(value):
            return datetime.fromtimestamp(float(value), UTC)
        found = datetime.fromisoformat(value)
        if found.tzinfo is None:
            if not zone:
                raise _Unreadable("Its time has no offset, and the log has no time zone set.")
            found = found.replace(tzinfo=ZoneInfo(zone))
        return found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _Unreadable(f"{value[:40]} is no time.") from error
