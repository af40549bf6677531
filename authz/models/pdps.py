"""Decision points of others, which Muster asks before it allows."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from simple_history.models import HistoricalRecords

from authz.enums import Sent, SentIn
from governance.kernel.egress import MAX_URL
from registry import validators
from registry.models import Person

LEAST_MS, MOST_MS = 50, 1000


class ExternalPDP(models.Model):
    """One decision point that speaks AuthZEN: where, what it is told, whose calls ask it.

    What it signs in with lies in the file `MUSTER_PDP_SECRETS`, under its name.
    """

    slug = models.CharField(max_length=60, unique=True, validators=[validators.slug])
    description = models.CharField(
        max_length=300, blank=True, validators=[validators.plain_text], help_text="What it decides."
    )
    owner = models.ForeignKey(
        Person,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Who answers for it, and is asked when it is silent.",
    )
    url = models.CharField(
        "address",
        max_length=MAX_URL,
        help_text="Its evaluation endpoint, such as https://pdp.example.org/access/v1/evaluation.",
    )
    timeout_ms = models.PositiveIntegerField(
        "patience in milliseconds",
        default=300,
        validators=[MinValueValidator(LEAST_MS), MaxValueValidator(MOST_MS)],
        help_text=f"After this it counts as silent, and the call is refused. At most {MOST_MS}.",
    )
    subject_type = models.CharField(
        max_length=60,
        blank=True,
        validators=[validators.plain_text],
        help_text="What it calls whoever acts; else agent or person.",
    )
    resource_type = models.CharField(
        max_length=60,
        blank=True,
        validators=[validators.plain_text],
        help_text="What it calls what is acted on; else the judged resource's own type.",
    )
    roles_as = models.CharField(
        "roles as",
        max_length=60,
        blank=True,
        validators=[validators.plain_text],
        help_text="The subject's property that carries its roles, such as roles or cerbos.roles. "
        "Empty: they are not sent.",
    )
    sends = ArrayField(
        models.CharField(max_length=16, choices=Sent.choices),
        default=list,
        blank=True,
        help_text="What it is told besides who acts (by slug or pseudonymous id), the tool, and on "
        "what.",
    )
    parameters = ArrayField(
        models.CharField(max_length=120),
        default=list,
        blank=True,
        help_text="The parameters that it is told, by name. A secret one is never sent.",
    )
    parameters_in = models.CharField(
        "parameters in",
        max_length=8,
        choices=SentIn.choices,
        default=SentIn.CONTEXT,
        help_text="Where its policies look for them: Cerbos reads the resource's properties.",
    )
    tools = ArrayField(
        models.CharField(max_length=120, validators=[validators.tool_name]),
        default=list,
        blank=True,
        help_text="Every call of these tools asks it.",
    )
    roles = ArrayField(
        models.CharField(max_length=60, validators=[validators.slug]),
        default=list,
        blank=True,
        help_text="So does every call that one of these roles grants.",
    )
    is_active = models.BooleanField("in force", default=True)
    history = HistoricalRecords()

    class Meta:
        ordering = ["slug"]
        verbose_name = "external decision point"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(timeout_ms__gte=LEAST_MS, timeout_ms__lte=MOST_MS),
                name="pdp_patience_has_an_end",
            ),
        ]

    def __str__(self) -> str:
        return self.slug


class PDPHealth(models.Model):
    """What was last seen of a decision point: written when that changes, not at every call.

    No fact that a decision reads: whether a process goes on asking is its own to know.
    """

    pdp = models.OneToOneField(ExternalPDP, on_delete=models.CASCADE, related_name="health")
    is_silent = models.BooleanField(default=False)
    cause = models.CharField(max_length=40, blank=True)
    since = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.pdp} {'silent' if self.is_silent else 'answers'}"
