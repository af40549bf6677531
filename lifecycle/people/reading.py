"""A list of people, read row by row. Pure: no database, and no guess where a guess could end one.

What a row leaves empty it does not say. A wrong row is kept, with its line and what is wrong.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from audit.export import read_cell, write_cell
from governance.kernel import clock
from lifecycle.people.errors import BadFile

MAX_BYTES = 5 * 1024 * 1024
MOST_ROWS = 20_000
DELIMITERS = (",", ";", "\t")

# How each column may be called, besides its own name; compared without case, marks and spaces.
COLUMNS: dict[str, tuple[str, ...]] = {
    "id": (
        "employeeid", "employeenumber", "employeeno", "personid", "personnelnumber", "workerid",
        "externalid", "userid", "staffid", "personalnummer", "mitarbeiternummer", "medarbejdernr",
    ),
    "email": (
        "emailaddress", "mail", "workemail", "primaryemail", "emailwork", "userprincipalname",
        "upn", "login", "emailadresse",
    ),
    "name": ("fullname", "displayname", "employeename", "employee", "preferredname", "navn"),
    "first_name": ("givenname", "forename", "vorname", "fornavn", "legalfirstname"),
    "last_name": ("surname", "familyname", "nachname", "efternavn", "legallastname"),
    "department": ("dept", "team", "orgunit", "organizationalunit", "abteilung", "afdeling"),
    "manager": (
        "manageremail", "managerid", "supervisor", "supervisoremail", "supervisorid", "reportsto",
        "linemanager", "vorgesetzter", "leder",
    ),
    "zone": ("timezone", "tz", "zeitzone", "tidszone"),
    "status": (
        "employmentstatus", "employment", "employeestatus", "active", "isactive", "state",
        "beschäftigung",
    ),
    "last_day": (
        "lastworkingday", "lastdayofwork", "lastworkday", "terminationdate", "enddate",
        "leavingdate", "leavedate", "contractenddate", "austrittsdatum", "slutdato",
    ),
}  # fmt: skip
SHOWN = ("id", "email", "name", "department", "manager", "zone", "status", "last_day")
MOST = {"id": 255, "email": 254, "name": 150, "department": 100, "zone": 50, "manager": 255}

EMPLOYED, LEAVING, LEFT = "employed", "leaving", "left"
STATUSES = {
    EMPLOYED: (
        "employed", "active", "yes", "true", "1", "current", "on leave", "leave of absence",
        "parental leave", "aktiv", "ja", "ansat",
    ),
    LEAVING: ("leaving", "notice", "on notice", "notice period", "resigned"),
    LEFT: (
        "left", "inactive", "terminated", "former", "no", "false", "0", "ended", "dismissed",
        "retired", "inaktiv", "nein", "nej", "ausgetreten", "fratrådt",
    ),
}  # fmt: skip
_STATUS = {word: status for status, words in STATUSES.items() for word in words}
# Said in a last day's cell: the one that was said before holds no more.
NO_LAST_DAY = ("none", "-")

_DATES = (
    re.compile(r"(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})(?:[T ]00:00(?::00(?:\.0+)?)?Z?)?"),
    re.compile(r"(?P<d>\d{1,2})\.(?P<m>\d{1,2})\.(?P<y>\d{4})"),
    re.compile(r"(?P<y>\d{4})/(?P<m>\d{1,2})/(?P<d>\d{1,2})"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """What one line says of one person, by column, and what is wrong with it.

    `last_day` is there as a date, and as None where the line takes an earlier one back.
    """

    line: int
    said: dict[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sheet:
    """A whole file: its rows, and the names of the columns that were not read."""

    rows: tuple[Row, ...]
    unread: tuple[str, ...] = ()


def read_people(raw: bytes) -> Sheet:
    """Every row of `raw`, the wrong ones too. Raises `BadFile` where it is no list of people."""
    text = _text(raw)
    delimiter, names = _header(text)
    unread = tuple(name for name, column in names if not column)
    columns = [column for _, column in names]
    try:
        return Sheet(tuple(_marked_twice(_rows(text, delimiter, columns))), unread)
    except csv.Error as error:
        raise BadFile(f"This is no CSV: {error}.") from error


def _text(raw: bytes) -> str:
    if len(raw) > MAX_BYTES:
        raise BadFile(f"The file is larger than {MAX_BYTES // 1024**2} MiB. Split it.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadFile("The file is not in UTF-8. Save it as “CSV UTF-8”.") from error
    if "\0" in text:
        raise BadFile("The file holds the character NUL. Save it as “CSV UTF-8”.")
    return text


def _header(text: str) -> tuple[str, list[tuple[str, str]]]:
    """What separates the cells, and each heading with the column that it means."""
    first = text.lstrip("\r\n").splitlines()[:1]
    found = [(each, _headings(first, each)) for each in DELIMITERS]
    delimiter, names = max(found, key=lambda each: sum(bool(column) for _, column in each[1]))
    columns = [column for _, column in names if column]
    if not {"id", "email"} & set(columns):
        raise BadFile("The first line names the columns; one is id or email. See the template.")
    if twice := sorted({each for each in columns if columns.count(each) > 1}):
        raise BadFile(f"Two columns are both taken for {twice[0]}. Leave one of them out.")
    return delimiter, names


def _headings(first: list[str], delimiter: str) -> list[tuple[str, str]]:
    try:
        cells = next(csv.reader(first, delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []
    return [(cell.strip()[:60], column_of(cell)) for cell in cells]


def column_of(heading: str) -> str:
    """The column that a heading means; empty for one that is not read."""
    said = unicodedata.normalize("NFKC", read_cell(heading.strip())).casefold()
    said = "".join(each for each in said if each.isalnum())
    for column, others in COLUMNS.items():
        if said == column.replace("_", "") or said in others:
            return column
    return ""


def _rows(text: str, delimiter: str, columns: list[str]) -> Iterator[Row]:
    lines = csv.reader(io.StringIO(text.lstrip("\r\n"), newline=""), delimiter=delimiter)
    next(lines)
    # Leading empty lines were dropped, and count.
    before, many = len(re.match(r"(\r\n|\r|\n)*", text)[0].replace("\r\n", "\n")), 0  # type: ignore[index]
    line = lines.line_num + 1
    for cells in lines:
        if any(cell.strip() for cell in cells):
            many += 1
            if many > MOST_ROWS:
                raise BadFile(f"There are more than {MOST_ROWS:,} people. Split the file.")
            yield _row(before + line, columns, cells)
        line = lines.line_num + 1


def _row(line: int, columns: list[str], cells: list[str]) -> Row:
    said: dict[str, Any] = {}
    problems: list[str] = []
    if len(cells) > len(columns):
        problems.append(f"It has {len(cells)} cells, and there are {len(columns)} columns.")
    for column, cell in zip(columns, cells, strict=False):
        value = " ".join(read_cell(cell.strip()).split())
        if column and value:
            _take(said, column, value, problems)
    _name(said)
    if not problems:
        problems += _missing(said)
    return Row(line, said, tuple(problems))


def _take(said: dict[str, Any], column: str, value: str, problems: list[str]) -> None:
    try:
        said[column] = READERS.get(column, _plain)(value, column)
    except ValueError as error:
        problems.append(str(error))


def _plain(value: str, column: str) -> str:
    if any(unicodedata.category(each) in {"Cc", "Cs", "Cf"} for each in value):
        raise ValueError(f"{column} holds a character that nobody sees.")
    if len(value) > MOST.get(column, 150):
        raise ValueError(f"{column} is longer than {MOST.get(column, 150)} characters.")
    return value


def _email(value: str, column: str) -> str:
    address = _plain(value, column).lower()
    try:
        validate_email(address)
    except ValidationError as error:
        raise ValueError(f"{value[:60]} is no e-mail address.") from error
    return address


def _zone(value: str, column: str) -> str:
    try:
        return ZoneInfo(_plain(value, column)).key
    except Exception as error:  # what it raises for a wrong name differs by the name
        raise ValueError(f"{value[:60]} is no time zone. Write Europe/Copenhagen.") from error


def _status(value: str, column: str) -> str:
    known = _STATUS.get(value.casefold())
    if known is None:
        raise ValueError(f"{value[:40]} is no status. Write employed, leaving or left.")
    return known


def _last_day(value: str, column: str) -> date | None:
    if value.casefold() in NO_LAST_DAY:
        return None
    day = read_date(value)
    if day == date.max:  # how many systems of records write it
        return None
    if not clock.is_usable(day):
        raise ValueError(f"{value[:40]} lies outside {clock.USABLE}.")
    return day


def read_date(value: str) -> date:
    """A day as people write it, where it can be read in one way alone. Else `ValueError`."""
    found = next((match for each in _DATES if (match := each.fullmatch(value))), None)
    if found is None:
        raise ValueError(f"{value[:40]} can be read in more ways than one. Write 2026-12-31.")
    try:
        return date(*(int(found[part]) for part in "ymd"))
    except ValueError as error:
        raise ValueError(f"There is no day {value[:40]}.") from error


READERS = {"email": _email, "zone": _zone, "status": _status, "last_day": _last_day}


def _name(said: dict[str, Any]) -> None:
    """One name, where the file has it in two parts."""
    parts = [said.pop(part, "") for part in ("first_name", "last_name")]
    if whole := " ".join(filter(None, parts))[: MOST["name"]]:
        said.setdefault("name", whole)


def _missing(said: dict[str, Any]) -> Iterator[str]:
    if not {"id", "email"} & set(said):
        yield "It has neither an id nor an e-mail address, so nobody knows who it is."
    if said.get("status") == LEAVING and not said.get("last_day"):
        yield "Someone who is leaving needs a last day."


def _marked_twice(rows: Iterable[Row]) -> Iterator[Row]:
    """Each row; one who stood in the file before is wrong, so that neither undoes the other."""
    first: dict[tuple[str, str], int] = {}
    for row in rows:
        keys = [(name, row.said[name]) for name in ("id", "email") if name in row.said]
        earlier = next((first[key] for key in keys if key in first), None)
        for key in keys:
            first.setdefault(key, row.line)
        if earlier is None:
            yield row
        else:
            yield Row(row.line, row.said, (*row.problems, f"Line {earlier} is the same person."))


# Writing


def csv_line(cells: Iterable[object]) -> str:
    """One line of CSV in which no cell is taken for a formula; `read_cell` takes that back."""
    told = io.StringIO()
    csv.writer(told).writerow([write_cell("" if cell is None else str(cell)) for cell in cells])
    return told.getvalue()
