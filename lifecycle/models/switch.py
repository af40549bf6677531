"""The kill switch over many agents at once."""

from __future__ import annotations

from django.db import models

from registry.models import Person


class Family(models.TextChoices):
    """What the agents that are stopped together have in common."""

    OWNER = "owner", "one owner"
    SYSTEM = "system", "one system"
    TOOL = "tool", "one tool"
    ALL = "all", "all agents"


class MassSuspension(models.Model):
    """One order to suspend a family. Open until none of it that ran then runs any more."""

    family = models.CharField(max_length=6, choices=Family.choices)
    target = models.CharField(max_length=255, blank=True)
    reason = models.CharField(max_length=500)
    by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    total = models.PositiveIntegerField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"{self.get_family_display()} {self.target}".strip()
