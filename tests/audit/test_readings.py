"""One reading of many payloads: who may, what is recorded of it, and what it may open."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit import leaf, services
from audit.enums import Kind
from audit.models import Record
from audit.readings import DAMAGED, ERASED, Reading, start_reading
from audit.selectors import AuditScope, TrailFilters
from governance.kernel.errors import NotAllowed

pytestmark = pytest.mark.django_db

AGENT = "reading-desk"


class Reader:
    pid = "p-auditor"

    def __init__(self, scope: AuditScope | None = None) -> None:
        self._scope = scope or AuditScope(everything=True)

    def audit_scope(self) -> AuditScope:
        return self._scope


def recorded(number: int, **more: Any) -> Record:
    payload = {"parameters": {"n": number}, "reasoning": "because"}
    entry: dict[str, Any] = {"kind": Kind.DECISION, "actor": AGENT, "agent": AGENT}
    return Record.objects.get(id=services.record(**{**entry, "payload": payload, **more}))


def reading(limit: int = 100, **more: Any) -> Reading:
    wanted = TrailFilters(agent=AGENT, kind=Kind.DECISION)
    given = {"fields": ["parameters"], "by": Reader(), "reason": "a test", "limit": limit, **more}
    return start_reading(wanted, **given)


def test_payloads_come_newest_first_and_only_the_fields_that_were_named() -> None:
    records = [recorded(number) for number in range(5)]

    pages = list(reading().pages(size=2))

    assert [len(page) for page in pages] == [2, 2, 1]
    opened = [each for page in pages for each in page]
    assert [each.record.id for each in opened] == [each.id for each in reversed(records)]
    assert [each.payload for each in opened] == [{"parameters": {"n": n}} for n in range(4, -1, -1)]


def test_it_is_recorded_before_anything_is_opened(mark: Any, records_after: Any) -> None:
    recorded(1)
    marked = mark()

    started = reading(limit=7)

    (entry,) = records_after(marked)
    said = leaf.parse_body(bytes(entry["body"]))
    assert (entry["id"], entry["kind"], entry["actor"]) == (
        started.id,
        Kind.PAYLOAD_READ,
        "p-auditor",
    )
    assert said["asked"] == {
        "did": "payloads_read",
        "reason": "a test",
        "fields": ["parameters"],
        "entries": 1,
        "span": {
            "agent": AGENT,
            "kind": "decision",
            "until": leaf.instant(started.filters.until),
        },
    }


def test_no_more_is_opened_than_was_recorded() -> None:
    for number in range(4):
        recorded(number)

    started = reading(limit=3)
    recorded(9)
    opened = [each for page in started.pages(size=2) for each in page]

    assert (started.count, started.left_out) == (3, 1)
    assert [each.payload["parameters"]["n"] for each in opened] == [3, 2, 1]


@pytest.mark.parametrize("scope", [AuditScope(), AuditScope(agents=frozenset([AGENT]))])
def test_who_may_not_read_everything_may_not(
    scope: AuditScope, mark: Any, records_after: Any
) -> None:
    marked = mark()

    with pytest.raises(NotAllowed, match="Only security, the DPO and auditors"):
        reading(by=Reader(scope))

    assert records_after(marked) == []


def test_what_was_erased_or_altered_is_told_apart(as_owner: Any) -> None:
    whole, erased, altered = (recorded(number) for number in range(3))
    with as_owner() as cursor:
        cursor.execute("ALTER TABLE audit.wrap DISABLE TRIGGER no_change")
        cursor.execute("ALTER TABLE audit.payload DISABLE TRIGGER no_change")
        cursor.execute("DELETE FROM audit.wrap WHERE record = %s", [erased.id])
        cursor.execute(
            "UPDATE audit.payload SET nonce = decode(repeat('00', 12), 'hex') WHERE record = %s",
            [altered.id],
        )

    opened = {each.record.id: each for page in reading().pages() for each in page}

    assert opened[whole.id].fault == ""
    assert (opened[erased.id].fault, opened[altered.id].fault) == (ERASED, DAMAGED)
    assert opened[erased.id].payload == opened[altered.id].payload == {}


def test_a_page_costs_the_same_whatever_is_in_it(django_assert_num_queries: Any) -> None:
    recorded(0)
    with CaptureQueriesContext(connection) as one:
        list(reading().pages())
    for number in range(9):
        recorded(number)

    with django_assert_num_queries(len(one)):
        list(reading().pages())
