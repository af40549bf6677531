"""Identities that asked without standing on the register."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import Q

from registry.enums import CallerState
from registry.models.agents import Agent
from registry.models.clients import Gateway
from registry.models.people import Person


class CallerQuerySet(models.QuerySet["UnregisteredCaller"]):
    """Reads of unregistered callers."""

    def visible_to(self, person: Person) -> Self:
        """Only those who see the whole register see who knocked at its door."""
        return self if person.may_act and person.reads_everything else self.none()


class UnregisteredCaller(models.Model):
    """Someone or something that asked and is not on the register, counted by where it came from."""

    claimed = models.CharField(max_length=120, help_text="The name that it gave, if any")
    source = models.CharField(max_length=64, help_text="Network address or gateway")
    gateway = models.ForeignKey(
        Gateway, null=True, blank=True, on_delete=models.CASCADE, related_name="unknown_callers"
    )
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    count = models.BigIntegerField(default=1)
    last_recorded = models.DateTimeField(null=True, blank=True)
    state = models.CharField(
        max_length=8, choices=CallerState.choices, default=CallerState.OPEN, editable=False
    )
    adopted_as = models.ForeignKey(
        Agent, null=True, blank=True, on_delete=models.PROTECT, related_name="adopted_callers"
    )
    decided_by = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT)
    decided_at = models.DateTimeField(null=True, blank=True)

    objects = CallerQuerySet.as_manager()

    class Meta:
        ordering = ["-last_seen"]
        constraints = [
            models.UniqueConstraint(fields=["claimed", "source"], name="caller_unique"),
            models.CheckConstraint(
                name="caller_decided_by_whom_and_when",
                condition=Q(
                    state=CallerState.OPEN, decided_by__isnull=True, decided_at__isnull=True
                )
                | (
                    ~Q(state=CallerState.OPEN)
                    & Q(decided_by__isnull=False, decided_at__isnull=False)
                ),
            ),
            models.CheckConstraint(
                name="caller_adopted_as_an_agent",
                condition=Q(state=CallerState.ADOPTED, adopted_as__isnull=False)
                | (~Q(state=CallerState.ADOPTED) & Q(adopted_as__isnull=True)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.claimed or 'nameless'} from {self.source}"
