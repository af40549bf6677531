"""One report: what was asked, how far it is, what it came to, and who may fetch it."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import F, Q

from compliance import scope
from compliance.enums import Cadence, ReportState
from compliance.period import Period
from governance.kernel import clock
from registry import validators
from registry.models import Person


class ReportSchedule(models.Model):
    """A framework, of which a report is made after each month or quarter."""

    framework = models.CharField(max_length=40, validators=[validators.slug])
    cadence = models.CharField(max_length=9, choices=Cadence.choices)
    scope = models.CharField(max_length=120, default=scope.ALL)
    made_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField()
    ended_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["framework", "cadence", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["framework", "cadence", "scope"],
                condition=Q(ended_at__isnull=True),
                name="report_schedule_once",
            ),
            models.CheckConstraint(
                name="report_schedule_ended_by_whom_and_when",
                condition=Q(ended_at__isnull=True, ended_by__isnull=True)
                | Q(ended_at__isnull=False, ended_by__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.framework}, {self.get_cadence_display()}"


class Report(models.Model):
    """Evidence for one framework over one period. `document` is all that it says.

    What happened counts until the end of the period, or until it was asked for where that is
    earlier. `run` counts the starts: one that was taken for dead and lives sees that another has
    begun.
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    framework = models.CharField(max_length=40, validators=[validators.slug])
    first = models.DateField()
    last = models.DateField()
    scope = models.CharField(max_length=120, default=scope.ALL)
    schedule = models.ForeignKey(
        ReportSchedule, null=True, blank=True, on_delete=models.PROTECT, related_name="reports"
    )
    asked_by = models.ForeignKey(
        Person,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Nobody where a schedule asked.",
    )
    asked_at = models.DateTimeField()
    state = models.CharField(
        max_length=7, choices=ReportState.choices, default=ReportState.WAITING, editable=False
    )
    run = models.PositiveIntegerField(default=0)
    heard_at = models.DateTimeField(null=True, blank=True)
    step = models.CharField(max_length=200, blank=True)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    made_at = models.DateTimeField(null=True, blank=True)
    document = models.JSONField(default=dict)
    pages = models.PositiveIntegerField(default=0)
    failure = models.CharField(max_length=500, blank=True)
    files_deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-asked_at", "-id"]
        indexes = [models.Index(fields=["framework", "first", "last"], name="report_by_period")]
        constraints = [
            models.UniqueConstraint(
                fields=["schedule", "first", "last"],
                condition=Q(schedule__isnull=False),
                name="report_scheduled_once",
            ),
            models.CheckConstraint(
                name="report_asked_by_one",
                condition=Q(schedule__isnull=False, asked_by__isnull=True)
                | Q(schedule__isnull=True, asked_by__isnull=False),
            ),
            models.CheckConstraint(
                name="report_made_when",
                condition=Q(state="done", made_at__isnull=False)
                | (~Q(state="done") & Q(made_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="report_failed_says_why", condition=~Q(state="failed") | ~Q(failure="")
            ),
            models.CheckConstraint(
                name="report_ends_after_its_start", condition=Q(last__gte=F("first"))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.framework}, {self.period.name}"

    @property
    def period(self) -> Period:
        return Period(self.first, self.last)

    @property
    def is_open(self) -> bool:
        """Whether it is still to be made."""
        return self.state in (ReportState.WAITING, ReportState.RUNNING)


class ReportFile(models.Model):
    """One file of a report, as the bytes whose digest stands on the record."""

    report = models.ForeignKey(Report, on_delete=models.CASCADE, related_name="files")
    name = models.CharField(max_length=120)
    content = models.BinaryField()
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)

    class Meta:
        ordering = ["report", "name"]
        constraints = [
            models.UniqueConstraint(fields=["report", "name"], name="report_file_once"),
        ]

    def __str__(self) -> str:
        return self.name


class DownloadLink(models.Model):
    """Who has this link may fetch one report until it ends. Only a digest of it is kept."""

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    digest = models.CharField(max_length=64, unique=True)
    report = models.ForeignKey(Report, on_delete=models.CASCADE, related_name="links")
    whom = models.CharField(
        max_length=200, validators=[validators.plain_text], help_text="Who it is for"
    )
    made_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    fetched = models.PositiveIntegerField(default=0)
    last_fetched_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-made_at"]
        constraints = [
            models.CheckConstraint(
                name="download_link_ends_after_start", condition=Q(expires_at__gt=F("made_at"))
            ),
        ]

    def __str__(self) -> str:
        return f"link to {self.report_id} for {self.whom}"

    def is_over(self, now: datetime) -> bool:
        """Whether it opens nothing any more."""
        return self.ended_at is not None or self.expires_at <= now
