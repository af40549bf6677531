"""What an owner said when an agent was to be renewed, and the key of its badge."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from registry.enums import Tier
from registry.models import Agent, Person


class AttestationAnswer(models.TextChoices):
    RENEWED = "renewed", "renewed"
    ENDED = "ended", "not needed any more"


class Attestation(models.Model):
    """One answer to one renewal: what was asked beside what use, and what was said. Written once.

    `due_on` is the day that it was about. An agent is renewed once of each; whoever said that it
    ends may have taken that back.
    """

    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="attestations")
    by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="attestations")
    at = models.DateTimeField()
    due_on = models.DateField()
    next_due = models.DateField(null=True, blank=True)
    answer = models.CharField(max_length=7, choices=AttestationAnswer.choices)
    tier = models.CharField(max_length=12, choices=Tier.choices)
    row_version = models.PositiveIntegerField()
    days = models.PositiveIntegerField(help_text="Over how many days use was shown.")
    held = models.PositiveIntegerField(help_text="Tools that it held.")
    used = models.PositiveIntegerField(help_text="Tools of them that it had used.")
    dropped = ArrayField(models.CharField(max_length=255), default=list)
    kept_unused = ArrayField(models.CharField(max_length=255), default=list)
    revoked = ArrayField(models.CharField(max_length=300), default=list)
    still_required = ArrayField(models.CharField(max_length=300), default=list)
    reason = models.TextField(blank=True)

    class Meta:
        ordering = ["-at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["agent", "due_on"],
                condition=Q(answer="renewed"),
                name="attestation_renewed_once_per_day",
            ),
            models.CheckConstraint(
                name="attestation_renewed_until",
                condition=Q(answer="renewed", next_due__isnull=False)
                | Q(answer="ended", next_due__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent}: {self.get_answer_display()}, due on {self.due_on:%Y-%m-%d}"


class BadgeKey(models.Model):
    """Who has this key may read an agent's badge, and nothing else of it. The key is not kept."""

    agent = models.OneToOneField(Agent, on_delete=models.CASCADE, related_name="badge_key")
    digest = models.CharField(max_length=64, unique=True)
    made_at = models.DateTimeField()
    made_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")

    def __str__(self) -> str:
        return f"badge of {self.agent}"
