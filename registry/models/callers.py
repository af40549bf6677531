"""Identities that asked without standing on the register."""

from __future__ import annotations

from django.db import models

from registry.enums import CallerState
from registry.models.agents import Agent
from registry.models.clients import Gateway
from registry.models.people import Person


class UnregisteredCaller(models.Model):
    """Someone or something that asked and is not on the register, counted by where it came from."""

    claimed = models.CharField(max_length=120, help_text="The name that it gave, if any")
    source = models.CharField(max_length=64, help_text="Network address or gateway")
    gateway = models.ForeignKey(
        Gateway, null=True, blank=True, on_delete=models.CASCADE, related_name="unknown_callers"
    )
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    count = models.BigIntegerField(default=1)
    last_recorded = models.DateTimeField(null=True, blank=True)
    state = models.CharField(
        max_length=8, choices=CallerState.choices, default=CallerState.OPEN, editable=False
    )
    adopted_as = models.ForeignKey(
        Agent, null=True, blank=True, on_delete=models.PROTECT, related_name="adopted_callers"
    )
    decided_by = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT)
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-last_seen"]
        constraints = [
            models.UniqueConstraint(fields=["claimed", "source"], name="caller_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.claimed or 'nameless'} from {self.source}"
