"""Money after the decision: what a call has cost, what was never said, what is free again."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection, transaction

from authz.models import Movement, Reservation, Retry

RETRIES_KEPT = timedelta(hours=24)
# Longer than any gate looks back, and than a month.
MOVEMENTS_KEPT = timedelta(days=62)


def settle(*, decision: UUID, agent: str, cost_minor: int) -> bool:
    """Put what a call has cost in the place of what was reserved; whether its agent must stop."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT authz.settle(%s, %s, %s)", [decision, agent, cost_minor])
        return bool(cursor.fetchone()[0])


def free_reservation(*, decision: UUID) -> bool:
    """Give back what was reserved for a call that will never run; whether there was any."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT authz.free_reservation(%s)", [decision])
        return bool(cursor.fetchone()[0])


def time_out_reservation(decision: UUID, now: datetime) -> bool:
    """End one reservation that is due at `now`: whether it was. Done twice, it is done once.

    Nobody said what the call has cost, so it counts at the ceiling; what was released and never
    ran has cost nothing.
    """
    if Reservation.objects.unused(now).filter(pk=decision).exists():
        return free_reservation(decision=decision)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT authz.time_out_reservation(%s, %s)", [decision, now])
        return bool(cursor.fetchone()[0])


def forget_old(now: datetime) -> int:
    """Delete what no limit counts any more: how many rows. The record keeps what happened."""
    old = (
        Retry.objects.filter(at__lt=now - RETRIES_KEPT),
        Movement.objects.filter(at__lt=now - MOVEMENTS_KEPT),
        Reservation.objects.exclude(ended="").filter(at__lt=now - MOVEMENTS_KEPT),
    )
    return sum(rows.delete()[0] for rows in old)
