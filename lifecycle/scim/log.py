"""What each source did, when, to whom and with what outcome: a log of bounded length."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings

from governance.kernel import clock
from governance.kernel.recent import Recent
from lifecycle.models import Source, SourceEvent
from registry.models import Person

# How many refused requests of one source are noted in a minute, by one process.
MAX_REFUSED_A_MINUTE = 60
BATCH = 1000

_refused = Recent()


def note(
    *,
    source: Source,
    did: str,
    subject: str = "",
    person: Person | None = None,
    status: int = 200,
    outcome: str = "",
    record: UUID | None = None,
    address: str = "",
) -> SourceEvent | None:
    """Write one line, in the caller's transaction; None where there are too many refused ones."""
    now = clock.now()
    if status >= 400 and _refused.count((source.slug,), timedelta(minutes=1), now) > (
        MAX_REFUSED_A_MINUTE
    ):
        return None
    return SourceEvent.objects.create(
        source=source,
        at=now,
        did=did[:60],
        subject=subject[:80],
        person=person,
        status=status,
        outcome=_plain(outcome)[:300],
        record=record,
        address=address[:45],
    )


def due(now: datetime) -> list[int]:
    """Old lines, those that are due longest first."""
    old = SourceEvent.objects.filter(at__lt=now - timedelta(days=settings.MUSTER_SOURCE_LOG_DAYS))
    return list(old.order_by("at", "pk").values_list("pk", flat=True)[:BATCH])


def forget(key: int | str, now: datetime) -> bool:
    """Delete one of them."""
    return bool(SourceEvent.objects.filter(pk=key).delete()[0])


def _plain(text: str) -> str:
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def forget_refused() -> None:
    """Forget how much this process noted lately."""
    _refused.clear()
