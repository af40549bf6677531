"""What was done about keys that fell due, and scopes that somebody keeps although unused."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from registry.models import Agent, Person


class RotationState(models.TextChoices):
    """Where the rotation of one key stands."""

    WAITING = "waiting", "waits for a person"
    OVERLAP = "overlap", "rotated; the earlier one still works"
    FAILED = "failed", "failed; it is tried again"
    DONE = "done", "done"


OPEN = (RotationState.WAITING, RotationState.OVERLAP, RotationState.FAILED)


class Rotation(models.Model):
    """One key of an agent that fell due on a day, and what became of it.

    `key` is `client` for the agent's own secret, else `credential:<reference's primary key>`.
    """

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="rotations")
    key = models.CharField(max_length=40)
    due_on = models.DateField()
    state = models.CharField(max_length=7, choices=RotationState.choices)
    opened_at = models.DateTimeField()
    rotated_at = models.DateTimeField(null=True, blank=True)
    overlap_until = models.DateTimeField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)
    done_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField()
    failure = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-due_on", "agent", "key"]
        constraints = [
            models.UniqueConstraint(fields=["agent", "key", "due_on"], name="rotation_once_due"),
            models.UniqueConstraint(
                fields=["agent", "key"], condition=~Q(state="done"), name="rotation_one_open"
            ),
            models.CheckConstraint(
                name="rotation_done_when",
                condition=Q(state="done", done_at__isnull=False)
                | (~Q(state="done") & Q(done_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="rotation_overlap_has_its_end",
                condition=~Q(state="overlap")
                | Q(overlap_until__isnull=False, rotated_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key} of {self.agent.slug}, due {self.due_on}"


class KeptScope(models.Model):
    """Somebody's word that an agent keeps a tool that it does not use, and until when."""

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="kept_scopes")
    tool = models.CharField(max_length=200)
    until = models.DateTimeField()
    reason = models.CharField(max_length=300)
    by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["agent", "tool"], name="kept_scope_once"),
        ]

    def __str__(self) -> str:
        return f"{self.agent.slug} keeps {self.tool}"
