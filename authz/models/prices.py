"""What things cost: currencies in one another, tokens of models, units of meters."""

from __future__ import annotations

from decimal import Decimal

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from governance.kernel import clock
from registry import validators

NOT_NEGATIVE = [MinValueValidator(Decimal(0))]


class CurrencyRate(models.Model):
    """How many minor units of the base currency one minor unit of this one is worth.

    The base currency itself is worth 1. What has no row is unknown: it is held, or refused.
    """

    currency = models.CharField(max_length=3, primary_key=True, validators=[validators.currency])
    worth = models.DecimalField(max_digits=20, decimal_places=10)
    changed_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        ordering = ["currency"]
        constraints = [
            models.CheckConstraint(name="currency_worth_something", condition=Q(worth__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.currency}: {self.worth.normalize():f}"


class ModelPrice(models.Model):
    """What a provider takes for the tokens of a model, in minor units a million, from then on.

    A price is never changed: a new one follows it, so that a cost can be worked out again.
    """

    provider = models.CharField(max_length=60, validators=[validators.slug])
    model = models.CharField(max_length=100, validators=[validators.plain_text])
    input_minor = models.DecimalField(max_digits=14, decimal_places=4, validators=NOT_NEGATIVE)
    output_minor = models.DecimalField(max_digits=14, decimal_places=4, validators=NOT_NEGATIVE)
    currency = models.CharField(max_length=3, default="EUR", validators=[validators.currency])
    valid_from = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["provider", "model", "-valid_from"]
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "model", "valid_from"], name="model_price_once"
            ),
            models.CheckConstraint(
                name="model_price_not_negative",
                condition=Q(input_minor__gte=0, output_minor__gte=0),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.model}"


class Meter(models.Model):
    """Something else that is paid by the unit: a call of a paid API, a minute of computing."""

    slug = models.CharField(max_length=60, primary_key=True, validators=[validators.slug])
    title = models.CharField(max_length=120, blank=True, validators=[validators.plain_text])
    unit_minor = models.DecimalField(max_digits=14, decimal_places=4, validators=NOT_NEGATIVE)
    currency = models.CharField(max_length=3, default="EUR", validators=[validators.currency])
    changed_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.CheckConstraint(name="meter_not_negative", condition=Q(unit_minor__gte=0)),
        ]

    def __str__(self) -> str:
        return self.slug
