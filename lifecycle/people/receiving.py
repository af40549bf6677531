"""A message of an HR system: is it signed, and what comes of each event in it.

An event is one transaction, and counts once for its source whatever it is sent in. Of one person
the source's events wait for each other, so that they are put in order (see `events`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from django.db import IntegrityError, transaction

from governance.kernel import strict_json
from governance.kernel.database_clock import database_now
from governance.kernel.errors import Conflict, GovernanceError
from governance.kernel.randomness import take
from governance.kernel.strict_json import BadJson
from lifecycle import asking
from lifecycle.models import HeardEvent, PersonClock, Source, SourceEvent, SourceKind, WebhookAnswer
from lifecycle.people import events, signing, sources
from lifecycle.people.errors import NotSigned, UsedDifferently
from lifecycle.people.events import JOINER, LEAVER, Event, Order
from lifecycle.people.signing import Signed
from registry import services
from registry.models import Person
from registry.permissions import Automatic
from registry.services.joining import Facts, recognised

TAKEN, UNCHANGED, LATE, UNKNOWN, REFUSED = "taken", "unchanged", "late", "unknown", "refused"
ALL, SOME, NONE = 200, 207, 422

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Received:
    """What a message is answered."""

    status: int
    body: Answer


def receive(*, slug: str, signed: Signed, body: bytes, address: str) -> Received:
    """Take a message. The same one again is answered as the first time.

    Raises `NotSigned`, also for a source that is none, and `TooManyTries`; `WrongNetwork` for one
    that is signed and comes from elsewhere; `BadJson` and `BadEvent` for what is no message at
    all. What is wrong with one event stands in the answer.
    """
    _check_size(body)
    now = database_now()
    source = sources.open_sources(SourceKind.WEBHOOK).filter(slug=slug).first()
    keys = sources.keys_of(source, now) if source else []
    try:
        signing.check(signed, body, keys=keys or [take(32)], now=now)
    except NotSigned:
        asking.note_failure(address, now, way="people_webhook")
        raise
    assert source is not None  # noqa: S101  nobody signs with bytes that were made just now
    asking.check_place(source, address)
    Source.objects.filter(pk=source.pk).update(last_seen_at=now)
    digest = hashlib.sha256(body).hexdigest()
    if earlier := _answered(source, signed.id, digest):
        return earlier
    told = [
        _handled(source, raw, f"{signed.id}:{place}", now)
        for place, raw in enumerate(events.events_in(strict_json.loads(body)))
    ]
    return _keep(source, signed.id, digest, told, now)


def _check_size(body: bytes) -> None:
    """A longer body was not read to its end, so that no signature could be right."""
    if len(body) > strict_json.MAX_BYTES:
        raise BadJson(f"The body is larger than {strict_json.MAX_BYTES} bytes.", code="too_large")


def _answered(source: Source, webhook_id: str, digest: str) -> Received | None:
    earlier = WebhookAnswer.objects.filter(source=source, webhook_id=webhook_id).first()
    if earlier is None:
        return None
    if earlier.body_digest != digest:
        raise UsedDifferently()
    return Received(ALL, earlier.answer)


def _keep(
    source: Source, webhook_id: str, digest: str, told: list[Answer], now: datetime
) -> Received:
    """Keep the answer, unless something was refused: mended, that may come again."""
    body, refused = {"events": told}, sum(each["outcome"] == REFUSED for each in told)
    if refused:
        return Received(NONE if refused == len(told) else SOME, body)
    WebhookAnswer.objects.get_or_create(
        source=source,
        webhook_id=webhook_id,
        defaults={"body_digest": digest, "answer": body, "at": now},
    )
    return _answered(source, webhook_id, digest) or Received(ALL, body)


def _handled(source: Source, raw: Any, otherwise: str, now: datetime) -> Answer:
    """What comes of one event; nothing of it where it is refused."""
    try:
        event = events.read_event(raw, otherwise=otherwise, now=now)
    except GovernanceError as error:
        return _told(source, _named(raw, otherwise), REFUSED, error.code, error.sentences)
    try:
        with transaction.atomic():
            return _heard_once(source, event, now)
    except GovernanceError as error:
        return _told(source, event.id, REFUSED, error.code, error.sentences, event=event)


def _named(raw: Any, otherwise: str) -> str:
    name = raw.get("id") if isinstance(raw, dict) else None
    return name if isinstance(name, str) and signing.ID.fullmatch(name) else otherwise


def _heard_once(source: Source, event: Event, now: datetime) -> Answer:
    clock = _locked_clock(source, event.external_id)
    if earlier := HeardEvent.objects.filter(source=source, event_id=event.id).first():
        if (earlier.type, earlier.occurred_at) != (event.type, event.occurred_at):
            raise Conflict("This id was used for another event.", code="event.id_used")
        return dict(earlier.answer)
    answer = _put_in_order(source, event, clock)
    heard = HeardEvent(
        source=source,
        event_id=event.id,
        type=event.type,
        occurred_at=event.occurred_at,
        heard_at=now,
        answer=answer,
    )
    try:
        with transaction.atomic():
            heard.save()
    except IntegrityError as error:
        raise Conflict("This id was used for another event.", code="event.id_used") from error
    return answer


def _locked_clock(source: Source, external_id: str) -> PersonClock:
    """The clock of this person, locked: whoever else brings an event about them waits."""
    PersonClock.objects.get_or_create(source=source, external_id=external_id)
    rows = PersonClock.objects.select_for_update(of=("self",), no_key=True)
    return rows.get(source=source, external_id=external_id)


def _put_in_order(source: Source, event: Event, clock: PersonClock) -> Answer:
    order = events.in_order(event, clock.clocks)
    if order.late and not order.fields and not order.employment:
        return _told(source, event.id, LATE, "event.late", _late(order), event=event)
    person = services.person_of(source.slug, event.external_id)
    if person is None and not _names_someone(source, event, clock):
        return _remember(source, event, clock, order)
    return _take(source, event, clock, order, person)


def _late(order: Order) -> str:
    return f"This source has said something newer of: {', '.join(order.late)}."


def _names_someone(source: Source, event: Event, clock: PersonClock) -> bool:
    """Whether somebody may be taken up, or recognised by the address, for the first time."""
    if event.type == JOINER:
        return True
    address = event.facts.get("email") or clock.said.get("email", "")
    return recognised(source.slug, Facts(email=address)) is not None


def _remember(source: Source, event: Event, clock: PersonClock, order: Order) -> Answer:
    """Nobody knows them yet: what was said is kept for the joiner, who is on the way."""
    clock.said = {**clock.said, **{name: event.facts[name] for name in sorted(order.fields)}}
    _move(clock, event, order)
    said = "Nobody is known by this id yet. It counts once a joiner names them."
    return _told(source, event.id, UNKNOWN, "event.unknown", said, event=event)


def _move(clock: PersonClock, event: Event, order: Order) -> None:
    clock.clocks = order.clocks
    if order.employment:
        clock.gone, clock.last_day = event.type == LEAVER, event.last_day
    clock.save()


def _take(
    source: Source, event: Event, clock: PersonClock, order: Order, known: Person | None
) -> Answer:
    told: list[str] = [_late(order)] if order.late else []
    said = {**clock.said, **{name: event.facts[name] for name in sorted(order.fields)}}
    clock.said = {}
    _move(clock, event, order)
    facts = _facts(source, said, event.external_id, told)
    if order.employment or known is None:
        facts |= _employment(clock, known)
    synced = services.sync_person(
        source=source.slug,
        external_id=event.external_id,
        facts=facts,
        by=Automatic(f"source:{source.slug}"),
    )
    outcome = TAKEN if synced.created or synced.linked or synced.changed else UNCHANGED
    _tell_what_did_not_hold(synced, said, clock, told)
    return _told(
        source, event.id, outcome, f"event.{outcome}", " ".join(told), event=event, person=synced
    )


def _facts(source: Source, said: Mapping[str, str], own: str, told: list[str]) -> Facts:
    """What is said, with the manager as somebody; one whom nobody knows is left as it was."""
    facts: dict[str, Any] = {name: text for name, text in said.items() if name != "manager"}
    if "manager" in said:
        manager = _manager(source, said["manager"])
        if said["manager"] and (manager is None or said["manager"] == own):
            told.append("The manager is not known, and is left as before.")
        else:
            facts["manager"] = manager
    return cast(Facts, facts)


def _manager(source: Source, said: str) -> Person | None:
    if "@" not in said:
        return services.person_of(source.slug, said) if said else None
    return Person.objects.filter(email__iexact=said).exclude(employment="left").first()


def _employment(clock: PersonClock, known: Person | None) -> Facts:
    """The newest word on their employment, as `sync_person` takes it."""
    if not clock.gone:
        return Facts(active=True, last_day=None)
    return Facts(last_day=clock.last_day) if clock.last_day else Facts(active=False)


def _tell_what_did_not_hold(
    synced: services.Synced, said: Mapping[str, str], clock: PersonClock, told: list[str]
) -> None:
    person = synced.person
    if said.get("email", person.email) != person.email:
        told.append("The address is someone else's, who works here, and stays theirs.")
    if not clock.gone and clock.clocks.get(events.EMPLOYMENT) and person.employment != "employed":
        told.append("Someone else said that they leave: that source or a person takes it back.")


def _told(
    source: Source,
    event_id: str,
    outcome: str,
    code: str,
    message: str,
    *,
    event: Event | None = None,
    person: services.Synced | None = None,
) -> Answer:
    """What the sender hears of one event, and the log of the source keeps."""
    SourceEvent.objects.create(
        source=source,
        at=database_now(),
        did=event.type if event else "event",
        subject=(event.external_id if event else event_id)[:80],
        person=person.person if person else None,
        status=NONE if outcome == REFUSED else ALL,
        outcome=f"{outcome}. {message}".strip()[:300],
    )
    return {"id": event_id, "outcome": outcome, "code": code, "message": message}
