"""What was agreed to beforehand: that an agent acts for the people of a role, in drafts alone."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from registry import validators
from registry.models import Agent, Person


class Preapproval(models.Model):
    """Two people's word that everyone who holds a role lets an agent act for them.

    `tools` are names; `days` is how long each grant lasts. The database holds it to the agreement,
    and to its one end (migration 0021).
    """

    id = models.UUIDField(primary_key=True)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="preapprovals")
    role = models.CharField(
        max_length=60, validators=[validators.slug], help_text="Its slug: a role may go."
    )
    tools = ArrayField(models.CharField(max_length=120))
    days = models.PositiveSmallIntegerField()
    proposed_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    agreed_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    agreed_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        ordering = ["-agreed_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["agent"],
                condition=Q(ended_at__isnull=True),
                name="preapproval_one_at_a_time",
            ),
            models.CheckConstraint(
                name="preapproval_agreed_by_another", condition=~Q(agreed_by=F("proposed_by"))
            ),
            models.CheckConstraint(
                name="preapproval_end_has_a_person",
                condition=Q(ended_at__isnull=True, ended_by__isnull=True)
                | Q(ended_at__isnull=False, ended_by__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent.slug} for {self.role}"
