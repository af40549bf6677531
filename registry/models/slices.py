"""Revisions of the facts that decisions read."""

from __future__ import annotations

from django.db import models


class Slice(models.Model):
    """How often the facts under a key changed. Bumped by database triggers, never by code."""

    key = models.CharField(max_length=80, primary_key=True)
    revision = models.BigIntegerField(default=1)

    def __str__(self) -> str:
        return f"{self.key}@{self.revision}"
