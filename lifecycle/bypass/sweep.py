"""What of the logs and the leases is to be matched, as the catalogue of sweeps wants it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import F, Min
from django.db.models.functions import Coalesce, Least

from authz.models import Lease
from lifecycle.bypass import importing, services
from lifecycle.models import CallState, LogImport, LogState, SeenCall
from lifecycle.sweeps.registry import Key

LOOK_BACK = timedelta(days=30)


def due(now: datetime) -> Iterator[str]:
    """Agents and tools of whom calls wait, leases that are over, and previews that are too old."""
    yield from _calls(now)
    yield from _leases(now)
    old = LogImport.objects.filter(state=LogState.PREVIEW, expires_at__lte=now)
    yield from (f"preview/{pk}" for pk in old.order_by("expires_at").values_list("pk", flat=True))


def _calls(now: datetime) -> Iterator[str]:
    waiting = SeenCall.objects.filter(
        state=CallState.WAITING, log__isnull=False, at__lte=now - services.SETTLED
    )
    groups = waiting.order_by().values_list("log", "agent", "tool").annotate(first=Min("at"))
    for log, agent, tool, _ in groups.order_by("first"):
        yield f"call/{log}/{agent}/{tool}"


def _leases(now: datetime) -> Iterator[str]:
    over = Least(Coalesce(F("ended_at"), F("expires_at")), F("expires_at"))
    rows = Lease.objects.annotate(over=over).filter(
        over__lte=now - services.SETTLED,
        at__gte=now - LOOK_BACK,
        credential__system__isnull=False,
        seen__isnull=True,
    )
    yield from (f"lease/{pk}" for pk in rows.order_by("over").values_list("pk", flat=True))


def handle(key: Key, now: datetime) -> bool:
    """Handle one of them."""
    kind, _, rest = str(key).partition("/")
    if kind == "lease":
        return services.match_lease(lease_id=UUID(rest), now=now)
    if kind == "preview":
        return importing.forget_preview(int(rest), now)
    log, agent, tool = rest.split("/", 2)
    return services.match_calls(log_id=int(log), agent_id=int(agent), tool=tool, now=now)
