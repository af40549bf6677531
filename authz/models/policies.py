"""Cedar policies, one row a version, and the tools that they govern."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from authz.enums import PolicyState
from registry import validators
from registry.models import Person


def _whoever(what: str) -> models.ForeignKey[Person | None, Person | None]:
    return models.ForeignKey(
        Person,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name=f"{what}_policies",
        editable=False,
    )


class Policy(models.Model):
    """One version of one Cedar policy. Only a draft's text and cases change.

    The database holds this too (migration 0006): what was proposed never changes again and is
    never deleted, and a permit is in force only with the agreement of a second person.
    """

    slug = models.CharField(max_length=60, validators=[validators.slug])
    version = models.PositiveIntegerField(default=1)
    description = models.CharField(max_length=300, blank=True, validators=[validators.plain_text])
    text = models.TextField()
    log_only = models.BooleanField(default=False, help_text="Evaluated, recorded, not enforced")
    cases = models.JSONField(
        default=list,
        blank=True,
        help_text="What this version must answer: a list of name, request and effect.",
    )
    why = models.CharField(
        max_length=500,
        blank=True,
        validators=[validators.plain_text],
        help_text="Why there is this version: the second person reads it.",
    )
    state = models.CharField(
        max_length=10, choices=PolicyState.choices, default=PolicyState.DRAFT, editable=False
    )
    edits = models.PositiveIntegerField(default=0, editable=False)
    drafted_by = _whoever("drafted")
    drafted_at = models.DateTimeField(null=True, blank=True, editable=False)
    proposed_by = _whoever("proposed")
    proposed_at = models.DateTimeField(null=True, blank=True, editable=False)
    agreed_by = _whoever("agreed")
    created_at = models.DateTimeField(auto_now_add=True)
    activated_at = models.DateTimeField(null=True, blank=True, editable=False)
    ended_by = _whoever("ended")
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)
    ended_why = models.CharField(max_length=500, blank=True, editable=False)

    class Meta:
        verbose_name_plural = "policies"
        ordering = ["slug", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["slug", "version"], name="policy_version_unique"),
            models.UniqueConstraint(
                fields=["slug"], condition=Q(state=PolicyState.ACTIVE), name="policy_one_active"
            ),
            models.UniqueConstraint(
                fields=["slug"], condition=Q(state=PolicyState.DRAFT), name="policy_one_draft"
            ),
            models.CheckConstraint(
                name="policy_agreed_by_another",
                condition=Q(agreed_by__isnull=True) | ~Q(agreed_by=F("proposed_by")),
            ),
            models.CheckConstraint(
                name="policy_active_since",
                condition=~Q(state=PolicyState.ACTIVE) | Q(activated_at__isnull=False),
            ),
            models.CheckConstraint(
                name="policy_ended_when",
                condition=Q(
                    state__in=[PolicyState.SUPERSEDED, PolicyState.RETIRED],
                    ended_at__isnull=False,
                )
                | Q(
                    state__in=[PolicyState.DRAFT, PolicyState.PROPOSED, PolicyState.ACTIVE],
                    ended_at__isnull=True,
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.uid

    @property
    def uid(self) -> str:
        """The id under which decisions name this version."""
        return f"{self.slug}@v{self.version}"

    @property
    def state_word(self) -> str:
        """The state as it is told: what never was in force was not retired but dropped."""
        if self.state == PolicyState.RETIRED and self.activated_at is None:
            return "dropped"
        if self.state == PolicyState.ACTIVE:
            return "log only" if self.log_only else "in force"
        return str(self.get_state_display())


class GovernedTool(models.Model):
    """A tool that an active permit has named once: from then on no permit means denied."""

    tool = models.CharField(max_length=120, primary_key=True)
    since = models.DateTimeField()

    def __str__(self) -> str:
        return self.tool
