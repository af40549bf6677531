"""What was seen at the systems themselves, held against what was decided."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from authz.models import Lease
from registry.models import Agent, Person, System, UnregisteredCaller


class LogState(models.TextChoices):
    """Where a file of calls is."""

    PREVIEW = "preview", "looked at"
    DONE = "done", "applied"
    DROPPED = "dropped", "put aside"


class CallState(models.TextChoices):
    """What became of a call that was seen."""

    WAITING = "waiting", "about to be matched"
    MATCHED = "matched", "decided"
    OPEN = "open", "without a decision"
    EXPLAINED = "explained", "explained"
    CONFIRMED = "confirmed", "went past Muster"


class ToolLog(models.Model):
    """The audit log of one system: how it is read, and by which token it is sent.

    `columns` names the column or dotted path of `at`, `agent`, `action`, `resource` and `id`.
    `actions` has the tool of each action, "" for one that is no call of a tool; `identities` the
    agent of each account that is not found by itself. `token_digest` is SHA-256 over a token of
    256 random bits.
    """

    system = models.OneToOneField(System, on_delete=models.PROTECT, related_name="tool_log")
    columns = models.JSONField()
    actions = models.JSONField(default=dict, blank=True)
    identities = models.JSONField(default=dict, blank=True)
    zone = models.CharField(max_length=50, blank=True)
    window_seconds = models.PositiveIntegerField(default=300)
    ahead_seconds = models.PositiveIntegerField(default=5)
    token_digest = models.CharField(max_length=64, blank=True)
    token_made_at = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField()
    changed_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["system"]
        constraints = [
            models.UniqueConstraint(
                fields=["token_digest"], condition=~Q(token_digest=""), name="tool_log_token_once"
            ),
        ]

    def __str__(self) -> str:
        return f"log of {self.system}"


class LogImport(models.Model):
    """One file of a log. `rows` are the calls that were read, until they are applied or dropped.

    `made_by` is empty for a file that came by the log's token, which is applied at once.
    """

    log = models.ForeignKey(ToolLog, on_delete=models.PROTECT, related_name="imports")
    file_name = models.CharField(max_length=120)
    digest = models.CharField(max_length=64)
    state = models.CharField(max_length=7, choices=LogState.choices, default=LogState.PREVIEW)
    counts = models.JSONField(default=dict)
    wrong = models.JSONField(default=list)
    strangers = models.JSONField(default=list)
    unnamed = models.JSONField(default=list)
    rows = models.JSONField(default=list)
    made_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        ordering = ["-made_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                name="log_import_keeps_rows_while_open",
                condition=Q(state="preview", ended_at__isnull=True)
                | Q(state__in=["done", "dropped"], ended_at__isnull=False, rows=[]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.file_name} of {self.log}"


class SeenCall(models.Model):
    """One call that a log tells of, or one lease that was given.

    `key` is the log's own id of it, or a digest of its line: a file that comes twice tells of each
    once. `decision` is the decision that it used up; no other call can have the same one.
    """

    log = models.ForeignKey(
        ToolLog, null=True, blank=True, on_delete=models.PROTECT, related_name="calls"
    )
    lease = models.OneToOneField(
        Lease, null=True, blank=True, on_delete=models.CASCADE, related_name="seen"
    )
    key = models.CharField(max_length=64)
    at = models.DateTimeField()
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="seen_calls")
    identity = models.CharField(max_length=255)
    tool = models.CharField(max_length=255)
    action = models.CharField(max_length=255, blank=True)
    resource = models.CharField(max_length=255, blank=True)
    state = models.CharField(max_length=9, choices=CallState.choices, default=CallState.WAITING)
    decision = models.UUIDField(null=True, blank=True, unique=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    answered_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    answered_at = models.DateTimeField(null=True, blank=True)
    answer = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [
            models.Index(fields=["state", "log", "agent", "tool", "at"], name="seen_call_due"),
            models.Index(fields=["agent", "tool", "-at"], name="seen_call_by_agent"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["log", "key"], name="seen_call_once"),
            models.CheckConstraint(
                name="seen_call_of_one_kind",
                condition=Q(log__isnull=False, lease__isnull=True)
                | Q(log__isnull=True, lease__isnull=False),
            ),
            models.CheckConstraint(
                name="seen_call_decision_where_matched",
                condition=Q(state="matched", decision__isnull=False)
                | Q(state="matched", lease__isnull=False, decision__isnull=True)
                | (~Q(state="matched") & Q(decision__isnull=True)),
            ),
            models.CheckConstraint(
                name="seen_call_answered_by_whom_and_when",
                condition=Q(
                    state__in=["explained", "confirmed"],
                    answered_by__isnull=False,
                    answered_at__isnull=False,
                )
                | Q(
                    state__in=["waiting", "matched", "open"],
                    answered_by__isnull=True,
                    answered_at__isnull=True,
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tool} by {self.agent.slug}"


class Discovery(models.Model):
    """One thing that was found in a repository or a folder: an agent, a configuration, a key.

    `fingerprint` is SHA-256 over where it was found and what it is, never over a value.
    """

    source = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64)
    kind = models.CharField(max_length=20)
    name = models.CharField(max_length=120)
    path = models.CharField(max_length=500)
    detail = models.JSONField(default=dict)
    caller = models.ForeignKey(
        UnregisteredCaller, on_delete=models.PROTECT, related_name="discoveries"
    )
    reported_by = models.CharField(max_length=120)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()

    class Meta:
        ordering = ["-last_seen", "-pk"]
        verbose_name_plural = "discoveries"
        constraints = [
            models.UniqueConstraint(fields=["source", "fingerprint"], name="discovery_once"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name} in {self.source}"
