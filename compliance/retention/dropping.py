"""A month of the record is dropped by two people, security and the DPO, and by the operator.

One of the two proposes, the other agrees, and that is an order. Nothing goes by it: the operator
carries it out with the migrator's login (`carry_out`), which no running process has.
"""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

from django.db import transaction

from audit.dropping import selectors
from audit.dropping import services as drops
from audit.dropping.errors import MonthHeld, NoSuchMonth, NotOver
from audit.enums import Kind
from audit.erasure import selectors as kept
from audit.models import Dropped
from compliance import permissions
from compliance.retention import periods
from compliance.retention.rules import month_kept_until, record_rules
from governance.kernel.database_clock import database_now
from registry import changes, signing
from registry.errors import ChangeOutdated
from registry.models import Person, ProposedChange

DROP = "record.drop"


def connect() -> None:
    """Make known how an order to drop a month comes about: by security and the DPO together."""
    changes.register(DROP, _order, who=_check_agrees, record_kind=Kind.ADMIN)


def month_named(text: str) -> date:
    """The month that `2019-03` names. Raises `NoSuchMonth`."""
    try:
        return datetime.strptime(text, "%Y-%m").date()  # noqa: DTZ007
    except ValueError:
        raise NoSuchMonth() from None


def longest_rule() -> periods.Rule:
    """The rule by which the record is kept now."""
    return periods.longest(record_rules())


def check_over(month: date, rule: periods.Rule) -> None:
    """Its time must be over by the longest rule. Raises `NotOver`, which says until when."""
    until = month_kept_until(month, rule.months)
    if database_now().date() < until:
        raise NotOver(f"{month:%Y-%m} is kept until {until} at least: {rule.title}.")


@transaction.atomic
def propose_drop(*, month: date, by: Person) -> ProposedChange:
    """Ask the other of security and the DPO to agree that a month is dropped."""
    permissions.check_can_handle_subjects(by)
    rule = longest_rule()
    found = _free(month, rule)
    name = f"{month:%Y-%m}"
    return changes.propose(
        kind=DROP,
        target=name,
        summary=f"Drop {name} of the record, exported for proof first",
        before={name: "on the record"},
        after={
            "signs": [[signing.DPO]],
            name: "in an exported file alone",
            "entries": _many(found.entries),
            "kept by": f"{rule.title}: {rule.months} months",
        },
        by=by,
    )


def _many(entries: int) -> str:
    most = selectors.MOST
    return f"over {most:,}" if entries > most else f"{entries:,}"


def _free(month: date, rule: periods.Rule) -> selectors.Month:
    """The month, if nothing keeps it. Whether all is sealed is looked at when it is carried out."""
    found = {each.first: each for each in selectors.months()}
    if month not in found:
        raise NoSuchMonth()
    check_over(month, rule)
    if found[month].held:
        raise MonthHeld()
    return found[month]


def _order(change: ProposedChange, by: Person) -> None:
    month, rule = month_named(change.target), longest_rule()
    try:
        check_over(month, rule)
    except NotOver as error:
        raise ChangeOutdated(error.message) from error
    if selectors.dropped_month(month) or kept.held_in(*selectors.span_of(month)):
        raise ChangeOutdated()
    drops.order_drop(
        month=month, months=rule.months, asked_by=change.proposed_by.pid, agreed_by=by.pid
    )


def _check_agrees(change: ProposedChange, by: Person) -> None:
    permissions.check_can_agree_to_drop(by, asked_by=change.proposed_by)


def carry_out(month: date, folder: Path) -> Dropped:
    """Drop a month as it was ordered, if every rule of today lets it go as well.

    For the operator: it needs the migrator's login. Done already, it tells how it went.
    """
    with drops.as_owner():
        done = selectors.dropped_month(month)
    if done is None:
        check_over(month, longest_rule())
    return drops.drop_month(month=month, folder=folder)
