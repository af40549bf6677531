"""What is over its time: planned, which everyone sees, and days later erased."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from audit import services as audit
from audit.enums import Kind
from audit.erasure import selectors as kept
from audit.erasure import services as keys
from compliance.models import RetentionPlan
from compliance.retention import periods
from registry.permissions import Automatic
from registry.services.saving import locked

RETENTION = Automatic("retention")


@transaction.atomic
def plan(tier: str, now: datetime) -> RetentionPlan | None:
    """A dry run: what of this tier is over its time. None where nothing is, or one waits."""
    days = periods.payload_days(tier)
    found = kept.old(tier, days=days, now=now)
    if not found.entries or found.oldest is None:
        return None
    notice = timedelta(days=settings.MUSTER_RETENTION_NOTICE_DAYS)
    try:
        with transaction.atomic():
            planned = RetentionPlan.objects.create(
                tier=tier,
                days=days,
                entries=found.entries,
                oldest=found.oldest,
                planned_at=now,
                runs_at=now + notice,
            )
    except IntegrityError:
        return None
    _record("payload_erasure_planned", planned, found.entries)
    return planned


@transaction.atomic
def carry_out(plan_id: int, now: datetime) -> int:
    """Erase a part of what was planned, and no younger entry; 0 where it is done."""
    planned = locked(RetentionPlan, "plan", pk=plan_id)
    if planned.ran_at is not None or planned.runs_at > now:
        return 0
    since = ceil((now - planned.planned_at) / timedelta(days=1))
    gone = keys.erase_old(
        planned.tier, days=planned.days + since, request=f"retention:{planned.pk}"
    )
    planned.erased += gone
    if gone < keys.MOST:
        planned.ran_at = now
        _record("payloads_erased", planned, planned.erased)
    planned.save(update_fields=["erased", "ran_at"])
    return gone


def _record(did: str, planned: RetentionPlan, entries: int) -> UUID:
    return audit.record(
        kind=Kind.SYSTEM,
        actor=RETENTION.pid,
        tier=planned.tier,
        asked={"did": did, "plan": planned.pk, "days": planned.days, "entries": entries},
    )
