"""Reviews: an agent that asks to go live, or a change of one that is, and who signs it by when."""

from __future__ import annotations

from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from registry.enums import Tier
from registry.models import Agent, Clearance, Person, ProposedChange, System


class ReviewKind(models.TextChoices):
    LIVE = "live", "to go live"
    CHANGE = "change", "a change of a live row"
    PERIODIC = "periodic", "to go on, looked at in time"


class ReviewState(models.TextChoices):
    OPEN = "open", "open"
    APPROVED = "approved", "approved"
    CHANGES = "changes", "sent back for a change"
    REJECTED = "rejected", "rejected"
    WITHDRAWN = "withdrawn", "withdrawn"
    ANSWERED = "answered", "answered"


class ReviewOutcome(models.TextChoices):
    """What came of looking at a live agent again, the gentlest first."""

    KEEP = "keep", "goes on as it is"
    NARROW = "narrow", "goes on with less"
    SUSPEND = "suspend", "suspended"
    END = "end", "ended"


class StepRole(models.TextChoices):
    OWNER = "owner", "its owner"
    SECURITY = "security", "security"
    DPO = "dpo", "data protection officer"
    SOURCE_OWNER = "source_owner", "owner of a source"


class StepState(models.TextChoices):
    WAITING = "waiting", "waiting"
    APPROVED = "approved", "approved"
    CHANGES = "changes", "asked for a change"
    REJECTED = "rejected", "rejected"
    ANSWERED = "answered", "answered"


class EventKind(models.TextChoices):
    """What happened in a review, in the order of its timeline."""

    OPENED = "opened", "sent for review"
    APPROVED = "approved", "approved"
    CHANGES = "changes", "asked for a change"
    REJECTED = "rejected", "rejected"
    COMMENT = "comment", "said"
    VOIDED = "voided", "voided"
    REMINDED = "reminded", "reminded"
    ESCALATED = "escalated", "escalated"
    WITHDRAWN = "withdrawn", "withdrew it"
    CLOSED = "closed", "closed"
    ANSWERED = "answered", "looked at it"
    SUSPENDED = "suspended", "suspended it"


class ReviewQuerySet(models.QuerySet["Review"]):
    """Reads of reviews."""

    def visible_to(self, person: Person) -> Self:
        """Readers see all; others those of agents that they see, or where a step is theirs."""
        if not person.may_act:
            return self.none()
        if person.reads_everything:
            return self
        visible = Agent.objects.visible_to(person).values("pk")
        theirs = ReviewStep.objects.filter(
            Q(system__owner=person) | Q(system__owner__absences__stand_in=person)
        ).values("review")
        return self.filter(Q(agent__in=visible) | Q(pk__in=theirs))


class Review(models.Model):
    """One asking: of what row, bound to its digest, and how it ended.

    `facts` is the row as it was read, so that the next review shows what changed since.
    """

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="reviews")
    kind = models.CharField(max_length=8, choices=ReviewKind.choices)
    change = models.ForeignKey(
        ProposedChange, null=True, blank=True, on_delete=models.PROTECT, related_name="reviews"
    )
    state = models.CharField(
        max_length=9, choices=ReviewState.choices, default=ReviewState.OPEN, editable=False
    )
    tier = models.CharField(max_length=12, choices=Tier.choices)
    digest = models.CharField(max_length=64)
    reach_digest = models.CharField(max_length=64)
    facts = models.JSONField()
    opened_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    live_at = models.DateTimeField(null=True, blank=True)
    # Of a periodic one: the day by which it was to be done, the end of that day where its owner
    # is, what it was opened for besides the day, and what came of it.
    due_on = models.DateField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    because = models.CharField(max_length=300, blank=True)
    outcome = models.CharField(
        max_length=8, choices=ReviewOutcome.choices, blank=True, editable=False
    )

    objects = ReviewQuerySet.as_manager()

    class Meta:
        ordering = ["-opened_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["agent"],
                condition=Q(state="open", kind="live"),
                name="review_one_open_per_agent",
            ),
            models.UniqueConstraint(
                fields=["agent"],
                condition=Q(state="open", kind="periodic"),
                name="review_one_periodic_per_agent",
            ),
            models.UniqueConstraint(
                fields=["change"], condition=Q(state="open"), name="review_one_open_per_change"
            ),
            models.CheckConstraint(
                name="review_of_a_change_names_it",
                condition=Q(kind__in=["live", "periodic"], change__isnull=True)
                | Q(kind="change", change__isnull=False),
            ),
            models.CheckConstraint(
                name="review_periodic_has_its_day",
                condition=(
                    Q(kind="periodic", due_on__isnull=False, due_at__isnull=False)
                    | (~Q(kind="periodic") & Q(due_on__isnull=True, due_at__isnull=True))
                ),
            ),
            models.CheckConstraint(
                name="review_answered_has_an_outcome",
                condition=Q(state="answered", kind="periodic") & ~Q(outcome="")
                | ~Q(state="answered") & Q(outcome=""),
            ),
            models.CheckConstraint(
                name="review_closed_when",
                condition=Q(state="open", closed_at__isnull=True)
                | (~Q(state="open") & Q(closed_at__isnull=False)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent}: {self.get_kind_display()}"

    @property
    def is_open(self) -> bool:
        """Whether it still waits for someone."""
        return self.state == ReviewState.OPEN


class ReviewStep(models.Model):
    """One signature: in which role, of which source, due when, and what became of it."""

    review = models.ForeignKey(Review, on_delete=models.CASCADE, related_name="steps")
    role = models.CharField(max_length=12, choices=StepRole.choices)
    system = models.ForeignKey(
        System, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    why = ArrayField(models.TextField(), default=list)
    days = models.PositiveIntegerField()
    due = models.DateTimeField()
    state = models.CharField(
        max_length=8, choices=StepState.choices, default=StepState.WAITING, editable=False
    )
    answered_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="review_answers"
    )
    answered_at = models.DateTimeField(null=True, blank=True)
    stands_in_for = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    reason = models.TextField(blank=True)
    # Of a periodic review: what this reviewer decided, and what they answered to each question.
    outcome = models.CharField(max_length=8, choices=ReviewOutcome.choices, blank=True)
    answers = models.JSONField(default=dict, blank=True)
    clearance = models.ForeignKey(
        Clearance, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    told_at = models.DateTimeField(null=True, blank=True)
    reminded_at = models.DateTimeField(null=True, blank=True)
    escalated_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["state", "due"], name="review_step_by_due")]
        constraints = [
            models.UniqueConstraint(
                fields=["review", "role", "system"],
                nulls_distinct=False,
                name="review_step_once",
            ),
            models.CheckConstraint(
                name="review_step_of_a_source_names_it",
                condition=Q(role="source_owner", system__isnull=False)
                | (~Q(role="source_owner") & Q(system__isnull=True)),
            ),
            models.CheckConstraint(
                name="review_step_answered_by_whom_and_when",
                condition=Q(state="waiting", answered_by__isnull=True, answered_at__isnull=True)
                | (~Q(state="waiting") & Q(answered_by__isnull=False, answered_at__isnull=False)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.review}: {self.title}"

    @property
    def title(self) -> str:
        """The role as a page names it."""
        role = str(self.get_role_display())
        words = f"owner of {self.system.slug}" if self.system else role
        return words[:1].upper() + words[1:] if words != "data protection officer" else "DPO"


class ReviewEvent(models.Model):
    """One line of a review's timeline. Written once."""

    review = models.ForeignKey(Review, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=9, choices=EventKind.choices)
    at = models.DateTimeField()
    by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    role = models.CharField(max_length=100, blank=True)
    text = models.TextField(blank=True)

    class Meta:
        ordering = ["at", "pk"]

    def __str__(self) -> str:
        return f"{self.review}: {self.get_kind_display()}"
