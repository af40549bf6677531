"""Requests of data subjects, and what is to be erased because its time is over."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from audit.erasure.selectors import is_person
from compliance.enums import RequestKind, RequestState
from governance.kernel import clock
from registry import validators
from registry.models import Person


class SubjectRequest(models.Model):
    """What somebody asks about their data. `subject` is a pseudonymous id, or a resource as entries
    have it: a name or an address is never written here.

    What is erased was asked for by one person and agreed to by another; the keys in `keys` are
    laid aside first, and erased when no process seals under them any more.
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    kind = models.CharField(max_length=11, choices=RequestKind.choices)
    subject = models.CharField(max_length=1000)
    reference = models.CharField(
        max_length=120,
        blank=True,
        validators=[validators.plain_text],
        help_text="Your own file number. No name: the subject is known here by their id.",
    )
    received = models.DateField(validators=[validators.day])
    due_at = models.DateTimeField()
    opened_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField()
    extended_months = models.PositiveSmallIntegerField(default=0)
    extended_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    extended_why = models.CharField(max_length=300, blank=True, validators=[validators.plain_text])
    state = models.CharField(
        max_length=8, choices=RequestState.choices, default=RequestState.OPEN, editable=False
    )
    asked_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    agreed_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    agreed_at = models.DateTimeField(null=True, blank=True)
    keys = models.JSONField(default=list, blank=True)
    aside_at = models.DateTimeField(null=True, blank=True)
    tried_at = models.DateTimeField(null=True, blank=True)
    erased = models.PositiveIntegerField(default=0)
    held = models.PositiveIntegerField(default=0)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    closed_why = models.CharField(max_length=300, blank=True, validators=[validators.plain_text])

    class Meta:
        ordering = ["-opened_at", "-id"]
        constraints = [
            models.CheckConstraint(
                name="subject_request_agreed_by_another",
                condition=Q(asked_by__isnull=True, agreed_by__isnull=True, agreed_at__isnull=True)
                | (
                    Q(asked_by__isnull=False, agreed_by__isnull=False, agreed_at__isnull=False)
                    & ~Q(asked_by=F("agreed_by"))
                ),
                violation_error_message="Nobody agrees to what they asked for themselves.",
            ),
            models.CheckConstraint(
                name="subject_request_erases_by_two",
                condition=~Q(state__in=["approved", "aside", "held"])
                | Q(kind="erasure", agreed_by__isnull=False),
            ),
            models.CheckConstraint(
                name="subject_request_closed_when",
                condition=Q(state__in=["done", "refused"], closed_at__isnull=False)
                | (~Q(state__in=["done", "refused"]) & Q(closed_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="subject_request_extended_by_whom",
                condition=Q(extended_months=0, extended_by__isnull=True)
                | Q(extended_months__in=[1, 2], extended_by__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.subject[:40]}"

    @property
    def is_person(self) -> bool:
        """Whether it is about someone whom the record knows by a pseudonymous id."""
        return is_person(self.subject)

    @property
    def is_open(self) -> bool:
        """Whether its subject still waits for an answer."""
        return self.closed_at is None

    @property
    def is_unanswered(self) -> bool:
        """Whether somebody still has to answer; what a legal hold keeps waits for its end alone."""
        return self.is_open and self.state != RequestState.HELD


class SubjectCertificate(models.Model):
    """What was erased and what was kept, and why, as the bytes whose digest is on the record."""

    request = models.ForeignKey(
        SubjectRequest, on_delete=models.PROTECT, related_name="certificates"
    )
    edition = models.PositiveSmallIntegerField()
    issued_at = models.DateTimeField()
    document = models.BinaryField()
    digest = models.CharField(max_length=64)
    record = models.UUIDField()
    pdf = models.BinaryField(null=True, blank=True)

    class Meta:
        ordering = ["request", "edition"]
        constraints = [
            models.UniqueConstraint(
                fields=["request", "edition"], name="subject_certificate_edition"
            ),
        ]

    def __str__(self) -> str:
        return f"edition {self.edition} for {self.request_id}"


class RetentionPlan(models.Model):
    """What will be erased because its time is over: seen first, and carried out days later."""

    tier = models.CharField(max_length=12, blank=True)
    days = models.PositiveIntegerField()
    entries = models.PositiveIntegerField()
    oldest = models.DateTimeField()
    planned_at = models.DateTimeField()
    runs_at = models.DateTimeField()
    ran_at = models.DateTimeField(null=True, blank=True)
    erased = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-planned_at", "tier"]
        constraints = [
            models.UniqueConstraint(
                fields=["tier"], condition=Q(ran_at__isnull=True), name="retention_one_plan_a_tier"
            ),
            models.CheckConstraint(
                name="retention_seen_first", condition=Q(runs_at__gt=F("planned_at"))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.entries} entries of {self.tier or 'no tier'}"
