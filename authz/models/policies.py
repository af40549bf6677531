"""Cedar policies, one row a version, and the tools that they govern."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from authz.enums import PolicyState
from registry import validators
from registry.models import Person


class Policy(models.Model):
    """One version of one Cedar policy. A version's text never changes."""

    slug = models.CharField(max_length=60, validators=[validators.slug])
    version = models.PositiveIntegerField(default=1)
    description = models.CharField(max_length=300, blank=True, validators=[validators.plain_text])
    text = models.TextField()
    log_only = models.BooleanField(default=False, help_text="Evaluated, recorded, not enforced")
    state = models.CharField(
        max_length=10, choices=PolicyState.choices, default=PolicyState.DRAFT, editable=False
    )
    proposed_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="proposed_policies"
    )
    agreed_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="agreed_policies"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    activated_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name_plural = "policies"
        ordering = ["slug", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["slug", "version"], name="policy_version_unique"),
            models.UniqueConstraint(
                fields=["slug"], condition=Q(state=PolicyState.ACTIVE), name="policy_one_active"
            ),
            models.CheckConstraint(
                name="policy_agreed_by_another",
                condition=Q(agreed_by__isnull=True) | ~Q(agreed_by=F("proposed_by")),
            ),
        ]

    def __str__(self) -> str:
        return self.uid

    @property
    def uid(self) -> str:
        """The id under which decisions name this version."""
        return f"{self.slug}@v{self.version}"


class GovernedTool(models.Model):
    """A tool that an active permit has named once: from then on no permit means denied."""

    tool = models.CharField(max_length=120, primary_key=True)
    since = models.DateTimeField()

    def __str__(self) -> str:
        return self.tool
