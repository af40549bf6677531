"""Reads around a handle: by which index, what they leave behind, and that they say so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit import incident as reading
from audit import search, selectors, services
from audit.asked import AuditScope
from audit.enums import Kind
from audit.incident import Call, Span, Subject
from audit.incident.reading import MOST_CHILDREN, MOST_ENTRIES
from audit.models import Record

EVERYTHING = AuditScope(everything=True)
OWNER = AuditScope(agents=frozenset({"a0", "a1"}))
NAMED = AuditScope(agents=frozenset({"a0"}), users=frozenset({"p_1"}))
AT = datetime(2026, 11, 23, 14, tzinfo=UTC)
HOUR = Span(AT, AT + timedelta(hours=1))


def appended(*rows: dict[str, Any]) -> list[Record]:
    prepared = [
        services.prepare_row(**{"kind": Kind.DECISION, "actor": "x", **row}) for row in rows
    ]
    ids = [each.id for each in services.append_rows(prepared)]
    return sorted(Record.objects.filter(id__in=ids), key=lambda each: ids.index(each.id))


READS: dict[str, Callable[[AuditScope], Any]] = {
    **{
        f"window-{column}": lambda scope, column=column: reading.window(
            Subject(column, ("x",)), HOUR, scope=scope
        )
        for column in ("agent", "user", "tool", "resource", "session")
    },
    "window-several": lambda scope: reading.window(Subject("tool", ("t", "u")), HOUR, scope=scope),
    "edges": lambda scope: reading.edges(Subject("session", ("x",)), scope=scope),
    "last_at": lambda scope: reading.last_at(
        Subject("resource", ("x",)), scope=scope, kind=Kind.DECISION
    ),
    "known": lambda scope: reading.known("resource", ["x", "y"], scope=scope),
    "children": lambda scope: reading.children_of(
        [Record(id=UUID(int=1), at=AT), Record(id=UUID(int=2), at=AT)], scope=scope
    ),
    "related": lambda scope: reading.related_runs(
        "user", ["x", "y"], HOUR, besides=["z"], scope=scope
    ),
}


@pytest.mark.django_db
@pytest.mark.parametrize("name", READS)
def test_no_read_of_a_handle_walks_the_record_in_the_order_of_time(name: str) -> None:
    """That walk gives the order without a sort, and reads everybody's entries to find a few."""
    with CaptureQueriesContext(connection) as captured:
        for scope in (EVERYTHING, OWNER, NAMED):
            READS[name](scope)

    asked = [each["sql"] for each in captured if "audit.record" in each["sql"]]
    plans = [explained(sql) for sql in asked]

    assert plans != []
    assert [plan for plan in plans if "Seq Scan" in plan or "_at_id_idx" in plan] == []


def explained(sql: str) -> str:
    with selectors.limited_time(search.STEADY), connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}")
        return "\n".join(line for (line,) in cursor.fetchall())


@pytest.mark.django_db
@pytest.mark.parametrize("scope", [EVERYTHING, OWNER, NAMED], ids=["all", "owner", "named"])
def test_several_values_are_found_as_one_would_be(scope: AuditScope) -> None:
    rows = appended(
        *(
            {"agent": f"a{n % 3}", "user": f"p_{n % 2}", "tool": f"several.t{n % 4}"}
            for n in range(24)
        )
    )
    span, wanted = Span(rows[0].at, None), ("several.t0", "several.t3")

    found = reading.window(Subject("tool", wanted), span, scope=scope, most=3)
    known = reading.known("tool", [*wanted, "several.none"], scope=scope)

    fitting = [row for row in reversed(rows) if row.tool in wanted and scope.covers(row)]
    back = reading.window(Subject("tool", wanted), span, scope=scope, before=fitting[-1], most=3)
    assert (list(found.records), found.older) == (fitting[:3], True)
    assert (list(back.records), back.newer) == (fitting[-4:-1], len(fitting) > 4)
    assert known == sorted({row.tool for row in fitting})


@pytest.mark.django_db
def test_what_is_known_to_others_alone_is_not_known() -> None:
    appended({"agent": "a2", "resource": "of-others/1"}, {"agent": "a0", "resource": "of-mine/1"})

    asked = ["of-others/1", "of-mine/1", "of-nobody/1", "", "of-\0"]

    assert reading.known("resource", asked, scope=OWNER) == ["of-mine/1"]
    assert reading.known("resource", asked, scope=EVERYTHING) == ["of-mine/1", "of-others/1"]


@pytest.mark.django_db
def test_runs_beyond_what_is_looked_at_are_said_to_be_possible() -> None:
    rows = appended(
        *({"agent": "related", "session": f"r{n // 500}"} for n in range(MOST_ENTRIES + 1))
    )
    span = Span(rows[0].at, rows[-1].at + timedelta(microseconds=1))
    fewer = Span(rows[1].at, span.until)

    whole, part = (
        reading.related_runs("agent", ["related"], each, besides=["r0"], scope=EVERYTHING)
        for each in (span, fewer)
    )

    assert [(kin.session, kin.many) for kin in part.runs] == [("r2", 1), ("r1", 500)]
    assert (whole.cut, part.cut) == (True, False)


@pytest.mark.django_db
def test_reports_beyond_what_is_read_are_said_to_be_there() -> None:
    (held,) = appended({"agent": "a0"})
    told = {"agent": "a0", "parent": held.id}
    appended(*({**told, "kind": Kind.OUTCOME} for _ in range(MOST_CHILDREN)))
    whole = reading.children_of([held], scope=EVERYTHING)
    appended({**told, "kind": Kind.HOLD}, {**told, "kind": Kind.PAYLOAD_READ})
    part = reading.children_of([held], scope=EVERYTHING)

    assert (len(whole.records), whole.cut) == (MOST_CHILDREN, False)
    assert (part.records, part.cut) == (whole.records, True)
    assert reading.children_of([held], scope=AuditScope(agents=frozenset({"b"}))).records == ()


def test_calls_make_runs_by_agent_and_what_they_have_in_common() -> None:
    def call(session: str, minute: int, *, stopped: bool = False, value: str = "v") -> Call:
        return Call(session, "a", "", value, AT + timedelta(minutes=minute), stopped)

    runs = reading.runs_of(
        "user",
        [call("one", 3), call("one", 1, stopped=True), call("", 9), call("two", 2, value="w")],
    )

    assert [(each.session, each.value, each.by, each.many, each.stopped) for each in runs] == [
        ("one", "v", "user", 2, 1),
        ("two", "w", "user", 1, 0),
    ]
    assert (runs[0].first, runs[0].last) == (
        AT + timedelta(minutes=1),
        AT + timedelta(minutes=3),
    )
