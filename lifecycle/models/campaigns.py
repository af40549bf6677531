"""What already runs and is to come onto the register: campaigns, and whom they ask."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from registry import validators
from registry.models import Agent, Person, UnregisteredCaller


class CandidateState(models.TextChoices):
    """Where one thing that runs stands on its way onto the register."""

    UNOWNED = "unowned", "has no owner yet"
    ASKED = "asked", "waits for its owner"
    ACCEPTED = "accepted", "accepted: a draft"
    KNOWN = "known", "on the register already"
    DROPPED = "dropped", "put aside"


OPEN = [CandidateState.UNOWNED, CandidateState.ASKED]


class Campaign(models.Model):
    """Proposed owners are asked until each has answered, or until it is closed."""

    name = models.CharField(max_length=100, validators=[validators.plain_text])
    started_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="campaigns")
    started_at = models.DateTimeField()
    due = models.DateField(validators=[validators.day])
    closed_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-started_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                name="campaign_closed_by_whom_and_when",
                condition=Q(closed_at__isnull=True, closed_by__isnull=True)
                | Q(closed_at__isnull=False, closed_by__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Candidate(models.Model):
    """One thing that runs, as it was found. It belongs to nobody before they accept it.

    `found` is what a reader made of it; `problems` are sentences for whoever looks at it.
    """

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="candidates")
    position = models.PositiveIntegerField()
    kind = models.CharField(max_length=12)
    slug = models.CharField(max_length=60, blank=True)
    name = models.CharField(max_length=120, blank=True)
    found = models.JSONField(default=dict)
    problems = models.JSONField(default=list)
    named_owner = models.CharField(max_length=254, blank=True)
    owner = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="candidates"
    )
    state = models.CharField(
        max_length=8, choices=CandidateState.choices, default=CandidateState.UNOWNED
    )
    asked_at = models.DateTimeField(null=True, blank=True)
    told_at = models.DateTimeField(null=True, blank=True)
    answered_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    answered_at = models.DateTimeField(null=True, blank=True)
    answer = models.CharField(max_length=500, blank=True)
    agent = models.ForeignKey(
        Agent, null=True, blank=True, on_delete=models.PROTECT, related_name="candidates"
    )
    caller = models.ForeignKey(
        UnregisteredCaller, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        ordering = ["campaign", "position"]
        indexes = [
            models.Index(fields=["owner"], condition=Q(state="asked"), name="candidate_asked_of")
        ]
        constraints = [
            models.UniqueConstraint(fields=["campaign", "position"], name="candidate_place"),
            models.CheckConstraint(
                name="candidate_asked_of_whom",
                condition=~Q(state=CandidateState.ASKED)
                | Q(owner__isnull=False, asked_at__isnull=False),
            ),
            models.CheckConstraint(
                name="candidate_accepted_as_an_agent",
                condition=~Q(state=CandidateState.ACCEPTED)
                | Q(agent__isnull=False, answered_by__isnull=False, answered_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.slug or self.name or f"row {self.position}"

    @property
    def is_open(self) -> bool:
        """Whether someone has still to say something of it."""
        return self.state in OPEN
