"""The row."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper
from simple_history.models import HistoricalRecords

from governance.kernel import clock
from registry import validators
from registry.enums import (
    AgentKind,
    AgentState,
    AiActRole,
    AiActUse,
    DataRole,
    IdentityPattern,
    Tier,
)
from registry.models.people import Person
from registry.models.systems import System
from registry.models.tools import Tool

LIVE = [AgentState.ACTIVE, AgentState.SUSPENDED]
# No row is observed for longer.
MOST_OBSERVED = timedelta(days=30)


class AgentQuerySet(models.QuerySet["Agent"]):
    """Reads of agents."""

    def visible_to(self, person: Person) -> Self:
        """Readers see all; others what they own, back up, or what uses a system of theirs."""
        if not person.may_act:
            return self.none()
        if person.reads_everything:
            return self
        theirs = Tool.objects.filter(Q(system__owner=person) | Q(accesses__system__owner=person))
        users = AllowlistEntry.objects.filter(tool__in=theirs).values("agent")
        return self.filter(Q(owner=person) | Q(backup_owner=person) | Q(pk__in=users))


class Agent(models.Model):
    """One agent on the register. Never deleted; only `active` gets anything."""

    # What it is
    slug = models.CharField(max_length=60, unique=True, validators=[validators.slug])
    name = models.CharField(max_length=100, validators=[validators.plain_text])
    kind = models.CharField(max_length=16, choices=AgentKind.choices, default=AgentKind.AGENT)
    purpose = models.TextField(validators=[validators.plain_text])
    builder = models.CharField(max_length=100, blank=True, validators=[validators.plain_text])
    repository = models.CharField(max_length=300, blank=True, validators=[validators.plain_text])
    runs_at = models.CharField(max_length=300, blank=True, validators=[validators.plain_text])
    model = models.CharField(max_length=100, blank=True, validators=[validators.plain_text])
    model_provider = models.ForeignKey(
        System,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="agents_by_model",
        help_text="The system that the model runs at: data flows there.",
    )
    prompt_digest = models.CharField(max_length=128, blank=True, validators=[validators.plain_text])
    code_reference = models.CharField(
        max_length=128, blank=True, validators=[validators.plain_text]
    )
    pattern = models.CharField(
        max_length=14, choices=IdentityPattern.choices, default=IdentityPattern.SERVICE
    )

    redirect_uris = ArrayField(
        models.CharField(max_length=300),
        default=list,
        blank=True,
        validators=[validators.redirect_uris],
        help_text="Where a person's answer may be sent when it asks to act for them.",
    )
    isolated_runs = models.BooleanField(
        "its runs share no memory",
        default=False,
        help_text="A session that it opens itself starts clean.",
    )

    # Who answers for it
    owner = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="owned_agents")
    backup_owner = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="backup_agents"
    )

    # Where it stands
    state = models.CharField(
        max_length=16, choices=AgentState.choices, default=AgentState.DRAFT, editable=False
    )
    state_reason = models.CharField(max_length=500, blank=True, editable=False)
    state_changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    state_changed_by = models.ForeignKey(
        Person,
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Nobody where Muster did it by itself; the record says which part of it.",
    )
    observe_until = models.DateTimeField(null=True, blank=True, editable=False)
    observe_by = models.ForeignKey(
        Person, null=True, blank=True, editable=False, on_delete=models.PROTECT, related_name="+"
    )
    observe_agreed_by = models.ForeignKey(
        Person, null=True, blank=True, editable=False, on_delete=models.PROTECT, related_name="+"
    )
    observe_agreed_at = models.DateTimeField(null=True, blank=True, editable=False)

    # Limits
    rate_per_minute = models.PositiveIntegerField(null=True, blank=True)
    rate_per_hour = models.PositiveIntegerField(null=True, blank=True)
    spend_cap_minor = models.BigIntegerField(
        "spend cap a day, minor units",
        null=True,
        blank=True,
        validators=[MaxValueValidator(validators.MAX_INTEGER)],
    )
    spend_cap_month_minor = models.BigIntegerField(
        "spend cap a month, minor units",
        null=True,
        blank=True,
        validators=[MaxValueValidator(validators.MAX_INTEGER)],
    )
    currency = models.CharField(max_length=3, default="EUR", validators=[validators.currency])

    # Record of processing (GDPR article 30; EU AI Act)
    lawful_basis = models.CharField(max_length=200, blank=True, validators=[validators.plain_text])
    data_subjects = models.CharField(max_length=300, blank=True, validators=[validators.plain_text])
    recipients = models.CharField(max_length=300, blank=True, validators=[validators.plain_text])
    retention = models.CharField(max_length=200, blank=True, validators=[validators.plain_text])
    data_role = models.CharField(max_length=18, choices=DataRole.choices, blank=True)
    ai_act_use = models.CharField(max_length=10, choices=AiActUse.choices, blank=True)
    ai_act_role = models.CharField(max_length=10, choices=AiActRole.choices, blank=True)

    # Clocks
    review_due = models.DateField(null=True, blank=True)
    renewal_due = models.DateField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    activated_at = models.DateTimeField(null=True, blank=True, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)

    objects = AgentQuerySet.as_manager()
    history = HistoricalRecords()

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.UniqueConstraint(Upper("slug"), name="agent_slug_unique_by_case"),
            models.CheckConstraint(
                name="agent_live_has_limits",
                condition=~Q(state__in=LIVE)
                | Q(
                    rate_per_minute__isnull=False,
                    rate_per_hour__isnull=False,
                    spend_cap_minor__isnull=False,
                ),
                violation_error_message="An agent without rate limits and a spend cap "
                "cannot go live.",
            ),
            models.CheckConstraint(
                name="agent_limits_sensible",
                condition=(Q(rate_per_minute__isnull=True) | Q(rate_per_minute__gte=1))
                & (Q(rate_per_hour__isnull=True) | Q(rate_per_hour__gte=1))
                & (Q(spend_cap_minor__isnull=True) | Q(spend_cap_minor__gte=0))
                & (Q(spend_cap_month_minor__isnull=True) | Q(spend_cap_month_minor__gte=0)),
            ),
            models.CheckConstraint(
                name="agent_backup_is_another",
                condition=Q(backup_owner__isnull=True) | ~Q(backup_owner=F("owner")),
                violation_error_message="The backup owner must be another person.",
            ),
            models.CheckConstraint(
                name="agent_live_was_activated",
                condition=~Q(state__in=LIVE) | Q(activated_at__isnull=False),
            ),
            models.CheckConstraint(
                name="agent_observed_by_whom_and_when",
                condition=Q(
                    observe_until__isnull=True,
                    observe_by__isnull=True,
                    observe_agreed_by__isnull=True,
                    observe_agreed_at__isnull=True,
                )
                | Q(
                    observe_until__isnull=False,
                    observe_by__isnull=False,
                    observe_agreed_by__isnull=False,
                    observe_agreed_at__isnull=False,
                ),
            ),
            models.CheckConstraint(
                name="agent_observed_at_most_30_days",
                condition=Q(observe_until__isnull=True)
                | Q(observe_until__lte=F("observe_agreed_at") + MOST_OBSERVED),
                violation_error_message="No agent is observed for more than 30 days.",
            ),
            models.CheckConstraint(
                name="agent_observed_by_two",
                condition=Q(observe_until__isnull=True) | ~Q(observe_by=F("observe_agreed_by")),
                violation_error_message="Nobody agrees to their own proposal.",
            ),
        ]

    def __str__(self) -> str:
        return self.slug

    @property
    def state_word(self) -> str:
        """The state as it stands in a sentence."""
        return AgentState(self.state).label.lower()

    @property
    def is_live(self) -> bool:
        """Whether somebody may rely on it: it was let live, and has not ended."""
        return self.state in LIVE

    @property
    def is_observed(self) -> bool:
        """Whether calls go on now that would be refused."""
        return self.observe_until is not None and self.observe_until > clock.now()


class AllowlistEntry(models.Model):
    """One tool that an agent may call, as narrow as its row says."""

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="allowlist")
    tool = models.ForeignKey(Tool, on_delete=models.PROTECT, related_name="allowlisted")
    narrowing = models.JSONField(
        default=dict,
        blank=True,
        validators=[validators.json_object],
        help_text="A JSON Schema that the parameters must meet besides the tool's own.",
    )
    rate_per_minute = models.PositiveIntegerField(null=True, blank=True)
    rate_per_hour = models.PositiveIntegerField(null=True, blank=True)
    write_quota_per_hour = models.PositiveIntegerField(null=True, blank=True)
    gates = models.JSONField(
        default=dict,
        blank=True,
        validators=[validators.gates],
        help_text="When a call waits for a human, besides what the tool itself says.",
    )
    history = HistoricalRecords()

    class Meta:
        verbose_name_plural = "allowlist entries"
        ordering = ["agent", "tool"]
        constraints = [
            models.UniqueConstraint(fields=["agent", "tool"], name="allowlist_entry_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.agent.slug} → {self.tool.name}"


class SubAgent(models.Model):
    """An agent that another one may hand over to, and what of its answers that one takes in.

    An answer must meet `result_schema`, holds nothing above `result_tier`, and counts as untrusted
    unless the row says otherwise.
    """

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="sub_agents")
    sub_agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="declared_by")
    result_schema = models.JSONField(
        default=dict,
        blank=True,
        validators=[validators.json_object],
        help_text="A JSON Schema that what it answers must meet, {} for anything.",
    )
    result_tier = models.CharField(
        max_length=12,
        choices=Tier.choices,
        default=Tier.INTERNAL,
        help_text="The most sensitive that its answers may be.",
    )
    result_trusted = models.BooleanField(
        "its answers count as trusted",
        default=False,
        help_text="Unless its run read something untrusted itself.",
    )
    history = HistoricalRecords()

    class Meta:
        ordering = ["agent", "sub_agent"]
        constraints = [
            models.UniqueConstraint(fields=["agent", "sub_agent"], name="sub_agent_unique"),
            models.CheckConstraint(
                name="sub_agent_is_another",
                condition=~Q(agent=F("sub_agent")),
                violation_error_message="An agent hands over to another one.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent.slug} → {self.sub_agent.slug}"


class Reliance(models.Model):
    """Who, or which agent, relies on an agent: told before it ends."""

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="dependents")
    person = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.CASCADE, related_name="relies_on"
    )
    dependent = models.ForeignKey(
        Agent, null=True, blank=True, on_delete=models.CASCADE, related_name="relies_on"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="reliance_has_one_dependent",
                condition=Q(person__isnull=False, dependent__isnull=True)
                | Q(person__isnull=True, dependent__isnull=False),
            ),
            models.UniqueConstraint(fields=["agent", "person"], name="reliance_person_unique"),
            models.UniqueConstraint(fields=["agent", "dependent"], name="reliance_agent_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.person or self.dependent} relies on {self.agent.slug}"


class Clearance(models.Model):
    """Someone's word that an agent may run with exactly this reach.

    Before an agent is live it counts only while the whole row is as it was read (`row_digest`).
    """

    class Basis(models.TextChoices):
        ATTESTATION = "attestation", "attested by its owner"
        SECURITY = "security", "cleared by security"
        DPO = "dpo", "cleared by the data protection officer"
        SOURCE_OWNER = "source_owner", "cleared by the owner of a source"
        TEMPLATE = "template", "made from an approved template"
        BOOTSTRAP = "bootstrap", "loaded before the first policy was active"

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="clearances")
    reach_digest = models.CharField(max_length=64)
    row_digest = models.CharField(max_length=64, blank=True)
    tier = models.CharField(max_length=12, choices=Tier.choices)
    basis = models.CharField(max_length=12, choices=Basis.choices)
    system = models.ForeignKey(
        System,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="clearances",
        help_text="Whose owner's word it is.",
    )
    by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="clearances")
    stands_in_for = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    reason = models.TextField(blank=True, validators=[validators.plain_text])
    at = models.DateTimeField()
    voided = models.CharField(
        max_length=300, blank=True, help_text="Why it does not count any more."
    )

    class Meta:
        ordering = ["-at"]
        indexes = [models.Index(fields=["agent", "reach_digest"], name="clearance_by_reach")]
        constraints = [
            models.CheckConstraint(
                name="clearance_of_a_source_names_it",
                condition=Q(basis="source_owner", system__isnull=False)
                | (~Q(basis="source_owner") & Q(system__isnull=True)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.basis} of {self.agent.slug} by {self.by}"
