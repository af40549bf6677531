"""Writes of dropping: an order, which the web writes, and what the operator carries out by it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from audit import services as audit
from audit.dropping import selectors
from audit.dropping.errors import NotOrdered
from audit.dropping.export import export_month, path_of
from audit.dropping.selectors import ORDERED, Places, span_of
from audit.enums import Kind
from audit.models import DropOrder, Dropped
from governance.kernel.database_clock import database_now

OPERATOR = "system:operator"


def order_drop(*, month: date, months: int, asked_by: str, agreed_by: str) -> int:
    """Write down that two people agreed to drop a month; nothing goes by it. Its number."""
    number = int(
        _call("SELECT audit.order_drop(%s, %s, %s, %s)", month, months, asked_by, agreed_by)
    )
    audit.record(
        kind=Kind.ADMIN,
        actor=agreed_by,
        asked={
            "did": "drop_ordered",
            "order": number,
            "month": f"{month:%Y-%m}",
            "months": months,
            "asked_by": asked_by,
        },
    )
    return number


@contextmanager
def as_owner() -> Iterator[None]:
    """Act as the record's owner for one transaction, as the migrator's login alone may."""
    with transaction.atomic():
        before = _call("SELECT current_setting('role')")
        _run("SET LOCAL ROLE muster_audit")
        yield
        _run(f"SET LOCAL ROLE {connection.ops.quote_name(before)}" if before != "none" else _NONE)


_NONE = "SET LOCAL ROLE NONE"


def standing_order(month: date) -> DropOrder:
    """The order by which a month may go. Raises `NotOrdered`."""
    order = selectors.order_of(month)
    if order is None or order.at <= database_now() - ORDERED:
        raise NotOrdered()
    return order


def drop_month(*, month: date, folder: Path) -> Dropped:
    """Export a month, declare it on the record, and drop it; done already, tell how it went.

    Ended anywhere and run again, it ends the same: the file is there whole or not at all, and the
    declaration is written in the transaction in which the month goes.
    """
    with as_owner():
        if done := selectors.dropped_month(month):
            return done
        order = standing_order(month)
        places = selectors.places_of(month)
        digest = export_month(month, places, path_of(folder, month))
    with as_owner():
        record = audit.record(
            kind=Kind.ADMIN, actor=OPERATOR, asked=_declared(order, places, digest)
        )
        _call("SELECT audit.drop_month(%s, %s)", order.number, record)
        return Dropped.objects.get(month=month)


def _declared(order: DropOrder, places: Places, digest: str) -> dict[str, Any]:
    since, until = span_of(order.month)
    return {
        "did": "partition_dropped",
        "order": order.number,
        "month": f"{order.month:%Y-%m}",
        "since": since.isoformat(),
        "until": until.isoformat(),
        "from": places.first,
        "to": places.last,
        "entries": places.entries,
        "export": digest,
        "asked_by": order.asked_by,
        "agreed_by": order.agreed_by,
    }


def _call(statement: str, *given: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement, list(given))
        return cursor.fetchone()[0]


def _run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
