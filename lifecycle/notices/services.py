"""Every write about notices: telling someone, sending, channels, wishes."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, time
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from audit import services as audit
from audit.enums import Kind
from audit.payloads import canonical
from audit.redactor import redact
from governance.kernel import clock
from governance.kernel.errors import Invalid, NotAllowed, NotFound
from lifecycle.models import Channel, Delivery, Notice, Wishes
from lifecycle.models.notices import DeliveryState, Digest, Severity
from lifecycle.notices import addresses, mail, rules, words
from lifecycle.notices.errors import NotSent
from registry.enums import Employment, GroupName
from registry.models import Person
from registry.permissions import in_group

log = logging.getLogger(__name__)

MOST_CHANNELS = 10
DISPATCH = "system:notices"


@transaction.atomic
def notify(
    *,
    person: Person,
    severity: Severity,
    code: str,
    context: Mapping[str, Any],
    event: str = "",
) -> Notice | None:
    """Tell `person`, in the caller's transaction; it is sent after the commit.

    `event` names what happened: of one event a person is told once. Without it, code and context
    name it. None where they were told already, or may not act any more.
    """
    if not person.may_act:
        return None
    told = {name: words.one_line(redact(value)) for name, value in context.items()}
    said, now = words.render(code, told), clock.now()
    notice, made = Notice.objects.get_or_create(
        event=(event or _event_of(code, told))[:200],
        person=person,
        defaults={
            "severity": severity,
            "code": code,
            "subject": said.subject,
            "text": said.text,
            "path": said.path,
            "made_at": now,
        },
    )
    if not made:
        return None
    _plan(notice, person, now)
    _record("notice_made", notice, actor=DISPATCH)
    if severity == Severity.PAGE:
        transaction.on_commit(_send_soon)
    return notice


def page(groups: Collection[str], *, code: str, context: Mapping[str, Any], event: str) -> bool:
    """Page everyone in one of `groups`, once for each such event; whether anybody heard news."""
    people = Person.objects.filter(groups__name__in=groups, is_active=True).distinct()
    told = [
        notify(person=each, severity=Severity.PAGE, code=code, context=context, event=event)
        for each in people.exclude(employment=Employment.LEFT)
    ]
    return any(told)


def _event_of(code: str, context: Mapping[str, Any]) -> str:
    return f"{code}:{hashlib.sha256(canonical(context)).hexdigest()[:32]}"


def _send_soon() -> None:
    """Have a page sent now. Where the queue is not there, the sweep sends it a little later."""
    from lifecycle import tasks  # noqa: PLC0415  imports the sweeps, which send what is made here

    tasks.set_off("notices")


def wishes_of(person: Person) -> Wishes:
    """What a person wishes; what holds without a word where they said nothing."""
    found = Wishes.objects.filter(person=person).first()
    return found or Wishes(person=person, digest_at=time(8))


def _plan(notice: Notice, person: Person, now: datetime) -> None:
    """One delivery on each way that carries this severity."""
    wishes, page = wishes_of(person), notice.severity == Severity.PAGE
    at = rules.goes_out_at(notice.severity, wishes, person.zone, now)
    gathered = not page and wishes.digest != Digest.NONE
    ways: list[Channel | None] = [None] if page or wishes.info_by_mail else []
    open_channels = Channel.objects.filter(person=person, removed_at__isnull=True)
    ways += [each for each in open_channels if page or each.infos]
    for way in ways:
        named = str(way.pk) if way else person.pid
        bundle = rules.bundle_of(named, at) if gathered else clock.uuid7()
        Delivery.objects.create(notice=notice, channel=way, bundle=bundle, next_try_at=at)


def _record(did: str, notice: Notice, *, actor: str, **more: Any) -> None:
    audit.record(
        kind=Kind.SYSTEM,
        actor=actor,
        user=notice.person.pid,
        asked={
            "did": did,
            "notice": str(notice.pk),
            "code": notice.code,
            "severity": notice.severity,
            "event": notice.event,
            **more,
        },
    )


# Sending


def due_bundles(now: datetime) -> list[str]:
    """The messages that are due, those that wait longest first."""
    waiting = Delivery.objects.filter(state=DeliveryState.WAITING, next_try_at__lte=now)
    rows = waiting.order_by("next_try_at", "pk").values_list("bundle", flat=True)
    return list(dict.fromkeys(map(str, rows)))


@transaction.atomic
def send_bundle(key: str | int, now: datetime) -> bool:
    """Send one message, with all that is in it. Another worker's is left to that one.

    The rows stay locked while it is sent: who is killed meanwhile leaves them as they were.
    """
    rows = list(_due_in(UUID(str(key)), now))
    if not rows:
        return False
    try:
        _send(rows)
    except NotSent as error:
        _failed(rows, str(error), now)
        return False
    _sent(rows)
    return True


def _due_in(bundle: UUID, now: datetime) -> QuerySet[Delivery]:
    waiting = Delivery.objects.filter(
        bundle=bundle, state=DeliveryState.WAITING, next_try_at__lte=now
    )
    return (
        waiting.select_for_update(skip_locked=True, of=("self",), no_key=True)
        .select_related("notice__person", "channel")
        .order_by("pk")
    )


def _send(rows: Sequence[Delivery]) -> None:
    first, person = rows[0], rows[0].notice.person
    if not person.may_act:
        raise NotSent("They have left.")
    subject, text = message_of([row.notice for row in rows])
    if first.channel is None:
        mail.send_mail(message=first.bundle, to=person.email, subject=subject, text=text)
        return
    address = addresses.unseal(
        bytes(first.channel.sealed), channel=first.channel.pk, person=person.pid
    )
    page = first.notice.severity == Severity.PAGE
    addresses.send_to(address, page=page, subject=subject, text=text)


def message_of(notices: Sequence[Notice]) -> tuple[str, str]:
    """Subject and text of one message about all of these."""
    parts = [f"{each.text}\n{settings.MUSTER_BASE_URL}{each.path}" for each in notices]
    if len(notices) == 1:
        return f"Muster: {notices[0].subject}", parts[0] + "\n"
    parts = [f"{each.subject}\n{part}" for each, part in zip(notices, parts, strict=True)]
    return f"Muster: {len(notices)} notices", "\n\n".join(parts) + "\n"


def _sent(rows: Sequence[Delivery]) -> None:
    for row in rows:
        due = row.next_try_at.isoformat()
        row.state, row.attempts, row.failure = DeliveryState.SENT, row.attempts + 1, ""
        row.sent_at = clock.now()
        row.save(update_fields=["state", "attempts", "failure", "sent_at"])
        _record("notice_sent", row.notice, actor=DISPATCH, way=way_of(row), due=due)


def _failed(rows: Sequence[Delivery], why: str, now: datetime) -> None:
    for row in rows:
        row.attempts, row.failure = row.attempts + 1, why[:200]
        again = rules.next_try(row.attempts, now)
        row.state = DeliveryState.WAITING if again else DeliveryState.FAILED
        row.next_try_at = again or row.next_try_at
        row.save(update_fields=["attempts", "failure", "state", "next_try_at"])
        log.warning("notice %s by %s was not taken: %s", row.notice_id, way_of(row), why)
        if again is None:
            _record("notice_failed", row.notice, actor=DISPATCH, way=way_of(row))


def way_of(row: Delivery) -> str:
    """The way as a word; never its address."""
    return row.channel.kind if row.channel else "mail"


@transaction.atomic
def try_again(*, delivery_id: int, by: Person) -> Delivery:
    """Send once more what has failed: to oneself, or by who operates Muster."""
    rows = Delivery.objects.select_for_update(of=("self",), no_key=True).select_related(
        "notice__person"
    )
    row = rows.filter(pk=delivery_id).first()
    operates = in_group(by, GroupName.SECURITY, GroupName.PLATFORM_ADMIN)
    if row is None or not (row.notice.person_id == by.pk or operates):
        raise NotFound("There is no such message.")
    if row.state != DeliveryState.FAILED:
        raise Invalid("Only what has failed can be sent again.")
    row.state, row.attempts, row.next_try_at = DeliveryState.WAITING, 0, clock.now()
    row.save(update_fields=["state", "attempts", "next_try_at"])
    _record("notice_tried_again", row.notice, actor=by.pid, way=way_of(row))
    return row


@transaction.atomic
def mark_read(*, person: Person) -> int:
    """Everything that a person was told so far counts as read."""
    return Notice.objects.filter(person=person, read_at__isnull=True).update(read_at=clock.now())


# Channels and wishes


@transaction.atomic
def add_channel(
    *, person: Person, name: str, address: str, by: Person, infos: bool = False
) -> Channel:
    """A further way to `person`: their own, or set up by a platform admin."""
    administers = in_group(by, GroupName.PLATFORM_ADMIN)
    if by.pk != person.pk and not administers:
        raise NotAllowed("You may add channels to yourself. Platform admins may to others.")
    if Channel.objects.filter(person=person, removed_at__isnull=True).count() >= MOST_CHANNELS:
        raise Invalid(f"{person} has {MOST_CHANNELS} channels already. Remove one first.")
    kind = addresses.kind_of(address, hosts_allowed=administers)
    channel = Channel(
        person=person,
        name=name.strip()[:60] or kind,
        kind=kind,
        infos=infos,
        added_by=by,
        added_at=clock.now(),
    )
    channel.sealed = addresses.seal(address, channel=channel.pk, person=person.pid)
    channel.save()
    _record_channel("notice_channel_added", channel, by)
    return channel


@transaction.atomic
def remove_channel(*, channel_id: UUID, by: Person) -> Channel:
    """Close a way: its address is erased, and what waits for it is dropped."""
    rows = Channel.objects.select_for_update(of=("self",), no_key=True).select_related("person")
    channel = rows.filter(pk=channel_id, removed_at__isnull=True).first()
    theirs = channel and channel.person_id == by.pk
    if channel is None or not (theirs or in_group(by, GroupName.PLATFORM_ADMIN)):
        raise NotFound("There is no such channel.")
    channel.removed_at, channel.sealed = clock.now(), b""
    channel.save(update_fields=["removed_at", "sealed"])
    Delivery.objects.filter(channel=channel, state=DeliveryState.WAITING).update(
        state=DeliveryState.DROPPED
    )
    _record_channel("notice_channel_removed", channel, by)
    return channel


def _record_channel(did: str, channel: Channel, by: Person) -> None:
    audit.record(
        kind=Kind.ADMIN,
        actor=by.pid,
        user=channel.person.pid,
        asked={"did": did, "channel": str(channel.pk), "kind": channel.kind},
    )


@transaction.atomic
def set_wishes(
    *,
    person: Person,
    digest: Digest = Digest.NONE,
    digest_at: time = time(8),
    quiet_from: time | None = None,
    quiet_until: time | None = None,
    info_by_mail: bool = True,
) -> Wishes:
    """When a person wants infos. Pages come at once whatever is wished."""
    if (quiet_from is None) != (quiet_until is None):
        raise Invalid("Quiet hours need a beginning and an end.")
    wishes, _ = Wishes.objects.update_or_create(
        person=person,
        defaults={
            "digest": digest,
            "digest_at": digest_at,
            "quiet_from": quiet_from,
            "quiet_until": quiet_until,
            "info_by_mail": info_by_mail,
        },
    )
    audit.record(
        kind=Kind.ADMIN,
        actor=person.pid,
        user=person.pid,
        asked={"did": "notice_wishes_set", "digest": str(digest), "info_by_mail": info_by_mail},
    )
    return wishes
