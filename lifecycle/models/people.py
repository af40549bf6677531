"""Ways besides SCIM by which people come in: files that are imported, events that were heard."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from lifecycle.models.sources import Source
from registry.models import Person


class ImportState(models.TextChoices):
    """Where an import is."""

    PREVIEW = "preview", "looked at"
    APPLYING = "applying", "being applied"
    DONE = "done", "applied"
    DROPPED = "dropped", "put aside"


class RowKind(models.TextChoices):
    """What a row comes to for one person."""

    JOINS = "joins", "joins"
    RETURNS = "returns", "is back"
    CHANGES = "changes", "changes"
    LEAVING = "leaving", "is leaving"
    LEFT = "left", "has left"
    MISSING = "missing", "not in the file"
    UNCHANGED = "unchanged", "unchanged"
    WRONG = "wrong", "cannot be read"


class RowState(models.TextChoices):
    """What became of a row."""

    SHOWN = "shown", "not applied"
    DUE = "due", "about to be applied"
    DONE = "done", "applied"
    REFUSED = "refused", "refused"


class PeopleImport(models.Model):
    """A file of people, as it was read, and what was done with it.

    Its rows hold personal data and go after `MUSTER_IMPORT_DAYS`; the counts stay.
    """

    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="imports")
    file_name = models.CharField(max_length=120)
    state = models.CharField(max_length=8, choices=ImportState.choices, default=ImportState.PREVIEW)
    # The file names everyone: whom this source named before and does not now has left.
    whole = models.BooleanField(default=False)
    returns = models.BooleanField(default=False)
    unread = models.JSONField(default=list)
    counts = models.JSONField(default=dict)
    made_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    applied_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    applied_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-made_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                name="people_import_applied_by_someone",
                condition=Q(state__in=["preview", "dropped"], applied_by__isnull=True)
                | Q(
                    state__in=["applying", "done"],
                    applied_by__isnull=False,
                    applied_at__isnull=False,
                ),
            ),
            models.UniqueConstraint(
                fields=["source"],
                condition=Q(state="applying"),
                name="people_import_one_at_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"import {self.pk} of {self.source}"


class ImportRow(models.Model):
    """One person of an import: what the file says, and what that changes.

    `fingerprint` is of what was shown; a row is only applied while it would be shown so still.
    `line` is 0 for who is not in the file.
    """

    of = models.ForeignKey(PeopleImport, on_delete=models.CASCADE, related_name="rows")
    place = models.PositiveIntegerField()
    line = models.PositiveIntegerField()
    kind = models.CharField(max_length=9, choices=RowKind.choices)
    state = models.CharField(max_length=7, choices=RowState.choices, default=RowState.SHOWN)
    person = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    external_id = models.CharField(max_length=255, blank=True)
    said = models.JSONField(default=dict)
    fingerprint = models.CharField(max_length=64, blank=True)
    changes = models.JSONField(default=list)
    told = models.JSONField(default=list)
    problem = models.CharField(max_length=300, blank=True)
    # Wrong in itself, whatever the register holds.
    unreadable = models.BooleanField(default=False)

    class Meta:
        ordering = ["of", "place"]
        indexes = [models.Index(fields=["of", "state", "place"], name="import_row_next")]
        constraints = [
            models.UniqueConstraint(fields=["of", "place"], name="import_row_place"),
        ]

    def __str__(self) -> str:
        return f"line {self.line} of {self.of_id}"

    @property
    def who(self) -> str:
        """Whom the file means, in its own words, where nobody is known yet."""
        names = (self.said.get(name) for name in ("name", "email", "id"))
        return str(self.person or next(filter(None, names), self.external_id))


class HeardEvent(models.Model):
    """An event of a webhook that was taken, or was too late to count. Each once for its source."""

    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="heard")
    event_id = models.CharField(max_length=210)
    type = models.CharField(max_length=6)
    occurred_at = models.DateTimeField()
    heard_at = models.DateTimeField()
    answer = models.JSONField()

    class Meta:
        ordering = ["-heard_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["source", "event_id"], name="heard_event_once"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"


class WebhookAnswer(models.Model):
    """What a message was answered, for when it comes again."""

    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="answers")
    webhook_id = models.CharField(max_length=200)
    body_digest = models.CharField(max_length=64)
    answer = models.JSONField()
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "webhook_id"], name="webhook_answer_once"),
        ]

    def __str__(self) -> str:
        return self.webhook_id


class PersonClock(models.Model):
    """Until when a source spoke of each field of a person, also of one whom nobody knows yet.

    `gone` and `last_day` are its newest word on their employment, and `said` what it said of one
    whom nobody knows yet: kept for a joiner who comes late.
    """

    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="clocks")
    external_id = models.CharField(max_length=255)
    clocks = models.JSONField(default=dict)
    said = models.JSONField(default=dict)
    gone = models.BooleanField(default=False)
    last_day = models.DateField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "external_id"], name="person_clock_once"),
        ]

    def __str__(self) -> str:
        return f"clock of {self.external_id}"
