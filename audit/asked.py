"""What is asked of the trail, and the page that is answered. Imports no query."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import Q, QuerySet

from audit import leaf
from audit.errors import BadCursor

if TYPE_CHECKING:
    from audit.models import Record


@dataclass(frozen=True, slots=True)
class AuditScope:
    """Which entries a person may see: all, or those of some agents and users (pseudonymous ids)."""

    everything: bool = False
    agents: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()

    def covers(self, record: Record) -> bool:
        return self.everything or record.agent in self.agents or record.user in self.users

    def narrow(self, records: QuerySet[Record]) -> QuerySet[Record]:
        if self.everything:
            return records
        return records.filter(Q(agent__in=self.agents) | Q(user__in=self.users))


@dataclass(frozen=True, slots=True)
class TrailFilters:
    """What to look for. Empty means any; `since` is part of the span, `until` is not."""

    agent: str = ""
    user: str = ""
    tool: str = ""
    resource: str = ""
    since: datetime | None = None
    until: datetime | None = None
    effect: str = ""
    check: str = ""
    code: str = ""
    kind: str = ""
    session: str = ""
    # The person who did it; what an agent asked for in someone's name stands under `user`.
    actor: str = ""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Where to go on: `after` takes the cursor `older` of a `Page`, `before` its `newer`."""

    after: str = ""
    before: str = ""
    size: int = 50


@dataclass(frozen=True, slots=True)
class Page:
    """Entries, newest first, and the cursors of the pages beside them (empty where none is)."""

    records: list[Record]
    older: str = ""
    newer: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """An entry's place in the order of time."""

    at: datetime
    id: UUID

    def __str__(self) -> str:
        return f"{leaf.instant(self.at)}_{self.id}"


def read_cursor(text: str) -> Place:
    """The place that a cursor names. Raises `BadCursor`."""
    try:
        at, _, record_id = text.partition("_")
        when = datetime.strptime(at, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
        return Place(when, UUID(record_id))
    except ValueError as error:
        raise BadCursor() from error
