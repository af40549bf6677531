"""Templates: what was agreed on in advance, one row a version, and which agents came from one."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from registry import validators
from registry.enums import Tier
from registry.models import Agent, Person


class TemplateState(models.TextChoices):
    """Where a version stands."""

    PROPOSED = "proposed", "proposed"
    ACTIVE = "active", "in force"
    SUPERSEDED = "superseded", "superseded"
    RETIRED = "retired", "retired"


ENDED = [TemplateState.SUPERSEDED, TemplateState.RETIRED]


class Template(models.Model):
    """One version of one template. It never changes; another one replaces it.

    The database holds this too (migration 0006), and that a version is in force only with the
    agreement of a second person, or because Muster came with it.
    """

    slug = models.CharField(max_length=60, validators=[validators.slug])
    version = models.PositiveIntegerField(default=1)
    name = models.CharField(max_length=100, validators=[validators.plain_text])
    summary = models.CharField(max_length=200, validators=[validators.plain_text])
    content = models.JSONField(
        validators=[validators.json_object], help_text="See docs/reference/templates.md"
    )
    approved_tier = models.CharField(
        max_length=12,
        choices=Tier.choices,
        default=Tier.INTERNAL,
        help_text="Up to here an agent of it needs no review of its own.",
    )
    why = models.CharField(max_length=500, blank=True, validators=[validators.plain_text])
    state = models.CharField(
        max_length=10, choices=TemplateState.choices, default=TemplateState.PROPOSED, editable=False
    )
    planted = models.BooleanField(default=False, editable=False)
    proposed_by = models.ForeignKey(
        Person,
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="proposed_templates",
    )
    agreed_by = models.ForeignKey(
        Person,
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="agreed_templates",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    activated_at = models.DateTimeField(null=True, blank=True, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["slug", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["slug", "version"], name="template_version_unique"),
            models.UniqueConstraint(
                fields=["slug"], condition=Q(state="active"), name="template_one_active"
            ),
            models.CheckConstraint(
                name="template_agreed_by_another",
                condition=Q(agreed_by__isnull=True) | ~Q(agreed_by=F("proposed_by")),
            ),
            models.CheckConstraint(
                name="template_active_since",
                condition=~Q(state="active") | Q(activated_at__isnull=False),
            ),
            models.CheckConstraint(
                name="template_ended_when",
                condition=Q(state__in=ENDED, ended_at__isnull=False)
                | Q(state__in=["proposed", "active"], ended_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.uid

    @property
    def uid(self) -> str:
        """How records and pages name this version."""
        return f"{self.slug}@v{self.version}"


class FromTemplate(models.Model):
    """That a row came from a version of a template, and what its owner chose."""

    agent = models.OneToOneField(Agent, on_delete=models.CASCADE, related_name="from_template")
    template = models.ForeignKey(Template, on_delete=models.PROTECT, related_name="uses")
    choices = models.JSONField(default=dict, validators=[validators.json_object])
    at = models.DateTimeField()
    by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")

    def __str__(self) -> str:
        return f"{self.agent.slug} from {self.template}"
