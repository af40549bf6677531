"""What authenticates: agents and gateways."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from registry import validators
from registry.models.agents import Agent


class Gateway(models.Model):
    """An enforcement point: asks for the agents and people whose calls pass through it."""

    slug = models.CharField(max_length=60, unique=True, validators=[validators.slug])
    name = models.CharField(max_length=100, validators=[validators.plain_text])
    source = models.CharField(
        max_length=60,
        blank=True,
        validators=[validators.slug],
        help_text="The directory whose external ids name people in its requests.",
    )
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    history = HistoricalRecords()

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.slug


class Client(models.Model):
    """The OAuth client of one agent or one gateway (RFC 6749 section 2).

    While a secret is rotated, the earlier one works until `previous_until`, and `sealed_secret`
    holds the new one until somebody who may has fetched it.

    `secret_digest` is SHA-256 over a secret of 256 random bits: nothing to stretch, nothing to
    guess. `jwks` holds public keys for private_key_jwt (RFC 7523). A change of either raises
    `version`; tokens carry it, so that older ones end at once.
    """

    client_id = models.CharField(max_length=64, unique=True)
    agent = models.OneToOneField(
        Agent, null=True, blank=True, on_delete=models.PROTECT, related_name="client"
    )
    gateway = models.OneToOneField(
        Gateway, null=True, blank=True, on_delete=models.PROTECT, related_name="client"
    )
    secret_digest = models.CharField(max_length=64, blank=True)
    previous_digest = models.CharField(max_length=64, blank=True)
    previous_until = models.DateTimeField(null=True, blank=True)
    sealed_secret = models.BinaryField(default=bytes)
    jwks = models.JSONField(default=dict, blank=True)
    version = models.PositiveIntegerField(default=1)
    callback_url = models.CharField(
        max_length=500,
        blank=True,
        help_text="Where this client is told what became of its access requests.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    rotated_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["client_id"]
        constraints = [
            models.CheckConstraint(
                name="client_of_one",
                condition=Q(agent__isnull=False, gateway__isnull=True)
                | Q(agent__isnull=True, gateway__isnull=False),
            ),
            models.CheckConstraint(
                name="client_previous_has_its_end",
                condition=Q(previous_digest="", previous_until__isnull=True)
                | (~Q(previous_digest="") & Q(previous_until__isnull=False)),
            ),
        ]

    def __str__(self) -> str:
        return self.client_id


class RevokedToken(models.Model):
    """A token that was ended before its time (RFC 7009). Kept until it would have expired."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="revoked_tokens")
    jti = models.CharField(max_length=64)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["client", "jti"], name="revoked_token_unique"),
        ]

    def __str__(self) -> str:
        return self.jti


class UsedAssertion(models.Model):
    """A client assertion that was presented (RFC 7523 section 3, jti): never taken twice."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="used_assertions")
    jti = models.CharField(max_length=255)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["client", "jti"], name="used_assertion_unique"),
        ]

    def __str__(self) -> str:
        return self.jti
