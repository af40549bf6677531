"""Sources of people: directories, HR systems and files; what each said, and what came of it."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q

from registry import validators
from registry.models import Person


class SourceKind(models.TextChoices):
    """How a source speaks to Muster."""

    SCIM = "scim", "directory (SCIM 2.0)"
    WEBHOOK = "webhook", "HR system (signed webhook)"
    CSV = "csv", "file (CSV)"


class Source(models.Model):
    """One source of people. Its name is the `source` of the external identities that it gives.

    `token_digest` is SHA-256 over a token of 256 random bits; while it is rotated, the earlier
    one works until `previous_until`. `secret` and `previous_secret` are sealed, for a source
    that signs instead.
    """

    slug = models.CharField(max_length=60, unique=True, validators=[validators.slug])
    kind = models.CharField(max_length=7, choices=SourceKind.choices)
    title = models.CharField(max_length=100, validators=[validators.plain_text])
    token_digest = models.CharField(max_length=64, blank=True)
    token_made_at = models.DateTimeField(null=True, blank=True)
    previous_digest = models.CharField(max_length=64, blank=True)
    previous_until = models.DateTimeField(null=True, blank=True)
    secret = models.BinaryField(default=bytes)
    previous_secret = models.BinaryField(default=bytes)
    networks = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    last_seen_at = models.DateTimeField(null=True, blank=True)
    # After so many days without a word it is called silent; empty for the installation's.
    silent_days = models.PositiveSmallIntegerField(null=True, blank=True)
    # Its last word before the silence of which people were told.
    told_silent_of = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.UniqueConstraint(
                fields=["token_digest"], condition=~Q(token_digest=""), name="source_token_once"
            ),
            models.CheckConstraint(
                name="source_ended_has_no_token",
                condition=Q(ended_at__isnull=True)
                | Q(token_digest="", previous_digest="", ended_by__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.slug

    @property
    def is_open(self) -> bool:
        """Whether Muster still listens to it."""
        return self.ended_at is None

    def is_silent(self, now: datetime) -> bool:
        """Whether it ought to have said something by now."""
        limit = now - timedelta(days=self.silent_days or settings.MUSTER_SOURCE_SILENT_DAYS)
        return self.is_open and (self.last_seen_at or self.created_at) < limit


class ScimResource(models.Model):
    """What one source said of a user or a group of its own, apart from what Muster made of it.

    `said` is the resource as SCIM has it, without id, meta, groups, members and password. The
    columns beside it are what filters look for, in lower case where case does not count. `active`
    holds also where the source has stopped saying so: nobody is let in again by an omission.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="resources")
    type = models.CharField(max_length=20)
    said = models.JSONField()
    version = models.PositiveIntegerField(default=1)
    user_name = models.CharField(max_length=255, null=True, blank=True)
    external_id = models.CharField(max_length=255, blank=True)
    display_name = models.CharField(max_length=255, blank=True)
    emails = ArrayField(models.CharField(max_length=255), default=list, blank=True)
    active = models.BooleanField(default=True)
    person = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="scim_resources"
    )
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [
            models.Index(fields=["source", "type", "created_at", "id"], name="scim_in_order"),
            models.Index(fields=["source", "display_name"], name="scim_display_name"),
            GinIndex(fields=["emails"], name="scim_emails"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["source", "user_name"], name="scim_user_name_once"),
            models.UniqueConstraint(
                fields=["source", "type", "external_id"],
                condition=~Q(external_id=""),
                name="scim_external_id_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id} of {self.source_id}"


class ScimMember(models.Model):
    """One resource that is a member of a group of its source."""

    group = models.ForeignKey(ScimResource, on_delete=models.CASCADE, related_name="memberships")
    member = models.ForeignKey(ScimResource, on_delete=models.CASCADE, related_name="member_of")
    display = models.CharField(max_length=255, blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["group", "member"], name="scim_member_once"),
        ]

    def __str__(self) -> str:
        return f"{self.member_id} in {self.group_id}"


class SourceEvent(models.Model):
    """One thing that a source did or tried; the record has those that changed something.

    Shortened after `MUSTER_SOURCE_LOG_DAYS`. `subject` is the id of the source's own resource;
    `person` whom it came to.
    """

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    did = models.CharField(max_length=60)
    subject = models.CharField(max_length=80, blank=True)
    person = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    status = models.PositiveSmallIntegerField()
    outcome = models.CharField(max_length=300, blank=True)
    record = models.UUIDField(null=True, blank=True)
    address = models.CharField(max_length=45, blank=True)

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["source", "-at", "-id"], name="source_event_newest")]

    def __str__(self) -> str:
        return f"{self.did}: {self.status}"
