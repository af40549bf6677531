"""The log of the sweeps: which ran when, and what it came to."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q


class SweepEnding(models.TextChoices):
    """How a run ended. One whose time was up came through as well: it leaves rows for the next."""

    THROUGH = "through", "came through"
    STOPPED = "stopped", "stopped by an error"
    SILENT = "silent", "ended without a word"


class SweepRun(models.Model):
    """One run of a sweep. At most one of a sweep is open; `heard_at` tells whether it lives."""

    sweep = models.CharField(max_length=40)
    started_at = models.DateTimeField()
    heard_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    done = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    # A run ends before it has handled all when its time is up; the next one goes on.
    left = models.PositiveIntegerField(default=0)
    ending = models.CharField(max_length=7, choices=SweepEnding.choices, blank=True)
    # What failed last, for people.
    failure = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-started_at", "-pk"]
        indexes = [models.Index(fields=["sweep", "-started_at"], name="sweep_run_newest")]
        constraints = [
            models.UniqueConstraint(
                fields=["sweep"], condition=Q(ended_at__isnull=True), name="sweep_one_open_run"
            ),
            models.CheckConstraint(
                name="sweep_ends_after_it_starts",
                condition=Q(ended_at__isnull=True) | Q(ended_at__gte=F("started_at")),
            ),
            models.CheckConstraint(
                name="sweep_says_how_it_ended",
                condition=Q(ended_at__isnull=True, ending="")
                | Q(ended_at__isnull=False, ending__in=["through", "stopped", "silent"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.sweep} at {self.started_at.isoformat()}"
