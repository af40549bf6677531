"""The search of the trail: what it finds, page by page, and by which index."""

from __future__ import annotations

import itertools
import random
from dataclasses import asdict
from datetime import datetime
from typing import Any

import pytest
from django.db import connection

from audit import search, selectors, services
from audit.asked import AuditScope, PageRequest, Place, TrailFilters
from audit.models import Record

pytestmark = pytest.mark.django_db

EVERYTHING = AuditScope(everything=True)
OWNER = AuditScope(agents=frozenset({"a0", "a1"}))
NAMED = AuditScope(agents=frozenset({"a0"}), users=frozenset({"p_0", "p_1"}))
COLUMNS = {
    "agent": ["a0", "a1", "a2", ""],
    "user": ["p_0", "p_1", ""],
    "tool": ["t0", "t1", "t2", ""],
    "resource": ["r0", "r1", ""],
    "effect": ["allow", "deny", "hold", ""],
    "session": ["s0", "s1", ""],
    "kind": ["decision", "outcome", "registry"],
    "code": ["policy.no_permit", "gate.amount", "outcome.done", ""],
    "check": ["policy", "gate", ""],
    "actor": ["p_0", "a0", "system:x"],
}


def entries(many: int, seed: int) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    return [
        {column: chance.choice(values) for column, values in COLUMNS.items()} for _ in range(many)
    ]


def append(many: int, seed: int) -> datetime:
    """Append them; when the first of them was."""
    rows = [services.prepare_row(**each) for each in entries(many, seed)]
    return services.append_rows(rows)[0].at


@pytest.fixture
def rows() -> list[Record]:
    """Two hundred entries of this transaction, newest first."""
    first = append(200, seed=5)
    return list(Record.objects.filter(at__gte=first).order_by("-at", "-id"))


def fits(row: Record, filters: TrailFilters, scope: AuditScope) -> bool:
    """The filters as Python says them."""
    names = {"check": "deciding_check"}
    given = asdict(filters)
    since, until = given.pop("since"), given.pop("until")
    return (
        all(
            not value or getattr(row, names.get(name, name)) == value
            for name, value in given.items()
        )
        and (since is None or row.at >= since)
        and (until is None or row.at < until)
        and (scope.everything or row.agent in scope.agents or row.user in scope.users)
    )


def walked(filters: TrailFilters, scope: AuditScope, size: int = 110) -> list[Record]:
    pages = selectors.walk(filters, scope=scope, size=size)
    return [record for page in pages for record in page]


def spans(rows: list[Record]) -> list[dict[str, Any]]:
    third = [rows[len(rows) * number // 3].at for number in (1, 2)]
    # Older entries are those of other tests.
    return [{"since": rows[-1].at}, {"since": third[1], "until": third[0]}]


@pytest.mark.parametrize("scope", [EVERYTHING, OWNER, NAMED], ids=["all", "owner", "named"])
def test_each_filter_and_each_pair_finds_what_python_finds(
    rows: list[Record], scope: AuditScope
) -> None:
    pairs = [(name,) for name in COLUMNS] + list(itertools.combinations(COLUMNS, 2))
    chance = random.Random(1)
    asked: list[tuple[str, ...]] = [(), *pairs]
    for names, span in itertools.product(asked, spans(rows)):
        values: dict[str, Any] = {
            name: chance.choice([value for value in COLUMNS[name] if value]) for name in names
        }
        filters = TrailFilters(**values, **span)

        found = walked(filters, scope)

        assert found == [row for row in rows if fits(row, filters, scope)], filters


def test_any_filters_together_find_what_python_finds(rows: list[Record]) -> None:
    chance = random.Random(2)
    for _ in range(100):
        names = chance.sample(list(COLUMNS), chance.randint(2, 5))
        values: dict[str, Any] = {
            name: chance.choice([value for value in COLUMNS[name] if value]) for name in names
        }
        filters = TrailFilters(**values, **chance.choice(spans(rows)))
        scope = chance.choice([EVERYTHING, OWNER, NAMED])

        found = walked(filters, scope)

        assert found == [row for row in rows if fits(row, filters, scope)], (filters, scope)


@pytest.mark.parametrize("filters", [TrailFilters(), TrailFilters(agent="a0", tool="t1")])
def test_nothing_is_lost_or_doubled_while_entries_are_added(
    rows: list[Record], filters: TrailFilters
) -> None:
    wanted, found, after = [row for row in rows if fits(row, filters, OWNER)], [], ""

    while True:
        page = selectors.search(filters, PageRequest(after=after, size=7), scope=OWNER)
        found += page.records
        if not (after := page.older):
            break
        append(20, seed=len(found))

    assert found == wanted
    back = selectors.search(filters, PageRequest(before=str_of(found[-1]), size=7), scope=OWNER)
    assert back.records == wanted[-8:-1]
    assert (back.newer != "", back.older != "") == (True, True)


def str_of(record: Record) -> str:
    return str(Place(record.at, record.id))


def test_a_page_outside_of_the_span_stays_inside(rows: list[Record]) -> None:
    filters = TrailFilters(since=rows[20].at, until=rows[10].at)

    older = selectors.search(filters, PageRequest(after=str_of(rows[2])), scope=EVERYTHING)
    newer = selectors.search(filters, PageRequest(before=str_of(rows[25])), scope=EVERYTHING)

    assert older.records == newer.records == rows[11:21]


def test_what_is_found_wider_is_the_newest_without_one_filter(rows: list[Record]) -> None:
    filters = TrailFilters(agent="a0", tool="none", since=rows[50].at)

    found = selectors.wider(filters, scope=EVERYTHING)

    newest = next(row for row in rows if row.agent == "a0")
    assert [(each.without, each.newest) for each in found] == [(("tool",), newest)]


LEADS = [
    *((name,) for name in COLUMNS),
    *itertools.combinations(("agent", "user", "tool", "resource", "effect", "session"), 2),
]


@pytest.mark.parametrize("names", LEADS, ids="-".join)
def test_only_the_one_index_is_walked_for(names: tuple[str, ...]) -> None:
    """However few rows there are: the plan must not hang on what is in the table."""
    frequent: dict[str, str] = {"kind": "registry", "effect": "deny", "actor": "p_1", "user": "p_1"}
    values: dict[str, Any] = {name: frequent.get(name, "x") for name in names}
    filters = TrailFilters(**values)
    for scope in (EVERYTHING, OWNER):
        statement = search.statement(filters, scope, search.Bounds(), most=51)
        if statement is None:
            continue

        plan = explained(statement)

        assert "Seq Scan" not in plan, plan
        assert "Bitmap" not in plan, plan
        assert plan.count("Sort  (") == 1, plan  # of the page itself
        assert "Incremental Sort" not in plan, plan


def explained(statement: search.Statement) -> str:
    with selectors.limited_time(search.STEADY), connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {statement.sql}", statement.params)
        return "\n".join(line for (line,) in cursor.fetchall())


def test_what_the_search_switches_off_is_on_again_afterwards() -> None:
    selectors.search(TrailFilters(agent="a0"), PageRequest(), scope=EVERYTHING)

    with connection.cursor() as cursor:
        for setting in search.STEADY:
            cursor.execute(f"SHOW {setting}")
            assert cursor.fetchone() == ("on",), setting
