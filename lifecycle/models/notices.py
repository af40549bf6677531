"""Notices, whom they are for, and the ways on which they go out."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from governance.kernel import clock
from registry.models import Person


class Severity(models.TextChoices):
    """How loud a notice is. A page goes out at once, on every channel, whatever the hour."""

    INFO = "info", "info"
    PAGE = "page", "page"


class Digest(models.TextChoices):
    """How infos are gathered into one message."""

    NONE = "none", "each by itself"
    HOURLY = "hourly", "once an hour"
    DAILY = "daily", "once a day"


class DeliveryState(models.TextChoices):
    WAITING = "waiting", "waiting"
    SENT = "sent", "sent"
    FAILED = "failed", "failed"
    DROPPED = "dropped", "dropped"


class Wishes(models.Model):
    """When a person wants to hear of what is no page. Times are in the person's own zone."""

    person = models.OneToOneField(Person, on_delete=models.CASCADE, related_name="notice_wishes")
    digest = models.CharField(max_length=6, choices=Digest.choices, default=Digest.NONE)
    digest_at = models.TimeField("daily at", default="08:00")
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)
    info_by_mail = models.BooleanField("infos by mail", default=True)

    class Meta:
        verbose_name_plural = "wishes"
        constraints = [
            models.CheckConstraint(
                name="wishes_quiet_hours_have_both_ends",
                condition=Q(quiet_from__isnull=True, quiet_until__isnull=True)
                | Q(quiet_from__isnull=False, quiet_until__isnull=False),
                violation_error_message="Quiet hours need a beginning and an end.",
            ),
        ]

    def __str__(self) -> str:
        return f"wishes of {self.person}"


class Channel(models.Model):
    """A way to a person besides mail. Its address is a credential: sealed, never shown again."""

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="notice_channels")
    name = models.CharField(max_length=60)
    kind = models.CharField(max_length=20)
    sealed = models.BinaryField()
    infos = models.BooleanField("infos as well as pages", default=False)
    added_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    added_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["added_at", "pk"]

    def __str__(self) -> str:
        return f"{self.name} ({self.kind})"


class Notice(models.Model):
    """One thing that one person is told. The same event tells nobody twice."""

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    event = models.CharField(max_length=200)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="notices")
    severity = models.CharField(max_length=4, choices=Severity.choices)
    code = models.CharField(max_length=60)
    subject = models.CharField(max_length=300)
    text = models.TextField()
    path = models.CharField(max_length=300, blank=True)
    made_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-made_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["event", "person"], name="notice_once_per_event"),
        ]

    def __str__(self) -> str:
        return self.subject


class Delivery(models.Model):
    """One notice on one way: mail where `channel` is empty. What has one bundle is one message."""

    notice = models.ForeignKey(Notice, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.ForeignKey(
        Channel, null=True, blank=True, on_delete=models.PROTECT, related_name="deliveries"
    )
    bundle = models.UUIDField()
    state = models.CharField(
        max_length=7, choices=DeliveryState.choices, default=DeliveryState.WAITING
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    failure = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ["pk"]
        indexes = [
            models.Index(
                fields=["next_try_at"], condition=Q(state="waiting"), name="delivery_waiting"
            ),
            models.Index(fields=["bundle"], name="delivery_bundle"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["notice", "channel"],
                nulls_distinct=False,
                name="delivery_once_on_each_way",
            ),
            models.CheckConstraint(
                name="delivery_sent_when",
                condition=Q(state="sent", sent_at__isnull=False)
                | (~Q(state="sent") & Q(sent_at__isnull=True)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.notice} by {self.channel or 'mail'}"
