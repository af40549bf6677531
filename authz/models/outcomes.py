"""Which decisions have been reported back on."""

from __future__ import annotations

from django.db import models


class ReportedOutcome(models.Model):
    """One decision's outcome: its key lets the second report find that there is a first.

    The record is append-only and partitioned by time, so it cannot hold this constraint itself.
    """

    decision = models.UUIDField(primary_key=True)
    record = models.UUIDField(unique=True)
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"outcome of {self.decision}"
