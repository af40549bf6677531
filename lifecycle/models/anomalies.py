"""What agents usually do, counted by the hour, and the alerts about what they do not usually do."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from registry.models import Agent, Person


class AnomalyKind(models.TextChoices):
    """What is unusual."""

    VOLUME = "volume", "more calls than usual"
    OFF_HOURS = "off_hours", "an unusual hour"
    DENIALS = "denials", "more denials than usual"
    NEW_DESTINATION = "new_destination", "a new destination"
    NEW_RESOURCE_TYPE = "new_resource_type", "a new kind of resource"


# Those that are a number above its limit; the others are something that was never seen.
COUNTED = frozenset({AnomalyKind.VOLUME, AnomalyKind.OFF_HOURS, AnomalyKind.DENIALS})


class AnomalyState(models.TextChoices):
    OPEN = "open", "open"
    ACKNOWLEDGED = "acknowledged", "acknowledged"
    FALSE_ALARM = "false_alarm", "false alarm"


class SeenKind(models.TextChoices):
    """What is remembered of where calls went."""

    DESTINATION = "destination", "destination"
    RESOURCE_TYPE = "resource_type", "kind of resource"


class Counted(models.Model):
    """How far the record is counted: a single row. Every hour before `until` is, once.

    Every hour from `uses_from` on counts in `ToolUse` as well.
    """

    until = models.DateTimeField()
    uses_from = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "counted"
        constraints = [models.CheckConstraint(name="counted_is_one_row", condition=Q(pk=1))]

    def __str__(self) -> str:
        return f"until {self.until.isoformat()}"


class HourCount(models.Model):
    """The decisions of one agent about one tool in one hour. Named as in the record."""

    agent = models.CharField(max_length=60)
    tool = models.CharField(max_length=255)
    hour = models.DateTimeField()
    calls = models.PositiveIntegerField()
    denied = models.PositiveIntegerField()
    held = models.PositiveIntegerField()

    class Meta:
        indexes = [models.Index(fields=["hour"], name="hour_count_by_hour")]
        constraints = [
            models.UniqueConstraint(fields=["agent", "hour", "tool"], name="hour_count_once"),
        ]

    def __str__(self) -> str:
        return f"{self.agent} {self.tool} {self.hour.isoformat()}: {self.calls}"


class Seen(models.Model):
    """Something that calls of an agent went to, how often, and since when.

    A destination is kept for its tool, a kind of resource for the agent as a whole (`tool` "").
    """

    agent = models.CharField(max_length=60)
    tool = models.CharField(max_length=255, blank=True)
    kind = models.CharField(max_length=13, choices=SeenKind.choices)
    value = models.CharField(max_length=1000)
    first_hour = models.DateTimeField()
    last_hour = models.DateTimeField()
    calls = models.PositiveIntegerField()

    class Meta:
        verbose_name_plural = "seen"
        constraints = [
            models.UniqueConstraint(fields=["agent", "tool", "kind", "value"], name="seen_once"),
        ]

    def __str__(self) -> str:
        return f"{self.agent} {self.tool}: {self.value}"


class Anomaly(models.Model):
    """One alert. `tool` is "" where it is about the agent as a whole.

    `window` is the hour in which it began, `latest` the last hour of it, `hours` how many those
    are. `limit` is the number from which it counts as unusual.
    """

    kind = models.CharField(max_length=17, choices=AnomalyKind.choices)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="anomalies")
    tool = models.CharField(max_length=255, blank=True)
    window = models.DateTimeField()
    latest = models.DateTimeField()
    hours = models.PositiveIntegerField(default=1)
    observed = models.PositiveIntegerField()
    expected = models.FloatField()
    limit = models.PositiveIntegerField()
    detail = models.JSONField()
    found_at = models.DateTimeField()
    state = models.CharField(max_length=12, choices=AnomalyState.choices, default=AnomalyState.OPEN)
    answered_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    answered_at = models.DateTimeField(null=True, blank=True)
    answer = models.CharField(max_length=500, blank=True)
    # A false alarm: as much as this is no alert until then.
    raised_to = models.PositiveIntegerField(null=True, blank=True)
    raised_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "anomalies"
        ordering = ["-window", "-pk"]
        indexes = [models.Index(fields=["state", "-window"], name="anomaly_by_state")]
        constraints = [
            models.UniqueConstraint(
                fields=["agent", "tool", "kind", "window"], name="anomaly_once_per_window"
            ),
            models.CheckConstraint(
                name="anomaly_answered_by_whom_and_when",
                condition=Q(state="open", answered_by__isnull=True, answered_at__isnull=True)
                | (~Q(state="open") & Q(answered_by__isnull=False, answered_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="anomaly_raised_where_false",
                condition=Q(
                    state="false_alarm", raised_to__isnull=False, raised_until__isnull=False
                )
                | (~Q(state="false_alarm") & Q(raised_to__isnull=True, raised_until__isnull=True)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent} {self.tool}: {self.get_kind_display()}"
