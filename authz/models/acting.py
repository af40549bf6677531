"""Acting for someone else: a person's grant to an agent, and what agents hand on to agents.

Both say one thing from their beginning to their end, end once, and are never deleted; the
database holds them to it (`authz/migrations/sql/0013_acting.sql`). What either lets through
stands in it by the tools' names: a tool keeps its name.
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from authz.engine.acting import MAX_DEPTH
from authz.enums import EndCause, GrantWay
from registry import validators
from registry.enums import Tier
from registry.models import Agent, Person


class Grant(models.Model):
    """A person's word that an agent may act for them: with these tools, until then.

    `tools` maps a tool's name to a JSON Schema that its parameters must meet besides, {} for none.
    """

    id = models.UUIDField(primary_key=True)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="grants")
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="grants")
    tools = models.JSONField(validators=[validators.json_object])
    way = models.CharField(max_length=12, choices=GrantWay.choices, default=GrantWay.CONSENT)
    given_at = models.DateTimeField()
    until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    end_cause = models.CharField(max_length=12, choices=EndCause.choices, blank=True)
    ended_by = models.ForeignKey(
        Person,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Nobody where Muster did it by itself; the cause says why.",
    )

    class Meta:
        ordering = ["-given_at", "-id"]
        indexes = [
            models.Index(fields=["person", "-given_at"], name="grant_by_person"),
            models.Index(fields=["agent", "-given_at"], name="grant_by_agent"),
            models.Index(fields=["until"], condition=Q(ended_at__isnull=True), name="grant_by_end"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["person", "agent"],
                condition=Q(ended_at__isnull=True),
                name="grant_one_at_a_time",
            ),
            models.CheckConstraint(
                name="grant_ends_after_start", condition=Q(until__gt=F("given_at"))
            ),
            models.CheckConstraint(
                name="grant_end_has_a_cause",
                condition=Q(ended_at__isnull=True, end_cause="", ended_by__isnull=True)
                | Q(ended_at__isnull=False) & ~Q(end_cause=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person} → {self.agent.slug}"


class Delegation(models.Model):
    """What one agent hands on to another: a link of a chain, wider than nothing above it.

    The top link has depth 1 and no parent. Where the chain acts for a user, `grant` is the one
    that the top agent acted under. `read_*` is what the giver's run had read when it handed over.
    """

    id = models.UUIDField(primary_key=True)
    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="children"
    )
    depth = models.PositiveSmallIntegerField(default=1)
    giver = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="handed_over")
    receiver = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="received")
    grant = models.ForeignKey(
        Grant, null=True, blank=True, on_delete=models.PROTECT, related_name="delegations"
    )
    tools = models.JSONField(validators=[validators.json_object])
    session = models.CharField(
        max_length=200, blank=True, help_text="The giver's run, as it named it."
    )
    read_tier = models.CharField(max_length=12, choices=Tier.choices, default=Tier.PUBLIC)
    read_untrusted = models.BooleanField(default=False)
    read_categories = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    given_at = models.DateTimeField()
    until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    end_cause = models.CharField(max_length=12, choices=EndCause.choices, blank=True)

    class Meta:
        ordering = ["-given_at", "-id"]
        indexes = [
            models.Index(fields=["giver", "-given_at"], name="delegation_by_giver"),
            models.Index(fields=["receiver", "-given_at"], name="delegation_by_receiver"),
            models.Index(
                fields=["until"], condition=Q(ended_at__isnull=True), name="delegation_by_end"
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="delegation_depth",
                condition=Q(depth=1, parent__isnull=True)
                | Q(depth__gte=2, depth__lte=MAX_DEPTH, parent__isnull=False),
            ),
            models.CheckConstraint(name="delegation_to_another", condition=~Q(giver=F("receiver"))),
            models.CheckConstraint(
                name="delegation_ends_after_start", condition=Q(until__gt=F("given_at"))
            ),
            models.CheckConstraint(
                name="delegation_end_has_a_cause",
                condition=Q(ended_at__isnull=True, end_cause="")
                | Q(ended_at__isnull=False) & ~Q(end_cause=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.giver.slug} → {self.receiver.slug}"


class DelegationResult(models.Model):
    """What became of one answer to a delegation. The answer itself is not kept, only its digest.

    `reasons` are {"code", "pointer", "sentence"}, [] where it was accepted. The label is that of
    the receiver's runs: what the giver's run has read once it takes the answer in.
    """

    id = models.UUIDField(primary_key=True)
    delegation = models.ForeignKey(Delegation, on_delete=models.PROTECT, related_name="results")
    digest = models.CharField(max_length=64, help_text="SHA-256 of its RFC 8785 form.")
    accepted = models.BooleanField()
    reasons = models.JSONField(default=list, blank=True)
    label = models.CharField(max_length=12, choices=Tier.choices)
    untrusted = models.BooleanField()
    categories = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [models.Index(fields=["delegation", "-at"], name="result_by_delegation")]
        constraints = [
            models.CheckConstraint(
                name="result_refused_for_reasons",
                condition=Q(accepted=True, reasons=[]) | Q(accepted=False) & ~Q(reasons=[]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.delegation_id} {'accepted' if self.accepted else 'refused'}"
