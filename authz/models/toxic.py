"""Data that is dangerous together, and with what is done besides."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from governance.kernel import clock
from registry import validators
from registry.enums import CombinedEffect, Tier
from registry.models import Agent, Person


class ToxicCombination(models.Model):
    """Two or more data categories or effects, the tier that they imply together, and why."""

    slug = models.CharField(max_length=60, unique=True, validators=[validators.slug])
    categories = ArrayField(
        models.CharField(max_length=60, validators=[validators.slug]), default=list, blank=True
    )
    effects = ArrayField(
        models.CharField(max_length=24, choices=CombinedEffect.choices),
        default=list,
        blank=True,
        help_text="What an agent does besides. Two or more of categories and effects together.",
    )
    implied_tier = models.CharField(max_length=12, choices=Tier.choices)
    reason = models.CharField(max_length=300, validators=[validators.plain_text])
    reference = models.CharField(
        max_length=300,
        blank=True,
        validators=[validators.plain_text],
        help_text="The incident or source that it was learned from, so that it can be looked up.",
    )
    only_listed = models.BooleanField(
        default=False,
        help_text="It is listed and asks for an answer, but raises no tier and needs no review.",
    )
    is_active = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    history = HistoricalRecords()

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.CheckConstraint(
                name="toxic_two_or_more",
                condition=Q(categories__len__gte=2)
                | Q(categories__len=1, effects__len__gte=1)
                | Q(effects__len__gte=2),
                violation_error_message="A combination has at least two categories or effects.",
            ),
            models.CheckConstraint(
                name="toxic_not_too_many",
                condition=Q(categories__len__lte=8, effects__len__lte=7),
                violation_error_message="A combination has at most eight categories.",
            ),
        ]

    def __str__(self) -> str:
        return self.slug


class OutputTier(models.Model):
    """What an agent's runs count as once they have read any part of a combination.

    The answer "aggregate" to a finding: as if the other parts were always there.
    """

    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="output_tiers")
    combination = models.CharField(max_length=60, validators=[validators.slug])
    categories = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    effects = ArrayField(models.CharField(max_length=24), default=list, blank=True)
    tier = models.CharField(max_length=12, choices=Tier.choices)
    set_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    set_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["agent", "combination"]
        constraints = [
            models.UniqueConstraint(fields=["agent", "combination"], name="output_tier_once"),
        ]

    def __str__(self) -> str:
        return f"{self.agent}: {self.tier}"
