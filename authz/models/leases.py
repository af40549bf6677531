"""Leases: which agent was given which credential, on which decision, and until when."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q

from registry.models import Agent, CredentialReference


class Lease(models.Model):
    """One value that left the vault. The value itself is not kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    credential = models.ForeignKey(
        CredentialReference, on_delete=models.CASCADE, related_name="leases"
    )
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="leases")
    record = models.UUIDField(unique=True, help_text="The decision that it was given on.")
    version = models.CharField(max_length=64, blank=True)
    at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_why = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-at"]
        indexes = [
            models.Index(fields=["credential", "-at"], name="lease_by_credential"),
            models.Index(
                fields=["agent"], condition=Q(ended_at__isnull=True), name="lease_running_by_agent"
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="lease_ends_after_start", condition=Q(expires_at__gt=F("at"))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.credential.reference} until {self.expires_at:%H:%M:%S}"
