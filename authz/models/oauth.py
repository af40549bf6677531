"""What the OAuth endpoints remember: codes on their way, and tokens that act for somebody."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from authz.models.acting import Delegation, Grant
from registry.models import Client


class AuthorizationCode(models.Model):
    """A person's answer on its way to the agent (RFC 6749 section 4.1.2): good once, for a minute.

    `digest` is SHA-256 over 256 random bits, `challenge` what the verifier must hash to (RFC 7636).
    A used code stays for a while, so that its coming again is noticed.
    """

    digest = models.CharField(max_length=64, unique=True)
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+")
    grant = models.ForeignKey(Grant, on_delete=models.PROTECT, related_name="codes")
    redirect_uri = models.CharField(max_length=300)
    challenge = models.CharField(max_length=43)
    made_at = models.DateTimeField()
    until = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-made_at"]
        constraints = [
            models.CheckConstraint(
                name="authorization_code_ends_after_start", condition=Q(until__gt=F("made_at"))
            ),
        ]

    def __str__(self) -> str:
        return f"code of {self.client.client_id}"


class ActingToken(models.Model):
    """A token that stands for a grant or a link, known so that all of them can be ended at once.

    Kept until it would have expired.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="acting_tokens")
    jti = models.CharField(max_length=64, unique=True)
    grant = models.ForeignKey(
        Grant, null=True, blank=True, on_delete=models.PROTECT, related_name="tokens"
    )
    delegation = models.ForeignKey(
        Delegation, null=True, blank=True, on_delete=models.PROTECT, related_name="tokens"
    )
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="acting_token_acts",
                condition=Q(grant__isnull=False) | Q(delegation__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.jti
