"""Widening changes that wait for a second person."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import F, Q

from registry.enums import ChangeState
from registry.models.people import Person


class ChangeQuerySet(models.QuerySet["ProposedChange"]):
    """Reads of proposed changes."""

    def visible_to(self, person: Person) -> Self:
        """Readers see all; others what they proposed, or what concerns their agents or them."""
        if not person.may_act:
            return self.none()
        if person.reads_everything:
            return self
        owned = person.owned_agents.values("slug")
        return self.filter(
            Q(proposed_by=person)
            | Q(agent__in=owned)
            | Q(kind="agent.transfer", after__owner=person.pid)
            | Q(kind="person.groups", target=person.pid)
        )


class ProposedChange(models.Model):
    """One widening change: proposed by one, agreed to by another, applied once.

    `kind` names the service that applies it (`registry.changes`), `target` the thing by its
    slug, `before` and `after` what differs.
    """

    kind = models.CharField(max_length=60)
    target = models.CharField(max_length=255)
    agent = models.CharField(max_length=60, blank=True, help_text="Whose row it concerns, if any")
    summary = models.CharField(max_length=300)
    before = models.JSONField(default=dict, blank=True)
    after = models.JSONField(default=dict, blank=True)
    state = models.CharField(
        max_length=10, choices=ChangeState.choices, default=ChangeState.PROPOSED, editable=False
    )
    proposed_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="proposals")
    proposed_at = models.DateTimeField()
    reason = models.TextField(blank=True)
    decided_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="decided_changes"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    answer = models.TextField(blank=True)

    objects = ChangeQuerySet.as_manager()

    class Meta:
        ordering = ["-proposed_at"]
        constraints = [
            models.CheckConstraint(
                name="change_agreed_by_another",
                condition=~Q(state=ChangeState.AGREED) | ~Q(decided_by=F("proposed_by")),
                violation_error_message="Nobody agrees to their own proposal.",
            ),
            models.CheckConstraint(
                name="change_decided_by_whom_and_when",
                condition=Q(
                    state=ChangeState.PROPOSED, decided_by__isnull=True, decided_at__isnull=True
                )
                | (
                    ~Q(state=ChangeState.PROPOSED)
                    & Q(decided_by__isnull=False, decided_at__isnull=False)
                )
                | Q(state=ChangeState.DROPPED, decided_by__isnull=True, decided_at__isnull=False),
            ),
            models.UniqueConstraint(
                fields=["kind", "target"],
                condition=Q(state=ChangeState.PROPOSED),
                name="change_one_open_per_target",
            ),
        ]

    def __str__(self) -> str:
        return self.summary
