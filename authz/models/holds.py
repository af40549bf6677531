"""Holds: actions that wait for a human, what people said of them, and the releases that follow.

No parameter stands here. What was asked lies in the payload of the record that a hold bears the
id of, what an approver made of it in the payload of the edit's record.
"""

from __future__ import annotations

from typing import Self
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from authz.enums import HoldState
from governance.kernel import clock
from registry.models import Person


class HoldQuerySet(models.QuerySet["Hold"]):
    """Reads of holds."""

    def visible_to(self, person: Person) -> Self:
        """Who sees every row of the register, who was asked, and who answers for the agent."""
        if not person.may_act:
            return self.none()
        if person.reads_everything:
            return self
        return self.filter(
            Q(asked_of__contains=[person.pid])
            | Q(agent__in=person.owned_agents.values("slug"))
            | Q(agent__in=person.backup_agents.values("slug"))
        )


class Hold(models.Model):
    """One exact action that waits. Made by `authz.make_hold`, under its first record's id.

    `barred` are the people who may not approve it: who answered for the agent at any time while
    it waited, and the user who was acted for. `asked_of` are those who could when it was made.
    `sealed` holds keyed hashes of the secret parameters, which no payload keeps.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    agent = models.CharField(max_length=60)
    user = models.CharField(max_length=24, blank=True)
    gateway = models.CharField(max_length=60, blank=True)
    session = models.CharField(max_length=200, blank=True)
    tool = models.CharField(max_length=120)
    tool_version = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    shape = models.CharField(max_length=64)
    sealed = models.JSONField(default=dict, blank=True)
    checks = ArrayField(models.CharField(max_length=16))
    codes = ArrayField(models.CharField(max_length=60))
    tier = models.CharField(max_length=12, blank=True)
    is_restricted = models.BooleanField()
    is_money = models.BooleanField()
    is_grant = models.BooleanField()
    approvals = models.PositiveSmallIntegerField(default=1)
    groups = ArrayField(models.CharField(max_length=20))
    agents = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    barred = ArrayField(models.CharField(max_length=24), default=list)
    asked_of = ArrayField(models.CharField(max_length=24), default=list)
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    times_asked = models.PositiveIntegerField(default=1)
    asked_at = models.DateTimeField()
    overdue = models.BooleanField(default=False, help_text="Its time was over when asked again.")
    state = models.CharField(
        max_length=9, choices=HoldState.choices, default=HoldState.OPEN, editable=False
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="decided_holds"
    )
    decided_by_agent = models.CharField(max_length=60, blank=True)
    reason = models.TextField(blank=True)

    objects = HoldQuerySet.as_manager()

    class Meta:
        ordering = ["made_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["agent", "digest"],
                condition=Q(state=HoldState.OPEN, overdue=False),
                name="hold_one_open_per_action",
            ),
            models.CheckConstraint(
                name="hold_decided_when",
                condition=Q(state=HoldState.OPEN, decided_at__isnull=True)
                | (~Q(state=HoldState.OPEN) & Q(decided_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="hold_ends_after_start",
                condition=Q(expires_at__gt=F("made_at"), approvals__gte=1),
            ),
        ]
        indexes = [
            models.Index(
                fields=["agent", "shape"],
                condition=Q(state=HoldState.OPEN),
                name="hold_open_by_agent",
            ),
            models.Index(
                fields=["expires_at"], condition=Q(state=HoldState.OPEN), name="hold_open_by_expiry"
            ),
            models.Index(fields=["shape", "-decided_at"], name="hold_by_shape"),
        ]

    def __str__(self) -> str:
        return f"{self.agent} → {self.tool}"

    @property
    def is_open(self) -> bool:
        """Whether it waits, as far as its state says; its time may be over."""
        return self.state == HoldState.OPEN

    @property
    def needs_second_factor(self) -> bool:
        """Restricted data and money are approved by who proved themself again just now."""
        return self.is_restricted or self.is_money


class HoldEdit(models.Model):
    """What an approver made of the parameters; they lie in the payload of `record`."""

    hold = models.ForeignKey(Hold, on_delete=models.PROTECT, related_name="edits")
    digest = models.CharField(max_length=64)
    record = models.UUIDField(unique=True)
    by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="hold_edits")
    at = models.DateTimeField()

    class Meta:
        ordering = ["at", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["hold", "digest"], name="hold_edit_once"),
        ]

    def __str__(self) -> str:
        return f"{self.hold} as edited by {self.by}"


class HoldVote(models.Model):
    """One word on a hold, for exactly what `digest` stands for; a trigger refuses the wrong ones.

    A person's, or that of an approver agent (`agent`), for which its owner answers.
    """

    hold = models.ForeignKey(Hold, on_delete=models.PROTECT, related_name="votes")
    digest = models.CharField(max_length=64)
    person = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="hold_votes"
    )
    agent = models.CharField(max_length=60, blank=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ["at", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["hold", "digest", "person", "agent"],
                name="hold_vote_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                name="hold_vote_of_one",
                condition=Q(person__isnull=False, agent="")
                | (Q(person__isnull=True) & ~Q(agent="")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person or self.agent} approves {self.hold}"


class Release(models.Model):
    """The one time that an approved action may run: for one agent and one digest, until then."""

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    hold = models.OneToOneField(Hold, on_delete=models.PROTECT, related_name="release")
    agent = models.CharField(max_length=60)
    digest = models.CharField(max_length=64)
    made_at = models.DateTimeField()
    until = models.DateTimeField()
    used_by: models.UUIDField[UUID | None, UUID | None] = models.UUIDField(
        null=True, blank=True, unique=True, help_text="The record of the decision that it let go on"
    )
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["made_at", "id"]
        constraints = [
            models.CheckConstraint(
                name="release_used_by_what_and_when",
                condition=Q(used_by__isnull=True, used_at__isnull=True)
                | Q(used_by__isnull=False, used_at__isnull=False),
            ),
            models.CheckConstraint(
                name="release_ends_after_start", condition=Q(until__gt=F("made_at"))
            ),
        ]
        indexes = [
            models.Index(
                fields=["agent", "digest"],
                condition=Q(used_by__isnull=True),
                name="release_unused_by_action",
            ),
        ]

    def __str__(self) -> str:
        return f"release of {self.hold_id}"


class KnownDomain(models.Model):
    """Where an agent may write to without asking: a domain that a person approved once."""

    agent = models.CharField(max_length=60)
    domain = models.CharField(max_length=253)
    hold = models.ForeignKey(Hold, on_delete=models.PROTECT, related_name="domains")
    at = models.DateTimeField()

    class Meta:
        ordering = ["agent", "domain"]
        constraints = [
            models.UniqueConstraint(fields=["agent", "domain"], name="known_domain_once"),
        ]

    def __str__(self) -> str:
        return f"{self.agent} → {self.domain}"


class AccessRequest(models.Model):
    """A caller's request for an approval: one or several holds, and where to tell the outcome.

    `key` and `body` make repeating it harmless: the same key with the same body is the same
    request. `state` is what the caller wants back with a callback.
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    caller_kind = models.CharField(max_length=8)
    caller = models.CharField(max_length=60)
    key = models.CharField(max_length=255, null=True, blank=True)
    body = models.CharField(max_length=64)
    made_at = models.DateTimeField()
    is_bundle = models.BooleanField(default=False)
    holds = models.ManyToManyField(Hold, through="RequestedHold", related_name="requests")
    callback = models.BooleanField(default=False)
    state = models.CharField(max_length=512, blank=True)
    events = ArrayField(models.CharField(max_length=9), default=list, blank=True)

    class Meta:
        ordering = ["made_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["caller_kind", "caller", "key"], name="access_request_once"
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class RequestedHold(models.Model):
    """One item of an access request."""

    request = models.ForeignKey(AccessRequest, on_delete=models.CASCADE, related_name="items")
    hold = models.ForeignKey(Hold, on_delete=models.PROTECT, related_name="items")
    place = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["request", "place"]
        constraints = [
            models.UniqueConstraint(fields=["request", "place"], name="requested_hold_place"),
            models.UniqueConstraint(fields=["request", "hold"], name="requested_hold_once"),
        ]

    def __str__(self) -> str:
        return f"{self.request_id}/{self.place}"


class Callback(models.Model):
    """One event that the caller of a request is told, at its registered address. Sent at least
    once; `failed_at` stands where it was given up."""

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    request = models.ForeignKey(AccessRequest, on_delete=models.CASCADE, related_name="callbacks")
    event = models.CharField(max_length=9)
    made_at = models.DateTimeField()
    next_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)
    answer = models.CharField(max_length=100, blank=True)

    class Meta:
        ordering = ["made_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["request", "event"], name="callback_once"),
        ]
        indexes = [
            models.Index(
                fields=["next_at"],
                condition=Q(sent_at__isnull=True, failed_at__isnull=True),
                name="callback_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event} of {self.request_id}"
