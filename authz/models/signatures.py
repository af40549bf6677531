"""Texts that no parameter may hold."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from simple_history.models import HistoricalRecords

from authz.engine.signatures import MAX_PATTERN
from registry import validators
from registry.enums import ToolEffect


class Signature(models.Model):
    """A pattern over plain text, why it is denied, and the tools that it is for: else all."""

    slug = models.CharField(max_length=60, unique=True, validators=[validators.slug])
    pattern = models.CharField(
        max_length=MAX_PATTERN,
        validators=[validators.plain_text],
        help_text="RE2 over plain text: one space between words, ^ and $ for its ends.",
    )
    reason = models.CharField(max_length=300, validators=[validators.plain_text])
    effects = ArrayField(
        models.CharField(max_length=24, choices=ToolEffect.choices),
        default=list,
        blank=True,
        help_text="Only for tools with one of these effects. With no effect and no tool: for all.",
    )
    tools = ArrayField(
        models.CharField(max_length=120, validators=[validators.tool_name]),
        default=list,
        blank=True,
        help_text="Only for these tools, besides those with the effects.",
    )
    is_active = models.BooleanField(default=True)
    history = HistoricalRecords()

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.slug
