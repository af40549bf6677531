"""Previews: which change was asked about, how far the comparison is, and what it found."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from authz.enums import PreviewState
from governance.kernel import clock
from registry.models import Person


class Preview(models.Model):
    """One change compared with what was decided in the `days` before `until`."""

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="previews")
    at = models.DateTimeField(auto_now_add=True)
    change = models.JSONField()
    summary = models.CharField(max_length=1000)
    days = models.PositiveSmallIntegerField()
    most = models.PositiveIntegerField(help_text="So many decisions, the newest, are compared")
    until = models.DateTimeField()
    state = models.CharField(
        max_length=8, choices=PreviewState.choices, default=PreviewState.WAITING
    )
    # Counts the starts: one that was taken for dead and lives sees that another has begun.
    run = models.PositiveIntegerField(default=0)
    heard_at = models.DateTimeField(null=True, blank=True)
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    result = models.JSONField(default=dict)
    failure = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-at"]
        constraints = [
            models.CheckConstraint(name="preview_days", condition=Q(days__range=(1, 90))),
            models.CheckConstraint(
                name="preview_failed_says_why",
                condition=~Q(state=PreviewState.FAILED) | ~Q(failure=""),
            ),
        ]

    def __str__(self) -> str:
        return self.summary


class PreviewDifference(models.Model):
    """One recorded call that would be decided otherwise. Holds no value that was sent.

    `moved` says that today's register decides otherwise than the record, without the change.
    """

    preview = models.ForeignKey(Preview, on_delete=models.CASCADE, related_name="differences")
    position = models.PositiveIntegerField()
    moved = models.BooleanField(default=False)
    record = models.UUIDField()
    at = models.DateTimeField()
    agent = models.CharField(max_length=1000, blank=True)
    user = models.CharField(max_length=1000, blank=True)
    tool = models.CharField(max_length=1000, blank=True)
    turn = models.CharField(max_length=12)
    before = models.JSONField()
    after = models.JSONField()

    class Meta:
        ordering = ["preview", "moved", "position"]
        constraints = [
            models.UniqueConstraint(
                fields=["preview", "moved", "position"], name="preview_difference_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.record} {self.turn}"
