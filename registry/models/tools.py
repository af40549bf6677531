"""Tools: what an agent can call, and what each call reads, writes and costs."""

from __future__ import annotations

from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models.functions import Upper
from simple_history.models import HistoricalRecords

from registry import validators
from registry.enums import Direction, OnTaint, ToolEffect
from registry.models.people import Person
from registry.models.systems import System


def empty_schema() -> dict[str, object]:
    """The parameters of a tool that takes none."""
    return {"type": "object", "properties": {}, "additionalProperties": False}


class ToolQuerySet(models.QuerySet["Tool"]):
    """Reads of tools."""

    def visible_to(self, person: Person) -> Self:
        """The catalogue is open to everyone who may act."""
        return self if person.may_act else self.none()


class Tool(models.Model):
    """One callable action of a system. Its name is matched exactly."""

    name = models.CharField(max_length=120, unique=True, validators=[validators.tool_name])
    title = models.CharField(max_length=120, blank=True, validators=[validators.plain_text])
    description = models.TextField(blank=True, validators=[validators.plain_text])
    system = models.ForeignKey(System, on_delete=models.PROTECT, related_name="tools")
    effect = models.CharField(max_length=24, choices=ToolEffect.choices)
    schema = models.JSONField(
        default=empty_schema,
        blank=True,
        validators=[validators.json_object],
        help_text="JSON Schema 2020-12",
    )
    amount_parameter = models.CharField(max_length=100, blank=True)
    currency_parameter = models.CharField(max_length=100, blank=True)
    count_parameter = models.CharField(max_length=100, blank=True)
    recipient_parameter = models.CharField(max_length=100, blank=True)
    resource_parameter = models.CharField(max_length=100, blank=True)
    secret_parameters = ArrayField(models.CharField(max_length=100), default=list, blank=True)
    on_taint = models.CharField(
        "after untrusted input",
        max_length=4,
        choices=OnTaint.choices,
        blank=True,
        help_text="Without one: a human is asked, and nothing is written into restricted places.",
    )
    gates = models.JSONField(
        default=dict,
        blank=True,
        validators=[validators.gates],
        help_text="When a call waits for a human, see docs/reference/holds.md.",
    )
    cost_minor = models.BigIntegerField(
        "cost estimate, minor units",
        default=0,
        validators=[MaxValueValidator(validators.MAX_INTEGER)],
        help_text="What one call costs at the most",
    )
    currency = models.CharField(max_length=3, default="EUR", validators=[validators.currency])
    amount_is_cost = models.BooleanField(
        "its amount is what it costs",
        default=False,
        help_text="A purchase: the amount counts against the agent's spend cap.",
    )
    version = models.PositiveIntegerField(
        default=1, editable=False, help_text="Rises with every change of what the tool is"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    objects = ToolQuerySet.as_manager()
    history = HistoricalRecords()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(Upper("name"), name="tool_name_unique_by_case"),
            models.CheckConstraint(
                name="tool_cost_not_negative", condition=models.Q(cost_minor__gte=0)
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def touches(self) -> list[tuple[System, str, Direction]]:
        """(system, resource or "", direction) of everything that a call touches."""
        declared = [(a.system, a.resource, Direction(a.direction)) for a in self.accesses.all()]
        reads = self.effect == ToolEffect.READ
        return declared or [(self.system, "", Direction.READS if reads else Direction.WRITES)]


class ToolAccess(models.Model):
    """What a tool touches: a system, or one resource of it, read or written.

    A tool without any row touches its own system, in the direction that its effect implies.
    """

    tool = models.ForeignKey(Tool, on_delete=models.CASCADE, related_name="accesses")
    system = models.ForeignKey(System, on_delete=models.PROTECT, related_name="accesses")
    resource = models.CharField(max_length=255, blank=True, validators=[validators.plain_text])
    direction = models.CharField(max_length=6, choices=Direction.choices)

    class Meta:
        verbose_name_plural = "tool accesses"
        ordering = ["tool", "direction", "system", "resource"]
        constraints = [
            models.UniqueConstraint(
                fields=["tool", "system", "resource", "direction"], name="tool_access_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tool.name} {self.direction} {self.system.slug}/{self.resource}"
