"""People, as the register knows them and as they sign in."""

from __future__ import annotations

import secrets
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from simple_history.models import HistoricalRecords

from registry import validators
from registry.enums import Employment


def new_pid() -> str:
    """A pseudonymous id: says nothing about the person, never changes, is never reused."""
    return "p_" + secrets.token_hex(10)


class PersonManager(BaseUserManager["Person"]):
    """Creates people; used by the sign-in library and by `registry.services`."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> Person:
        person = self.model(email=self.normalize_email(email).lower(), **fields)
        person.set_password(password)
        person.save(using=self._db)
        return person

    def get_by_natural_key(self, username: str | None) -> Person:
        return self.get(email__iexact=username or "")


class Person(AbstractBaseUser, PermissionsMixin):
    """Someone who may own agents, sign in, or be acted for."""

    pid = models.CharField(max_length=24, unique=True, default=new_pid, editable=False)
    name = models.CharField(max_length=150, validators=[validators.plain_text])
    email = models.EmailField(max_length=254)
    chat_handle = models.CharField(max_length=80, blank=True, validators=[validators.plain_text])
    employment = models.CharField(
        max_length=10, choices=Employment.choices, default=Employment.EMPLOYED
    )
    last_day = models.DateField(null=True, blank=True)
    manager = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="reports"
    )
    department = models.CharField(max_length=100, blank=True, validators=[validators.plain_text])
    zone = models.CharField(max_length=50, default="UTC", help_text="IANA name, Europe/Copenhagen")
    attributes = models.JSONField(
        default=dict, blank=True, help_text="What policies may ask: region, cost centre, …"
    )
    is_staff = models.BooleanField("may open the admin", default=False)
    is_active = models.BooleanField("may sign in", default=True)
    date_joined = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[PersonManager] = PersonManager()
    history = HistoricalRecords(excluded_fields=["password", "last_login"], m2m_fields=[])

    EMAIL_FIELD = "email"
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = ["name"]

    class Meta:
        verbose_name_plural = "people"
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(Lower("email"), name="person_email_unique"),
            models.CheckConstraint(
                name="person_leaver_has_last_day",
                condition=models.Q(employment=Employment.EMPLOYED)
                | models.Q(last_day__isnull=False),
                violation_error_message="Someone who is leaving or has left needs a last day.",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def is_employed(self) -> bool:
        """Employed or leaving: someone who has left answers for nothing any more."""
        return self.employment != Employment.LEFT


class ExternalIdentity(models.Model):
    """How another directory names a person; the id that a gateway of that source sends."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="identities")
    source = models.CharField(max_length=60, validators=[validators.slug])
    external_id = models.CharField(max_length=255, validators=[validators.plain_text])

    class Meta:
        verbose_name_plural = "external identities"
        constraints = [
            models.UniqueConstraint(fields=["source", "external_id"], name="external_id_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.source}:{self.external_id}"


class SignInLink(models.Model):
    """A one-time way in: the first administrator's. Only a digest of it is kept."""

    digest = models.CharField(max_length=64, unique=True)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="sign_in_links")
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"sign-in link of {self.person}"
