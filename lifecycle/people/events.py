"""What a webhook says of people: events, read and put in order. Pure.

Each field of a person, and their employment, has a clock of its own: an event says what is newer
than what was said before, and nothing else. So an event that comes late undoes no later one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from governance.kernel import clock
from governance.kernel.errors import Invalid
from lifecycle.people.signing import ID

JOINER, MOVER, LEAVER = "joiner", "mover", "leaver"
TYPES = (JOINER, MOVER, LEAVER)
FIELDS = ("name", "email", "department", "manager", "zone")
MOST = {"id": 255, "name": 150, "email": 254, "department": 100, "manager": 255, "zone": 50}
MOST_EVENTS = 500
EMPLOYMENT = "employment"
# A sender's clock may be so far ahead.
AHEAD = timedelta(minutes=5)


class BadEvent(Invalid):
    """This event is not of the shape that docs/reference/people.md describes."""

    code = "event.invalid"


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `facts` are the fields that it gives; `manager` as the source names them."""

    id: str
    type: str
    occurred_at: datetime
    external_id: str
    facts: Mapping[str, str] = field(default_factory=dict)
    last_day: date | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What of an event is news, and the clocks after it. `late` are the words that came late."""

    fields: frozenset[str]
    employment: bool
    clocks: dict[str, str]
    late: tuple[str, ...] = ()


def events_in(body: Any) -> list[Any]:
    """The events of a message, each unread yet: the `events` of a batch, or the one."""
    if not isinstance(body, dict):
        raise BadEvent("Send one event, or {“events”: […]}.")
    if "events" not in body:
        return [body]
    found = body["events"]
    if not isinstance(found, list) or not 1 <= len(found) <= MOST_EVENTS or len(body) > 1:
        raise BadEvent(f"`events` is a list of 1 to {MOST_EVENTS}, and stands alone.")
    return found


def read_event(raw: Any, *, otherwise: str, now: datetime) -> Event:
    """One event, every field checked. `otherwise` is its id where it brings none."""
    given = _mapping(raw, "an event", {"id", "type", "occurred_at", "person", "last_day"})
    kind = given.get("type")
    if kind not in TYPES:
        raise BadEvent(f"`type` is one of {', '.join(TYPES)}.")
    identity = given.get("id")
    if "id" in given and not (isinstance(identity, str) and ID.fullmatch(identity)):
        raise BadEvent("`id` has 1 to 200 letters, digits, or any of _ . : -")
    person = _mapping(given.get("person"), "`person`", {"id", *FIELDS})
    facts = {name: _field(name, person[name]) for name in FIELDS if name in person}
    return Event(
        id=identity or otherwise,
        type=kind,
        occurred_at=_instant(given.get("occurred_at"), now),
        external_id=_field("id", person.get("id")),
        facts=facts,
        last_day=_last_day(kind, given.get("last_day")),
    )


def _mapping(raw: Any, what: str, known: set[str]) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise BadEvent(f"{what} must be an object.")
    if unknown := sorted(set(raw) - known):
        raise BadEvent(
            f"{what} has no field {unknown[0][:40]!r}; it has {', '.join(sorted(known))}."
        )
    return raw


def _field(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise BadEvent(f"`person.{name}` must be a text.")
    text = value.strip()
    if len(text) > MOST[name] or any(unicodedata.category(each)[0] == "C" for each in text):
        raise BadEvent(f"`person.{name}` has at most {MOST[name]} characters, all of them visible.")
    if not text and name in {"id", "name", "email", "zone"}:
        raise BadEvent(f"`person.{name}` is empty.")
    return CHECKS.get(name, str)(text)


def _email(text: str) -> str:
    try:
        validate_email(text)
    except ValidationError as error:
        raise BadEvent("`person.email` is no e-mail address.") from error
    return text.lower()


def _zone(text: str) -> str:
    try:
        return ZoneInfo(text).key
    except Exception as error:  # what it raises for a wrong name differs by the name
        raise BadEvent("`person.zone` is no time zone, such as Europe/Copenhagen.") from error


CHECKS = {"email": _email, "zone": _zone}


def _instant(value: Any, now: datetime) -> datetime:
    try:
        given = datetime.fromisoformat(value)
        at = given.astimezone(UTC) if given.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        at = None
    if at is None:
        raise BadEvent("`occurred_at` is a time with its offset, such as 2026-11-27T09:00:00Z.")
    if at > now + AHEAD:
        raise BadEvent("`occurred_at` lies in the future. A day to come is `last_day`.")
    return at


def _last_day(kind: str, value: Any) -> date | None:
    if value is None:
        return None
    if kind != LEAVER:
        raise BadEvent("`last_day` is for a leaver. A joiner takes an earlier one back.")
    try:
        day = date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise BadEvent("`last_day` is a day such as 2026-12-31.") from error
    if not clock.is_usable(day):
        raise BadEvent(f"`last_day` lies outside {clock.USABLE}.")
    return day


def in_order(event: Event, clocks: Mapping[str, str]) -> Order:
    """Which of its words are newer than what this source said of this person before.

    Of a leaver and a joiner at the same instant the leaver counts, whichever comes first.
    """
    after = dict(clocks)
    fields = frozenset(name for name in event.facts if _newer(event, clocks.get(name, "")))
    speaks = event.type != MOVER
    employment = speaks and _newer(event, clocks.get(EMPLOYMENT, ""))
    for name in (*fields, *([EMPLOYMENT] if employment else [])):
        after[name] = _stamp(event)
    late = sorted(set(event.facts) - fields) + ([EMPLOYMENT] if speaks and not employment else [])
    return Order(fields, employment, after, tuple(late))


def _newer(event: Event, clock: str) -> bool:
    return _stamp(event) > clock


def _stamp(event: Event) -> str:
    """Compares as text the way that events are ordered."""
    at = event.occurred_at.astimezone(UTC).isoformat(timespec="microseconds")
    return f"{at} {TYPES.index(event.type)}"
