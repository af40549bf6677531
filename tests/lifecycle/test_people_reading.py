"""A list of people is read in one way or not at all."""

import csv
import io
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.people.errors import BadFile
from lifecycle.people.reading import MAX_BYTES, SHOWN, csv_line, read_people

PLAIN = "id,email,name\n7,ada@example.org,Ada\n"


@pytest.mark.parametrize(
    "raw",
    [
        PLAIN.encode(),
        b"\xef\xbb\xbf" + PLAIN.encode(),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", "\t").encode(),
        PLAIN.replace("\n", "\r\n").encode(),
        b'"Employee ID";"E-Mail";"First name";"Last name"\n7;ADA@example.org;Ada;\n',
        b"Personalnummer;E-Mail-Adresse;Vorname\n7;ada@example.org;Ada\n",
        b"employee_number,Work Email,Display Name,Shoe size\n7,ada@example.org,Ada,38\n",
    ],
)
def test_the_same_person_in_other_files(raw: bytes) -> None:
    (row,) = read_people(raw).rows

    assert (row.line, row.said, row.problems) == (
        2,
        {"id": "7", "email": "ada@example.org", "name": "Ada"},
        (),
    )


def test_what_is_not_read_is_said() -> None:
    assert read_people(b"email,Shoe size\na@b.dk,38\n").unread == ("Shoe size",)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("2026-12-31", date(2026, 12, 31)),
        ("2026-12-31T00:00:00Z", date(2026, 12, 31)),
        ("31.12.2026", date(2026, 12, 31)),
        ("2026/12/31", date(2026, 12, 31)),
        ("none", None),
        ("9999-12-31", None),
        ("31.12.9999", None),
    ],
)
def test_last_days(cell: str, said: date | None) -> None:
    (row,) = read_people(f"email,last day\na@b.dk,{cell}\n".encode()).rows

    assert row.said == {"email": "a@b.dk", "last_day": said}


@pytest.mark.parametrize(
    ("column", "cell", "problem"),
    [
        (
            "last day",
            "03/04/2026",
            "03/04/2026 can be read in more ways than one. Write 2026-12-31.",
        ),
        ("last day", "2026-02-30", "There is no day 2026-02-30."),
        ("last day", "0001-01-01", "0001-01-01 lies outside 1970 to 2169."),
        ("last day", "2170-01-01", "2170-01-01 lies outside 1970 to 2169."),
        (
            "last day",
            "2026-12-31T23:00:00Z",
            "2026-12-31T23:00:00Z can be read in more ways than one. Write 2026-12-31.",
        ),
        ("status", "perhaps", "perhaps is no status. Write employed, leaving or left."),
        ("status", "on notice", "Someone who is leaving needs a last day."),
        ("time zone", "Mars/Base", "Mars/Base is no time zone. Write Europe/Copenhagen."),
        ("time zone", "../etc", "../etc is no time zone. Write Europe/Copenhagen."),
        ("name", "Ada\u202eevil", "name holds a character that nobody sees."),
        ("department", "d" * 101, "department is longer than 100 characters."),
        ("name", "Ada,and,more", "It has 4 cells, and there are 2 columns."),
    ],
)
def test_what_is_wrong_with_a_row(column: str, cell: str, problem: str) -> None:
    (row,) = read_people(f"email,{column}\na@b.dk,{cell}\n".encode()).rows

    assert row.problems == (problem,)


def test_nobody_is_taken_twice_from_one_file() -> None:
    rows = read_people(b"id,email\n1,a@b.dk\n2,A@b.dk\n1,c@b.dk\n").rows

    assert [(row.line, row.problems) for row in rows] == [
        (2, ()),
        (3, ("Line 2 is the same person.",)),
        (4, ("Line 2 is the same person.",)),
    ]


def test_lines_are_those_of_the_file() -> None:
    rows = read_people(b'\n\nemail,name\n\na@b.dk,"two\nlines"\n,\nb@b.dk,B\n').rows

    assert [(row.line, row.said["name"]) for row in rows] == [(5, "two lines"), (8, "B")]


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "The first line names the columns; one is id or email. See the template."),
        (b"name\nAda\n", "The first line names the columns; one is id or email. See the template."),
        (PLAIN.encode("utf-16"), "The file is not in UTF-8. Save it as “CSV UTF-8”."),
        (b"email\na\0@b.dk\n", "The file holds the character NUL. Save it as “CSV UTF-8”."),
        (b"email,mail\n", "Two columns are both taken for email. Leave one of them out."),
        (b"email\n" + b"x" * MAX_BYTES, "The file is larger than 5 MiB. Split it."),
        (
            b"email,name\na@b.dk," + b"x" * 200_000,
            "This is no CSV: field larger than field limit (131072).",
        ),
    ],
)
def test_what_is_no_list_of_people(raw: bytes, problem: str) -> None:
    with pytest.raises(BadFile) as refused:
        read_people(raw)

    assert refused.value.message == problem


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=30)


@given(
    people=st.lists(
        st.fixed_dictionaries(
            {
                "id": TEXT,
                "name": TEXT,
                "department": TEXT,
                "status": st.sampled_from(["employed", "left"]),
                "last_day": st.dates(min_value=date(1970, 1, 1), max_value=date(2169, 12, 31)),
            }
        ),
        max_size=8,
        unique_by=lambda each: each["id"],
    )
)
def test_what_is_written_is_read_back_and_is_no_formula(people: list[dict[str, Any]]) -> None:
    lines = [csv_line(SHOWN), *(csv_line(each.get(name) for name in SHOWN) for each in people)]
    written = "".join(lines)

    rows = read_people(written.encode()).rows

    assert [(row.said, row.problems) for row in rows] == [(each, ()) for each in people]
    cells = [cell for line in csv.reader(io.StringIO(written)) for cell in line]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


@given(
    raw=st.binary(max_size=400)
    | st.text(max_size=300).map(lambda text: text.encode("utf-8", "ignore"))
)
def test_nothing_breaks_the_reading(raw: bytes) -> None:
    try:
        rows = read_people(b"email,name\n" + raw).rows
    except BadFile:
        return
    assert all(row.said or row.problems for row in rows)
