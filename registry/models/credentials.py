"""Credentials of agents: where they lie, and the embedded vault's own rows."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from registry import validators
from registry.enums import CredentialHolder, CredentialKind, CredentialState
from registry.models.agents import Agent
from registry.models.people import Person
from registry.models.systems import System

# A credential that nobody gets any more.
OVER = [CredentialState.REVOKED, CredentialState.DESTROYED]
# `CredentialReference.may_be_live`, for a query.
MAY_BE_LIVE = Q(state__in=OVER) & (
    Q(live_at_source=True) | Q(settled_at__isnull=True, ended_by__isnull=True)
)


class CredentialReference(models.Model):
    """Where a credential of an agent lies, and how it stands. Never the credential."""

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="credentials")
    reference = models.CharField(
        max_length=255, unique=True, help_text="A vault path such as vault://payments/refund-desk"
    )
    system = models.ForeignKey(
        System, null=True, blank=True, on_delete=models.PROTECT, related_name="credentials"
    )
    scope = models.CharField(max_length=300, blank=True, validators=[validators.plain_text])
    holder = models.CharField(
        "whose it is",
        max_length=8,
        choices=CredentialHolder.choices,
        default=CredentialHolder.OWN,
        help_text="An agent with a personal or a shared account does not go live.",
    )
    rotated_on = models.DateField(null=True, blank=True, validators=[validators.day])

    # How it stands; only `registry.vault` writes these.
    kind = models.CharField(
        max_length=9,
        choices=CredentialKind.choices,
        default=CredentialKind.ELSEWHERE,
        editable=False,
    )
    state = models.CharField(
        max_length=9,
        choices=CredentialState.choices,
        default=CredentialState.DECLARED,
        editable=False,
    )
    generated = models.BooleanField("made by Muster", default=False, editable=False)
    version = models.CharField("current version", max_length=64, blank=True, editable=False)
    rotating_since = models.DateTimeField(null=True, blank=True, editable=False)
    last_read_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_why = models.CharField(max_length=500, blank=True, editable=False)
    settled_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When its back end had done what it can about a revocation.",
    )
    live_at_source = models.BooleanField(
        "still live at its source",
        default=False,
        editable=False,
        help_text="It is revoked here, and may still open what it was for.",
    )
    ended_by = models.ForeignKey(
        Person, null=True, blank=True, editable=False, on_delete=models.PROTECT, related_name="+"
    )
    ended_why = models.CharField(max_length=500, blank=True, editable=False)
    history = HistoricalRecords()

    class Meta:
        ordering = ["agent", "reference"]
        constraints = [
            models.CheckConstraint(
                name="credential_revoked_has_time",
                condition=Q(revoked_at__isnull=False, state__in=OVER)
                | (Q(revoked_at__isnull=True) & ~Q(state__in=OVER)),
            ),
            models.CheckConstraint(
                name="credential_live_at_source_is_over",
                condition=Q(live_at_source=False) | Q(state__in=OVER),
            ),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def is_settled(self) -> bool:
        """Revoked, and its vault has done what it can, or somebody said that it is over."""
        return self.settled_at is not None or self.ended_by_id is not None

    @property
    def may_be_live(self) -> bool:
        """Revoked, and it may still open what it was for."""
        return self.state in OVER and (self.live_at_source or not self.is_settled)


class StoredSecret(models.Model):
    """One secret of the embedded vault: its data key, wrapped under one outside the database.

    No history: what is destroyed is gone. The row stays, so that no number is given twice.
    """

    reference = models.CharField(max_length=255, unique=True)
    agent = models.CharField(max_length=60)
    key_id = models.CharField(max_length=16)
    wrapped_key = models.BinaryField()
    last_number = models.PositiveIntegerField(default=0)

    class Meta:
        indexes = [models.Index(fields=["key_id"], name="stored_secret_by_key")]

    def __str__(self) -> str:
        return self.reference


class StoredVersion(models.Model):
    """One value of a stored secret, sealed. Deleted when its time is over."""

    secret = models.ForeignKey(StoredSecret, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    sealed = models.BinaryField()
    made_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["secret", "number"], name="stored_version_once"),
        ]

    def __str__(self) -> str:
        return f"{self.secret.reference} v{self.number}"
