"""Which call used which decision, and how a log is read. No database."""

from __future__ import annotations

import csv
import io
import itertools
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from lifecycle.bypass import reading
from lifecycle.bypass.errors import BadLog
from lifecycle.bypass.matching import Called, Decided, pairs

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
WINDOW, AHEAD = timedelta(seconds=300), timedelta(seconds=5)
UNSEEN = "agent holds a character that nobody sees."
NO_CSV = "This is no CSV from line 2 on: unexpected end of data."
NO_ZONE = "Its time has no offset, and the log has no time zone set."
COLUMNS = {"at": "time", "agent": "actor", "action": "event", "resource": "object", "id": "uid"}


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def matched(calls: list[tuple[float, str]], decisions: list[tuple[float, str]]) -> dict[int, int]:
    found = pairs(
        [Called(place, at(when), resource) for place, (when, resource) in enumerate(calls)],
        [Decided(UUID(int=place), at(when), each) for place, (when, each) in enumerate(decisions)],
        window=WINDOW,
        ahead=AHEAD,
    )
    return {call: each.int for call, each in found.items()}


@pytest.mark.parametrize(
    ("calls", "decisions", "found"),
    [
        ([(10, "")], [(0, "")], {0: 0}),
        ([(10, ""), (11, "")], [(0, "")], {0: 0}),
        ([(300, "")], [(0, "")], {0: 0}),
        ([(301, "")], [(0, "")], {}),
        ([(0, "")], [(5, "")], {0: 0}),
        ([(0, "")], [(6, "")], {}),
        ([(10, "CL-1")], [(0, "CL-2")], {}),
        ([(10, "CL-1")], [(0, "CL-2"), (1, "CL-1")], {0: 1}),
        ([(10, "CL-1")], [(0, "")], {0: 0}),
        ([(10, "")], [(0, "CL-2")], {0: 0}),
        # A call about nothing named leaves the decision to the one that names its resource.
        ([(9, ""), (10, "CL-1")], [(0, "CL-1"), (1, "")], {1: 0, 0: 1}),
        ([(9, ""), (10, "CL-1")], [(0, "CL-1")], {1: 0}),
        # The oldest that still counts is taken, so that a later call keeps the newer one.
        ([(100, ""), (390, "")], [(90, ""), (95, "")], {0: 0, 1: 1}),
        ([], [(0, "")], {}),
    ],
)
def test_a_decision_covers_one_call_within_its_window(
    calls: list[tuple[float, str]], decisions: list[tuple[float, str]], found: dict[int, int]
) -> None:
    assert matched(calls, decisions) == found


def test_no_pairing_of_calls_alike_leaves_fewer_without_a_decision() -> None:
    """Against every assignment, on small sets."""
    times = (0, 40, 290, 310, 600)
    for calls, decisions in itertools.product(
        itertools.combinations(times, 3), itertools.combinations((-5, 3, 280, 305, 400), 3)
    ):
        most = max(
            sum(call - 300 <= each <= call + 5 for call, each in zip(calls, order, strict=True))
            for order in itertools.permutations(decisions)
        )

        found = matched([(call, "") for call in calls], [(each, "") for each in decisions])

        assert len(found) == most


def read(text: str | bytes, *, zone: str = "") -> reading.Sheet:
    raw = text if isinstance(text, bytes) else text.encode()
    return reading.read_log(raw, columns=COLUMNS, zone=zone, now=NOON)


def sheet(*rows: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([["time", "actor", "event", "object", "uid"], *rows])
    return out.getvalue()


def test_csv_and_jsonl_tell_the_same() -> None:
    row = ["2026-11-02T11:00:00Z", "desk-1", "refund.create", "CL-1", "e-1"]
    object_ = dict(zip(("time", "actor", "event", "object", "uid"), row, strict=True))

    from_csv, from_json = read(sheet(row)), read(json.dumps(object_) + "\n")

    assert from_csv.wrong == from_json.wrong == ()
    (one,), (other,) = from_csv.lines, from_json.lines
    assert (one.key, one.at, one.identity, one.action, one.resource) == (
        *(other.key, other.at, other.identity, other.action, other.resource),
    )
    assert one.at == datetime(2026, 11, 2, 11, tzinfo=UTC)


def test_a_path_goes_into_an_object_and_a_name_with_dots_comes_first() -> None:
    columns = COLUMNS | {"agent": "actor.id", "action": "event.name"}
    line = {"time": 1793617200, "actor": {"id": "desk-1"}, "event.name": "x", "uid": 7}

    found = reading.read_log(json.dumps(line).encode(), columns=columns, zone="", now=NOON)

    assert [(each.identity, each.action) for each in found.lines] == [("desk-1", "x")]


@pytest.mark.parametrize(
    ("value", "zone", "instant"),
    [
        ("2026-11-02T10:00:00+01:00", "", "2026-11-02T09:00:00+00:00"),
        ("2026-11-02 10:00:00", "Europe/Copenhagen", "2026-11-02T09:00:00+00:00"),
        ("1793617200", "", "2026-11-02T11:00:00+00:00"),
        ("1793617200000", "", "2026-11-02T11:00:00+00:00"),
    ],
)
def test_times_are_read_as_logs_write_them(value: str, zone: str, instant: str) -> None:
    assert reading.read_time(value, zone).isoformat() == instant


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (["2026-11-02 10:00:00", "a", "b", "", ""], NO_ZONE),
        (["yesterday", "a", "b", "", ""], "yesterday is no time."),
        (["9999-12-31T23:59:59-23:00", "a", "b", "", ""], "9999-12-31T23:59:59-23:00 is no time."),
        (["2026-11-03T00:00:00Z", "a", "b", "", ""], "Its time has not come yet."),
        (["2026-11-02T11:00:00Z", "", "b", "", ""], "It says no actor."),
        (["2026-11-02T11:00:00Z", "a", "b"], "It has 3 cells, and there are 5 columns."),
        (["2026-11-02T11:00:00Z", "a\u202eb", "b", "", ""], UNSEEN),
        (["2026-11-02T11:00:00Z", "a" * 256, "b", "", ""], "agent is longer than 255 characters."),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_read_says_why_and_the_others_are_read(
    row: list[str], why: str
) -> None:
    found = read(sheet(row, ["2026-11-02T11:00:00Z", "a", "b", "", ""]))

    assert [(each.number, each.why) for each in found.wrong] == [(2, why)]
    assert [each.number for each in found.lines] == [3]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "There is nothing in it."),
        (b"time,actor\n", "The first line has no column event."),
        (b"time,time,actor,event,object,uid\n", "The first line names time twice."),
        (b'[{"time": 1}]', "This is one JSON list. Send one object a line (JSONL), or CSV."),
        (b"\xff\xfe", "The file is not in UTF-8 (byte 0)."),
        (b"a\0b", "The file holds the character NUL."),
        (b'time,actor,event,object,uid\n"a', NO_CSV),
        (b"x" * (reading.MAX_BYTES + 1), "The file is larger than 5 MiB. Split it."),
    ],
)  # fmt: skip
def test_what_is_no_log_is_refused_whole(raw: bytes, said: str) -> None:
    with pytest.raises(BadLog) as refused:
        read(raw)

    assert refused.value.message == said


def test_hostile_json_is_a_wrong_line_and_no_more() -> None:
    deep = '{"time": ' + "[" * 100 + "]" * 100 + "}"
    lines = [deep, '{"time": 1, "time": 2}', '{"time": NaN}', '"text"', "{", '{"time": {}}']

    found = read("\n".join(["{}", *lines]))

    assert [each.number for each in found.wrong] == [1, 2, 3, 4, 5, 6, 7]
    assert found.lines == ()


def test_lines_alike_without_an_id_are_two_calls_and_stay_the_same_two() -> None:
    row = ["2026-11-02T11:00:00Z", "a", "b", "", ""]

    once, again = read(sheet(row, row)), read(sheet(row, row))

    assert len({each.key for each in once.lines}) == 2
    assert [each.key for each in once.lines] == [each.key for each in again.lines]
    with_id = read(sheet([*row[:4], "e-1"], [*row[:4], "e-1"]))
    assert len({each.key for each in with_id.lines}) == 1


def test_a_file_with_too_many_lines_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_ROWS", 2)
    row = ["2026-11-02T11:00:00Z", "a", "b", "", ""]

    assert len(read(sheet(row, row)).lines) == 2
    with pytest.raises(BadLog):
        read(sheet(row, row, row))
