"""How a person lets a command line act as them: what it asked for, and the token that it got."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q

from registry import validators
from registry.enums import DeviceState, TokenScope
from registry.models.people import Person

LABEL_LENGTH = 80


class DeviceRequest(models.Model):
    """A program that waits for a person's word (RFC 8628 section 3.1).

    `device_digest` is SHA-256 over 256 random bits; `code_digest` a keyed hash of the code that
    the person types. `label` is what the program calls itself: nobody has checked it.
    """

    device_digest = models.CharField(max_length=64, unique=True)
    code_digest = models.CharField(max_length=64, unique=True)
    label = models.CharField(
        max_length=LABEL_LENGTH, blank=True, validators=[validators.plain_text]
    )
    source = models.CharField(max_length=45, blank=True)
    scope = models.CharField(max_length=10, choices=TokenScope.choices)
    state = models.CharField(
        max_length=10, choices=DeviceState.choices, default=DeviceState.WAITING
    )
    made_at = models.DateTimeField()
    until = models.DateTimeField(db_index=True)
    # Seconds that must lie between two polls; each that came too soon makes it longer.
    interval = models.PositiveSmallIntegerField()
    polled_at = models.DateTimeField(null=True, blank=True)
    person = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    # Of the session in which the person gave their word.
    second_factor_at = models.DateTimeField(null=True, blank=True)
    strong = models.BooleanField(default=False)
    provider = models.CharField(max_length=60, blank=True)
    session_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="device_request_ends_after_start", condition=Q(until__gt=F("made_at"))
            ),
            models.CheckConstraint(
                name="device_request_decided_by_someone",
                condition=Q(state=DeviceState.WAITING, person__isnull=True, decided_at__isnull=True)
                | (
                    ~Q(state=DeviceState.WAITING)
                    & Q(person__isnull=False, decided_at__isnull=False)
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"request of {self.label or 'a command line'}"


class PersonToken(models.Model):
    """A bearer token with which a program acts as a person, for some hours (RFC 6750).

    Only its digest is kept. `bound_to` is the hash that sessions are bound to: with another
    password, or none, it is over like they are.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    digest = models.CharField(max_length=64, unique=True)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="command_lines")
    label = models.CharField(
        max_length=LABEL_LENGTH, blank=True, validators=[validators.plain_text]
    )
    source = models.CharField(max_length=45, blank=True)
    scope = models.CharField(max_length=10, choices=TokenScope.choices)
    made_at = models.DateTimeField()
    until = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    second_factor_at = models.DateTimeField(null=True, blank=True)
    strong = models.BooleanField(default=False)
    provider = models.CharField(max_length=60, blank=True)
    bound_to = models.CharField(max_length=64)

    class Meta:
        ordering = ["-made_at"]
        constraints = [
            models.CheckConstraint(
                name="person_token_ends_after_start", condition=Q(until__gt=F("made_at"))
            ),
        ]

    def __str__(self) -> str:
        return f"command line of {self.person}"
