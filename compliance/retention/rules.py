"""The rules that apply here now, and until when a month is kept by them."""

from __future__ import annotations

from datetime import date
from functools import cache

from audit.dropping.selectors import span_of
from compliance.enums import Concern
from compliance.evidence import look_at
from compliance.period import quarter_of
from compliance.retention import periods
from governance.kernel.database_clock import database_now
from registry.rules import months_after


def record_rules() -> list[periods.Standing]:
    """The rules for the record with how many agents bring each in: what those did that have ended
    is in the record as well."""
    look = look_at(quarter_of(database_now().date()), ever=True)
    rows = look.rows

    @cache
    def agents_of(concern: Concern) -> int:
        return len(look.about(concern).rows) if rows else 0

    return periods.standing(agents_of)


def kept_until(first: date, months: int) -> date:
    """Until when an entry is kept at least."""
    return months_after(first, months)


def month_kept_until(month: date, months: int) -> date:
    """Until when a month is kept at least, to its last entry."""
    return kept_until(span_of(month)[1].date(), months)
