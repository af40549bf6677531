"""Sending: at least once, in order, one worker at a time for each stream.

The cursor moves when the receiver has said that it took a batch, and by comparing: only from the
place where that batch began, and only by who holds the claim. Killed between the two, the same
batch is sent again. No batch stands on the record, which would otherwise grow by its own sending.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from audit import services as recording
from audit.enums import Kind
from audit.models import Stream
from audit.sealing.selectors import latest_checkpoint
from audit.siem import configured, kinds
from audit.siem.batches import Batch, batch
from audit.siem.configured import Configured
from audit.siem.errors import BatchRefused, NoSuchPlace, StreamBusy, StreamFailed
from audit.siem.kinds import Receiver
from governance.kernel.errors import GovernanceError

# Longer than one batch may take in the worst case, so that nobody takes over who still sends.
CLAIM = timedelta(minutes=2)
# A run of one stream ends by then, so that a slow one does not keep the others waiting.
MOST_SECONDS = 20.0
BACK_OFF = timedelta(seconds=5)
MOST_BACK_OFF = timedelta(minutes=5)


def begin(stream: Configured) -> Stream:
    """The cursor of a stream; made, and recorded, where it is new."""
    found = Stream.objects.filter(name=stream.name).first()
    if found:
        return found
    start = log_size() if stream.begin == "now" else 0
    with transaction.atomic():
        made, new = Stream.objects.get_or_create(name=stream.name, defaults={"position": start})
        if new:
            _record("stream_began", stream.name, kind=stream.kind, to=stream.where, at=start)
    return made


def log_size() -> int:
    """How many entries are sealed."""
    latest = latest_checkpoint()
    return latest.size if latest else 0


def send(name: str, now: datetime) -> bool:
    """Send what waits, batch by batch, for some seconds; False where there was nothing to do.

    It opens its own transactions: it may not run inside another one. Raises `StreamFailed`,
    `AddressRefused`, `NoAnswer`; what failed stands with the cursor as well.
    """
    stream = configured.find(name)
    begin(stream)
    claim = uuid4()
    if not _take(name, claim, now):
        return False
    try:
        many = sum(_sent(stream, claim))
    except GovernanceError as error:
        _note_failure(name, claim, error.message)
        raise
    _let_go(name, claim)
    return many > 0


def try_out(name: str) -> int:
    """Send the newest sealed entry now, without moving the cursor; its place in the log."""
    stream, size = configured.find(name), log_size()
    if not size:
        raise StreamFailed("Nothing is sealed yet, so there is nothing to send.")
    kinds.of(stream).send(batch(stream.format, start=size - 1, size=size, most=1))
    return size - 1


def move(*, name: str, to: int, why: str) -> None:
    """Go on from another place: back, to send again; forward, to leave out what is never taken.

    It is recorded. Raises `NoSuchPlace`, `StreamBusy`.
    """
    stream = configured.find(name)
    if not 0 <= to <= log_size():
        raise NoSuchPlace()
    before = begin(stream).position
    with transaction.atomic():
        free = Q(claimed_until__isnull=True) | Q(claimed_until__lte=Now())
        moved = Stream.objects.filter(free, name=name, position=before).update(
            position=to, failures=0, error="", next_at=Now()
        )
        if not moved:
            raise StreamBusy()
        _record("stream_moved", name, at=before, to=to, why=why)


def _sent(stream: Configured, claim: UUID) -> Iterator[int]:
    """Send one batch after the other, and say how many entries each moved the cursor on."""
    receiver, until, most = kinds.of(stream), time.monotonic() + MOST_SECONDS, stream.batch
    while time.monotonic() < until:
        size, position = log_size(), _held(stream.name, claim)
        if position is None or position >= size:
            return
        found = batch(stream.format, start=position, size=size, most=most)
        if not _is_taken(receiver, found):
            most = max(1, len(found.items) // 2)
            continue
        if not _move_on(stream.name, claim, found, level=found.until >= size):
            return
        yield found.until - found.start


def _is_taken(receiver: Receiver, found: Batch) -> bool:
    """Whether the receiver took it; False where it may take half of it.

    Raises `StreamFailed`, naming the entry, where it refuses one alone.
    """
    if not found.items:
        return True
    try:
        receiver.send(found)
    except BatchRefused as error:
        if len(found.items) == 1:
            raise StreamFailed(f"Entry {found.items[0].index}: {error.message}") from error
        return False
    return True


def _take(name: str, claim: UUID, now: datetime) -> bool:
    """Claim the stream, unless somebody else sends on it, or its time has not come."""
    free = Q(claimed_until__isnull=True) | Q(claimed_until__lte=Now())
    ours = Stream.objects.filter(free, name=name, next_at__lte=now)
    return bool(ours.update(claim=claim, claimed_until=Now() + CLAIM))


def _held(name: str, claim: UUID) -> int | None:
    """Where the cursor stands, the claim renewed; None where somebody took over."""
    if not Stream.objects.filter(name=name, claim=claim).update(claimed_until=Now() + CLAIM):
        return None
    return Stream.objects.values_list("position", flat=True).get(name=name)


def _move_on(name: str, claim: UUID, sent: Batch, *, level: bool) -> bool:
    """Compare and swap: from where the batch began to where it ended."""
    ours = Stream.objects.filter(name=name, claim=claim, position=sent.start)
    reached = {"level_at": Now()} if level else {}
    return bool(ours.update(position=sent.until, sent_at=Now(), failures=0, error="", **reached))


def _note_failure(name: str, claim: UUID, said: str) -> None:
    """Leave it for later: after five seconds, then ten, up to five minutes."""
    ours = Stream.objects.filter(name=name, claim=claim)
    failures = ours.values_list("failures", flat=True).first()
    if failures is None:
        return
    pause = min(BACK_OFF * 2 ** min(failures, 10), MOST_BACK_OFF)
    ours.update(
        failures=F("failures") + 1,
        failed_at=Now(),
        error=said[:500],
        next_at=Now() + pause,
        claim=None,
        claimed_until=None,
    )


def _let_go(name: str, claim: UUID) -> None:
    Stream.objects.filter(name=name, claim=claim).update(claim=None, claimed_until=None)


def _record(did: str, name: str, **more: object) -> None:
    asked = {"did": did, "stream": name, **more}
    recording.record(kind=Kind.SYSTEM, actor="system:streams", asked=asked)
