"""What an agent is given when it goes live, step by step, and how each step is taken back."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from governance.kernel import clock
from registry.models import Agent, Person


class RunState(models.TextChoices):
    """How far a run is."""

    RUNNING = "running", "under way"
    DONE = "done", "done"
    UNDOING = "undoing", "being undone"
    UNDONE = "undone", "undone"


class StepState(models.TextChoices):
    """How far one step is. A step that failed is undone like one that was done."""

    WAITING = "waiting", "waiting"
    DONE = "done", "done"
    FAILED = "failed", "failed"
    UNDONE = "undone", "undone"


OPEN = [RunState.RUNNING, RunState.UNDOING]


class ProvisioningRun(models.Model):
    """One agent going live. At most one of an agent is open.

    Steps inside Muster are done in the transaction that activates the row. Steps outside come
    after it, by whoever holds the claim; a claim that ran out is one of a process that died.
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="provisioning_runs")
    by = models.ForeignKey(
        Person,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Who let the agent go live; nobody where Muster did.",
    )
    state = models.CharField(max_length=7, choices=RunState.choices, default=RunState.RUNNING)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    next_try_at = models.DateTimeField()
    claim = models.UUIDField(null=True, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    failure = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-started_at", "-id"]
        indexes = [
            models.Index(
                fields=["next_try_at"], condition=Q(state__in=OPEN), name="provisioning_open"
            )
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["agent"], condition=Q(state__in=OPEN), name="provisioning_one_open_run"
            ),
            models.CheckConstraint(
                name="provisioning_ended_when",
                condition=Q(state__in=OPEN, ended_at__isnull=True)
                | (~Q(state__in=OPEN) & Q(ended_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="provisioning_claim_until_when",
                condition=Q(claim__isnull=True, claimed_until__isnull=True)
                | Q(claim__isnull=False, claimed_until__isnull=False),
            ),
            models.CheckConstraint(
                name="provisioning_undone_for_a_reason",
                condition=~Q(state__in=[RunState.UNDOING, RunState.UNDONE]) | ~Q(failure=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent} goes live, {self.started_at.isoformat()}"

    @property
    def is_open(self) -> bool:
        """Whether something of it is still to be done or undone."""
        return self.state in OPEN


class ProvisioningStep(models.Model):
    """One step of a run. `said` is what came of it, as a sentence; never a secret."""

    run = models.ForeignKey(ProvisioningRun, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=80)
    title = models.CharField(max_length=120)
    outside = models.BooleanField(default=False)
    state = models.CharField(max_length=7, choices=StepState.choices, default=StepState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    said = models.CharField(max_length=500, blank=True)
    error = models.CharField(max_length=500, blank=True)
    begun_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    undone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["run", "position"]
        constraints = [
            models.UniqueConstraint(fields=["run", "position"], name="provisioning_step_place"),
            models.UniqueConstraint(fields=["run", "name"], name="provisioning_step_once"),
            models.CheckConstraint(
                name="provisioning_step_undone_when",
                condition=Q(state=StepState.UNDONE, undone_at__isnull=False)
                | (~Q(state=StepState.UNDONE) & Q(undone_at__isnull=True)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.state}"
