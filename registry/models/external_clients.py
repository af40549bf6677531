"""What agents have in identity providers outside."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from registry.models.agents import Agent


class ExternalClientState(models.TextChoices):
    """What Muster knows of a client outside. Only a live one may stand beside an active row."""

    REGISTERING = "registering", "being made"
    LIVE = "live", "live"
    ENDING = "ending", "ended here, and the provider is being told"
    DISABLED = "disabled", "switched off"
    DELETED = "deleted", "deleted"


class ExternalClient(models.Model):
    """The client of one agent in one identity provider (RFC 7591), or what became of it.

    `sealed` holds what manages it, and its secret until its owner has taken it. `claimed_until`
    says that somebody speaks to the provider about it now.
    """

    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="external_clients")
    provider = models.CharField(max_length=40)
    state = models.CharField(
        max_length=11, choices=ExternalClientState.choices, default=ExternalClientState.REGISTERING
    )
    client_id = models.CharField(max_length=255, blank=True)
    place = models.CharField(max_length=500, blank=True)
    sealed = models.BinaryField(default=bytes)
    has_secret = models.BooleanField(default=False)
    keys_digest = models.CharField(max_length=64, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    lost = models.PositiveSmallIntegerField(
        default=0, help_text="Registrations whose end is not known: look for them there."
    )
    failure = models.CharField(max_length=300, blank=True)
    next_at = models.DateTimeField()
    claimed_until = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField()

    class Meta:
        ordering = ["agent", "provider"]
        constraints = [
            models.UniqueConstraint(fields=["agent", "provider"], name="external_client_once"),
            models.CheckConstraint(
                name="external_client_live_is_known",
                condition=~Q(state__in=["live", "disabled"]) | ~Q(client_id=""),
            ),
            models.CheckConstraint(
                name="external_client_deleted_keeps_nothing",
                condition=~Q(state="deleted") | Q(has_secret=False, sealed=b""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent.slug} in {self.provider}"
