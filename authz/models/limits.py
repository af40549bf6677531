"""What is counted: calls, records, money; what is stopped, and whom to page about it.

Written by the functions of the database alone (migrations/sql/0010_limits.sql and
0016_chain_limits.sql), which lock in one order: counters by key, then what hangs on them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q, Sum

from authz.models.holds import Release


class Counter(models.Model):
    """How much of a limit is used in this minute, hour, day and month (UTC).

    Keys: `agent:<slug>`, `entry:<slug>/<tool>`, `system:<slug>`, `denied:<slug>` and
    `family:<pid>/<tool>`, which counts nothing and is locked before sums are read.
    """

    key = models.CharField(max_length=200, primary_key=True, db_collation="C")
    minute = models.BigIntegerField(db_default=0)
    hour = models.BigIntegerField(db_default=0)
    day = models.BigIntegerField(db_default=0)
    month = models.BigIntegerField(db_default=0)
    minute_calls = models.BigIntegerField(db_default=0)
    hour_calls = models.BigIntegerField(db_default=0)
    hour_records = models.BigIntegerField(db_default=0)
    day_spent = models.BigIntegerField(db_default=0, help_text="Reserved and settled.")
    month_spent = models.BigIntegerField(db_default=0, help_text="Reserved and settled.")

    def __str__(self) -> str:
        return self.key


class ReservationQuerySet(models.QuerySet["Reservation"]):
    """Reads of reservations."""

    def due(self, now: datetime) -> Self:
        """Those that count at the ceiling from now on, the longest due first."""
        return self.filter(ended="", is_held=False, due_at__lte=now).order_by("due_at")

    def unused(self, now: datetime) -> Self:
        """Those of holds that were released and did not run in time."""
        over = Release.objects.filter(used_by__isnull=True, until__lte=now)
        return self.filter(ended="", is_held=True, decision__in=over.values("hold"))

    def open_of(self, agent: str) -> int:
        """How much of an agent's money is reserved and neither settled nor free."""
        return self.filter(ended="", agent=agent).aggregate(sum=Sum("amount_minor"))["sum"] or 0


class Reservation(models.Model):
    """Money of an agent that one decision may cost: reserved with it, settled by its outcome."""

    class Ended(models.TextChoices):
        OPEN = "", "open"
        REPORTED = "reported", "settled by its outcome"
        TIMED_OUT = "timed_out", "settled at the ceiling"
        FREED = "freed", "freed"

    decision = models.UUIDField(primary_key=True)
    agent = models.CharField(max_length=60)
    amount_minor = models.BigIntegerField()
    cost_minor = models.BigIntegerField(null=True)
    day = models.BigIntegerField()
    month = models.BigIntegerField()
    is_held = models.BooleanField(default=False, help_text="It waits for a human.")
    at = models.DateTimeField()
    due_at = models.DateTimeField(help_text="From then on it counts at the ceiling.")
    givers = models.JSONField(
        default=dict, help_text="What lies in the budgets of those who handed the call on, by slug."
    )
    ended = models.CharField(max_length=10, choices=Ended.choices, blank=True)

    objects = ReservationQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["due_at"], condition=Q(ended=""), name="reservation_open_due"),
            models.Index(fields=["agent"], condition=Q(ended=""), name="reservation_open_agent"),
        ]
        constraints = [
            models.CheckConstraint(
                name="reservation_settled_has_cost",
                condition=Q(ended="", cost_minor__isnull=True)
                | (~Q(ended="") & Q(cost_minor__isnull=False)),
            ),
            models.CheckConstraint(
                name="reservation_not_negative",
                condition=Q(amount_minor__gte=0)
                & (Q(cost_minor__isnull=True) | Q(cost_minor__gte=0)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent}: {self.amount_minor}"


class Movement(models.Model):
    """What one allowed call moved under a gate: gates hold on sums of these.

    `family` is the owner of the agent, whose agents count together, whoever is paid. It counts
    with the owners of those who handed the call on as well.
    """

    decision = models.UUIDField(primary_key=True)
    family = models.CharField(max_length=40)
    tool = models.CharField(max_length=120)
    agent = models.CharField(max_length=60)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    at = models.DateTimeField()
    givers = ArrayField(models.CharField(max_length=40), default=list)

    class Meta:
        indexes = [
            models.Index(fields=["family", "tool", "at"], name="movement_by_family"),
            GinIndex(fields=["givers"], name="movement_by_givers"),
        ]

    def __str__(self) -> str:
        return f"{self.agent} {self.tool}"


class Stop(models.Model):
    """An agent that must be suspended, noted with the decision that stopped it.

    The suspension follows after the commit; a sweep repairs what was lost in between.
    """

    class Cause(models.TextChoices):
        SPEND = "spend", "its spend cap is used up"
        DENIALS = "denials", "too many of its calls were denied"

    agent = models.CharField(max_length=60, primary_key=True)
    cause = models.CharField(max_length=8, choices=Cause.choices)
    at = models.DateTimeField()
    handled_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.agent}: {self.cause}"


class Retry(models.Model):
    """An answer that was given under a key of its caller's, for when the caller asks again."""

    key = models.CharField(max_length=64, primary_key=True, db_collation="C")
    body = models.CharField(max_length=64)
    answer = models.JSONField()
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["at"], name="retry_by_age")]

    def __str__(self) -> str:
        return self.key


class Page(models.Model):
    """Somebody must be told, once for each window: an outbox that lifecycle reads."""

    class Kind(models.TextChoices):
        RATE = "rate", "a rate limit was reached"
        SPEND = "spend", "a spend cap was reached"
        DENIALS = "denials", "too many calls were denied"

    kind = models.CharField(max_length=8, choices=Kind.choices)
    agent = models.CharField(max_length=60)
    tool = models.CharField(max_length=120, blank=True)
    window = models.CharField(max_length=32)
    at = models.DateTimeField()
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ["-at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "agent", "tool", "window"], name="page_once"),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.agent} {self.tool}".rstrip()
