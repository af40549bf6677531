"""Data categories that are dangerous together."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from simple_history.models import HistoricalRecords

from registry import validators
from registry.enums import Tier


class ToxicCombination(models.Model):
    """A pair or triple of data categories, the tier that they imply together, and why."""

    slug = models.CharField(max_length=60, unique=True, validators=[validators.slug])
    categories = ArrayField(models.CharField(max_length=60, validators=[validators.slug]))
    implied_tier = models.CharField(max_length=12, choices=Tier.choices)
    reason = models.CharField(max_length=300, validators=[validators.plain_text])
    is_active = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    history = HistoricalRecords()

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.CheckConstraint(
                name="toxic_two_or_three", condition=models.Q(categories__len__range=(2, 4))
            ),
        ]

    def __str__(self) -> str:
        return self.slug
