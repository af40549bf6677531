"""The trail: what is found, in which order, by whom, in how many queries."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, connection

from audit import search, selectors, services
from audit.enums import Kind, Mark
from audit.errors import BadCursor, SearchTooSlow, UnknownRecord
from audit.models import Mark as MarkRow
from audit.models import Record
from audit.search import Statement
from audit.selectors import AuditScope, Count, PageRequest, TrailFilters
from governance.kernel import clock

pytestmark = pytest.mark.django_db

EVERYTHING = AuditScope(everything=True)
SESSION = "selectors"


def recorded(**entry: Any) -> UUID:
    return services.record(**{"kind": Kind.DECISION, "actor": "desk", "session": SESSION, **entry})


def found(scope: AuditScope = EVERYTHING, **filters: Any) -> list[UUID]:
    page = selectors.search(
        TrailFilters(**{"session": SESSION, **filters}), PageRequest(), scope=scope
    )
    return [record.id for record in page.records]


@pytest.mark.parametrize(
    ("name", "column"),
    [
        *((name, name) for name in ("agent", "user", "tool", "resource", "session", "kind")),
        *((name, name) for name in ("effect", "check", "code")),
    ],
)
def test_each_filter_is_exact(name: str, column: str) -> None:
    wanted = recorded(**{column: "deny"})
    recorded(**{column: "deny "})
    recorded(**{column: "Deny"})

    assert found(**{"session": "", name: "deny"}) == [wanted]


def test_a_filter_with_nul_finds_nothing() -> None:
    recorded()

    assert found(agent="a\0b") == []


def test_filters_are_taken_together() -> None:
    wanted = recorded(agent="a", tool="t")
    recorded(agent="a")
    recorded(tool="t")

    assert found(agent="a", tool="t") == [wanted]


def test_a_span_holds_its_begin_and_not_its_end() -> None:
    ids = [recorded() for _ in range(3)]
    times = [selectors.get_record(each, scope=EVERYTHING).at for each in ids]

    assert found(since=times[1]) == [ids[2], ids[1]]
    assert found(until=times[1]) == [ids[0]]
    assert found(since=times[1], until=times[2]) == [ids[1]]
    assert found(since=clock.now() + timedelta(hours=1)) == []


def test_pages_go_back_and_forth_over_all_entries_once() -> None:
    rows = [
        services.prepare_row(kind=Kind.DECISION, actor="desk", session=SESSION) for _ in range(25)
    ]
    services.append_rows(rows)
    ids = [UUID(row["id"]) for row in reversed(rows)]
    filters, request, pages = TrailFilters(session=SESSION), PageRequest(size=10), []

    while True:
        page = selectors.search(filters, request, scope=EVERYTHING)
        pages.append(page)
        if not page.older:
            break
        request = PageRequest(after=page.older, size=10)
    back = [
        selectors.search(filters, PageRequest(before=pages[2].newer, size=10), scope=EVERYTHING)
    ]
    back.append(
        selectors.search(filters, PageRequest(before=back[0].newer, size=10), scope=EVERYTHING)
    )

    assert [[record.id for record in page.records] for page in pages] == [
        ids[:10], ids[10:20], ids[20:],
    ]  # fmt: skip
    assert [bool(page.newer) for page in pages] == [False, True, True]
    assert [[record.id for record in page.records] for page in back] == [ids[10:20], ids[:10]]
    assert [(bool(page.newer), bool(page.older)) for page in back] == [(True, True), (False, True)]


def test_entries_of_one_instant_are_paged_by_id(as_owner: Any) -> None:
    ids = [recorded() for _ in range(4)]
    with as_owner() as cursor:
        cursor.execute("ALTER TABLE audit.record DISABLE TRIGGER no_change")
        cursor.execute("UPDATE audit.record SET at = now() WHERE session = %s", [SESSION])

    first = selectors.search(TrailFilters(session=SESSION), PageRequest(size=2), scope=EVERYTHING)
    second = selectors.search(
        TrailFilters(session=SESSION), PageRequest(after=first.older, size=2), scope=EVERYTHING
    )

    walked = [record.id for record in [*first.records, *second.records]]
    assert walked == sorted(ids, reverse=True)


@pytest.mark.parametrize("cursor", ["x", "2026-11-23_", "2026-11-23T00:00:00.000000Z_x", "_", "\0"])
def test_a_made_up_cursor_is_refused(cursor: str) -> None:
    for request in (PageRequest(after=cursor), PageRequest(before=cursor)):
        with pytest.raises(BadCursor):
            selectors.search(TrailFilters(), request, scope=EVERYTHING)


def test_a_person_sees_own_agents_and_what_was_done_in_their_name() -> None:
    mine, other = recorded(agent="mine"), recorded(agent="other")
    named, nobody = recorded(agent="other", user="p-1"), recorded()
    scope = AuditScope(agents=frozenset({"mine"}), users=frozenset({"p-1"}))

    assert found(scope) == [named, mine]
    assert found() == [nobody, named, other, mine]
    assert found(AuditScope()) == []
    assert selectors.get_record(mine, scope=scope).id == mine
    for hidden in (other, nobody):
        with pytest.raises(UnknownRecord):
            selectors.get_record(hidden, scope=scope)
    assert selectors.count(TrailFilters(session=SESSION), scope=scope) == Count(2, False)


def test_a_count_ends_at_its_cap() -> None:
    for _ in range(4):
        recorded()

    counts = [
        selectors.count(TrailFilters(session=SESSION), scope=EVERYTHING, cap=cap)
        for cap in (3, 4, 5)
    ]

    assert counts == [Count(3, True), Count(4, False), Count(4, False)]


def test_a_slow_search_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selectors, "SEARCH_SECONDS", 0.001)

    slow = Statement("SELECT pg_sleep(2)", [])
    monkeypatch.setattr(search, "statement", lambda *asked, most: slow)

    with pytest.raises(SearchTooSlow):
        selectors.search(TrailFilters(), PageRequest(), scope=EVERYTHING)

    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)


def test_another_failure_of_the_database_is_not_taken_for_slowness(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(sql: str, params: list[Any]) -> None:
        raise OperationalError

    monkeypatch.setattr(Record.objects, "raw", fail)

    with pytest.raises(OperationalError):
        selectors.search(TrailFilters(), PageRequest(), scope=EVERYTHING)


def test_an_entry_as_it_was_written_has_no_faults() -> None:
    record = selectors.get_record(recorded(parent=clock.uuid7()), scope=EVERYTHING)

    assert selectors.faults(record) == []


@pytest.mark.parametrize("number", [1, 3])
def test_a_page_takes_the_same_queries_for_one_entry_and_three(
    number: int, django_assert_num_queries: Any
) -> None:
    for _ in range(number):
        recorded()

    # A savepoint, the time limit, the search, the limit taken back, the savepoint's release.
    with django_assert_num_queries(5):
        assert len(found()) == number


def test_walk_gives_everything_in_pages() -> None:
    ids = [recorded() for _ in range(7)]

    pages = list(selectors.walk(TrailFilters(session=SESSION), scope=EVERYTHING, size=3))

    assert [len(page) for page in pages] == [3, 3, 1]
    assert [record.id for page in pages for record in page] == ids[::-1]
    assert list(selectors.walk(TrailFilters(session="none"), scope=EVERYTHING)) == []


@pytest.mark.parametrize(
    "unknown",
    # Fixed, since every worker must collect the same tests.
    [
        "",
        "x",
        "\0",
        str(UUID(int=4, version=4)),
        "01a208f9-dab0-7eca-9221-8dbb3797ccc7",
        "f" * 32,
        "0" * 32,
    ],
)
def test_an_unknown_id_is_an_unknown_record(unknown: str) -> None:
    with pytest.raises(UnknownRecord):
        selectors.get_record(unknown, scope=EVERYTHING)


def test_children_are_what_was_recorded_of_an_entry_later() -> None:
    parent = recorded()
    children = [recorded(kind=Kind.OUTCOME, parent=parent) for _ in range(2)]
    recorded(kind=Kind.OUTCOME, parent=recorded())

    record = selectors.get_record(str(parent), scope=EVERYTHING)

    assert [child.id for child in selectors.children_of(record)] == children


def test_parse_body_says_what_both_lines_say() -> None:
    record = selectors.get_record(recorded(asked={"a": 1}, settled={"b": 2}), scope=EVERYTHING)

    said = selectors.parse_body(record)

    assert (said["asked"], said["settled"]) == ({"a": 1}, {"b": 2})


def test_rows_name_themselves() -> None:
    record_id = recorded()
    record = selectors.get_record(record_id, scope=EVERYTHING)

    assert (str(record), str(MarkRow(name="demo"))) == (f"decision {record_id}", "demo")


@pytest.mark.usefixtures("unmarked")
def test_marks_are_read() -> None:
    assert [selectors.holds_demo_mark(), selectors.holds_mark(Mark.FIRST_POLICY)] == [False] * 2

    services.set_mark(Mark.FIRST_POLICY)

    assert selectors.holds_mark(Mark.FIRST_POLICY) is True
