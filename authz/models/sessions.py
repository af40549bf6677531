"""Flow sessions: what one run of an agent has read; and what an agent carries."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from registry.enums import Tier
from registry.models import Agent, Gateway


class FlowSession(models.Model):
    """One run of an agent. Tier, taint and categories only rise; `decide_batch` raises them."""

    id = models.CharField(max_length=34, primary_key=True)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="flow_sessions")
    gateway = models.ForeignKey(
        Gateway, null=True, blank=True, on_delete=models.PROTECT, related_name="flow_sessions"
    )
    is_clean = models.BooleanField(
        default=False, help_text="It shares no memory with what the agent read before."
    )
    tier = models.CharField(max_length=12, choices=Tier.choices, default=Tier.PUBLIC)
    untrusted = models.BooleanField(default=False)
    categories = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    plan = models.JSONField(null=True, blank=True)
    opened_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-opened_at", "id"]
        indexes = [models.Index(fields=["agent", "-opened_at"], name="flow_session_by_agent")]
        constraints = [
            models.CheckConstraint(
                name="flow_session_ends_after_start",
                condition=Q(expires_at__gt=F("opened_at"))
                & (Q(ended_at__isnull=True) | Q(ended_at__gte=F("opened_at"))),
            ),
        ]

    def __str__(self) -> str:
        return self.id


class Carried(models.Model):
    """One fact of what an agent has read (a tier, a category, taint), and until when it counts.

    Written by `decide_batch` alone; the agent stands there by its slug, as in the record.
    """

    agent = models.CharField(max_length=60)
    fact = models.CharField(max_length=80)
    until = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["agent", "fact"], name="carried_once"),
        ]

    def __str__(self) -> str:
        return f"{self.agent} carries {self.fact}"
