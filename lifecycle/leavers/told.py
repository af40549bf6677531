"""Who was told what of a leaver's agents, when, and whether it reached them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q

from audit.enums import Kind
from audit.models import Record
from audit.selectors import limited_time, parse_body
from lifecycle.models import Case, Notice
from lifecycle.models.notices import DeliveryState
from registry.models import Person

MOST = 500
NEAR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Hearer:
    """One who was told. `record` is the entry that says so."""

    person: Person
    how: str
    record: UUID | None


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that was told, and everyone who was told it."""

    at: datetime
    subject: str
    heard: list[Hearer]


def told_of(person: Person, cases: Sequence[Case]) -> list[Told]:
    """All that was told about these cases of one leaver, oldest first."""
    about = Q(event__startswith=f"leaver:{person.pid}:")
    for case in cases:
        about |= Q(event__startswith=f"case:{case.pk}:")
    since = min((case.opened_at for case in cases), default=None)
    if since is None:
        return []
    with limited_time():
        rows = Notice.objects.filter(about, made_at__gte=since).select_related("person")
        notices = list(rows.prefetch_related("deliveries").order_by("made_at", "pk")[:MOST])
        records = _records(notices)
    return _grouped(notices, records)


def _records(notices: Sequence[Notice]) -> dict[str, UUID]:
    """The entry of each notice. Its id is made when the notice's is, by the same clock."""
    if not notices:
        return {}
    people = {notice.person.pid for notice in notices}
    made = [notice.made_at for notice in notices]
    rows = Record.objects.filter(
        kind=Kind.SYSTEM, user__in=sorted(people), at__range=(min(made) - NEAR, max(made) + NEAR)
    )
    return dict(_noticed(rows.order_by("at")[: 4 * MOST]))


def _noticed(records: Iterable[Record]) -> Iterable[tuple[str, UUID]]:
    for record in records:
        asked = parse_body(record).get("asked", {})
        if asked.get("did") == "notice_made":
            yield str(asked.get("notice")), record.pk


def _grouped(notices: Sequence[Notice], records: dict[str, UUID]) -> list[Told]:
    told: dict[tuple[str, str, str], Told] = {}
    for notice in notices:
        key = (notice.event, notice.code, notice.subject)
        one = told.setdefault(key, Told(notice.made_at, notice.subject, []))
        one.heard.append(Hearer(notice.person, _how(notice), records.get(str(notice.pk))))
    return list(told.values())


def _how(notice: Notice) -> str:
    """How far it came: read here, sent, or on its way."""
    if notice.read_at:
        return "read"
    states = {each.state for each in notice.deliveries.all()}
    if DeliveryState.SENT in states:
        return "sent"
    if DeliveryState.FAILED in states:
        return "could not be sent"
    return "on its way" if DeliveryState.WAITING in states else "on the site"
