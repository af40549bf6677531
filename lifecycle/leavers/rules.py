"""How long a leaver's agents wait for another owner, and on which days people are told."""

from __future__ import annotations

from datetime import date, datetime

from governance.kernel import business_days
from registry.enums import Employment
from registry.models import Person

DAYS = 5
NOTICE_DAYS = (1, 2, 3, 4, 5)


def is_over(person: Person, now: datetime) -> bool:
    """Whether the last day of someone who is leaving has passed where they are."""
    last: date | None = person.last_day
    leaving = person.employment == Employment.LEAVING
    return leaving and last is not None and last < business_days.date_in(person.zone, now)


def leaves_word(person: Person) -> str:
    """That they leave, as a notice says it."""
    if person.employment == Employment.LEFT:
        return "has left"
    last = person.last_day
    return f"leaves on {last.day} {last:%b %Y}" if last else "leaves"
