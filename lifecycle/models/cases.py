"""Cases: what is asked about an agent, until when, and what came of it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from django.db import models
from django.db.models import F, Q

from governance.kernel import clock
from registry.models import Agent, Person


class CaseKind(models.TextChoices):
    """Why there is a case."""

    LEAVER = "leaver", "its owner leaves"
    MOVER = "mover", "its owner moved to another department"
    RENEWAL = "renewal", "its renewal is due"
    IDLE = "idle", "it is idle"


class CaseState(models.TextChoices):
    """Where a case stands."""

    OPEN = "open", "open"
    ANSWERED = "answered", "answered"
    ENDED = "ended", "ended by its clock"
    DROPPED = "dropped", "dropped: no longer true"


class Case(models.Model):
    """One question about one agent. It counts business days from `counts_from` to `due_on`.

    `about` holds facts: names of things and pids, never what a person wrote.
    """

    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="cases")
    kind = models.CharField(max_length=8, choices=CaseKind.choices)
    state = models.CharField(max_length=8, choices=CaseState.choices, default=CaseState.OPEN)
    opened_at = models.DateTimeField()
    opened_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    counts_from = models.DateField()
    due_on = models.DateField(help_text="The last business day.")
    due_at = models.DateTimeField(help_text="The end of it, where its deciders are.")
    zone = models.CharField(max_length=50)
    calendar = models.CharField(max_length=10, blank=True)
    about = models.JSONField(default=dict, blank=True)
    proposed_owner = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="offered_cases"
    )
    proposed_by = models.ForeignKey(
        Person,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Who named the proposed owner; nobody where Muster did.",
    )
    outcome = models.CharField(max_length=40, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(
        Person,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Nobody where Muster did.",
    )

    class Meta:
        ordering = ["due_at", "pk"]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(state="open"), name="case_open_by_due")
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["agent", "kind"], condition=Q(state="open"), name="case_one_open_of_a_kind"
            ),
            models.CheckConstraint(
                name="case_closed_when",
                condition=Q(state="open", closed_at__isnull=True, closed_by__isnull=True)
                | (~Q(state="open") & Q(closed_at__isnull=False) & ~Q(outcome="")),
            ),
            models.CheckConstraint(
                name="case_due_after_it_counts", condition=Q(due_on__gte=F("counts_from"))
            ),
            models.CheckConstraint(
                name="case_owner_named_by_another",
                condition=Q(proposed_by__isnull=True)
                | Q(proposed_owner__isnull=True)
                | ~Q(proposed_by=F("proposed_owner")),
                violation_error_message="Nobody names themself as the new owner.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.agent.slug}, due {self.due_on}"

    @property
    def is_open(self) -> bool:
        """Whether it waits for an answer still."""
        return self.state == CaseState.OPEN

    @property
    def due_there(self) -> datetime:
        """When it is due, as the clocks of its deciders say it."""
        return self.due_at.astimezone(ZoneInfo(self.zone))


class CaseEvent(models.Model):
    """One thing that happened in a case, once. `record` is the entry of the record that tells it.

    `what` is `opened`, `day:N`, `answered`, `ended`, `dropped`, or a word of the kind's own.
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    case = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="events")
    what = models.CharField(max_length=60)
    at = models.DateTimeField()
    by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    text = models.CharField(max_length=500, blank=True)
    record = models.UUIDField()

    class Meta:
        ordering = ["at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["case", "what"], name="case_event_once"),
        ]

    def __str__(self) -> str:
        return f"{self.what} of case {self.case_id}"
