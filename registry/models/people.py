"""People, as the register knows them and as they sign in."""

from __future__ import annotations

import secrets
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from simple_history.models import HistoricalRecords

from governance.kernel import emergency
from registry import validators
from registry.enums import Employment, GroupName

if TYPE_CHECKING:
    from audit.selectors import AuditScope

# Groups that see the whole register; `design.md` section 8 in docs/reference/register.md.
READERS = frozenset(
    {GroupName.SECURITY, GroupName.DPO, GroupName.AUDITOR, GroupName.PLATFORM_ADMIN}
)


def new_pid() -> str:
    """A pseudonymous id: says nothing about the person, never changes, is never reused."""
    return "p_" + secrets.token_hex(10)


class PersonQuerySet(models.QuerySet["Person"]):
    """Reads of people."""

    def visible_to(self, person: Person) -> Self:
        """Readers see everyone; anyone else who may act sees those who have not left."""
        if not person.may_act:
            return self.none()
        if person.reads_everything:
            return self
        return self.exclude(employment=Employment.LEFT)


class PersonManager(BaseUserManager["Person"]):
    """Creates people; used by the sign-in library and by `registry.services`."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> Person:
        person = self.model(email=self.normalize_email(email).lower(), **fields)
        person.set_password(password)
        person.save(using=self._db)
        return person

    def get_queryset(self) -> PersonQuerySet:
        return PersonQuerySet(self.model, using=self._db)

    def visible_to(self, person: Person) -> PersonQuerySet:
        return self.get_queryset().visible_to(person)

    def get_by_natural_key(self, username: str | None) -> Person:
        return self.get(email__iexact=username or "")


class Person(AbstractBaseUser, PermissionsMixin):
    """Someone who may own agents, sign in, or be acted for."""

    pid = models.CharField(max_length=24, unique=True, default=new_pid, editable=False)
    name = models.CharField(max_length=150, validators=[validators.plain_text])
    email = models.EmailField(max_length=254, unique=True)
    chat_handle = models.CharField(max_length=80, blank=True, validators=[validators.plain_text])
    employment = models.CharField(
        max_length=10, choices=Employment.choices, default=Employment.EMPLOYED
    )
    last_day = models.DateField(null=True, blank=True, validators=[validators.day])
    manager = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="reports"
    )
    department = models.CharField(max_length=100, blank=True, validators=[validators.plain_text])
    zone = models.CharField(
        max_length=50,
        default="UTC",
        validators=[validators.zone],
        help_text="IANA name, Europe/Copenhagen",
    )
    calendar = models.CharField(
        max_length=10,
        blank=True,
        validators=[validators.calendar],
        help_text="Whose holidays count: DK, DE-BY. Empty means the installation's.",
    )
    attributes = models.JSONField(
        default=dict,
        blank=True,
        validators=[validators.json_object],
        help_text="What policies may ask: region, cost centre, …",
    )
    is_staff = models.BooleanField("may open the admin", default=False)
    is_active = models.BooleanField("may sign in", default=True)
    date_joined = models.DateTimeField(auto_now_add=True)
    access_ended_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When everything was taken from someone who has left.",
    )

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
            models.CheckConstraint(
                name="person_no_superuser",
                condition=models.Q(is_superuser=False),
                violation_error_message="Muster knows no superuser: rights come from groups.",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def holidays(self) -> str:
        """Whose holidays count for them: their own calendar's, else the installation's."""
        return self.calendar or str(settings.MUSTER_CALENDAR)

    @property
    def is_employed(self) -> bool:
        """Employed or leaving: someone who has left answers for nothing any more."""
        return self.employment != Employment.LEFT

    @property
    def may_act(self) -> bool:
        """May do anything at all: not switched off, and has not left."""
        return self.is_active and self.is_employed

    @cached_property
    def group_names(self) -> frozenset[str]:
        """The names of this person's groups, read once for this instance."""
        return frozenset(self.groups.values_list("name", flat=True))

    @property
    def reads_everything(self) -> bool:
        """Whether this person sees every row of the register."""
        return bool(self.group_names & READERS) or emergency.is_of(self.pid)

    def display(self) -> str:
        """The name as it is shown, with what a reader must know beside it."""
        if self.employment == Employment.EMPLOYED:
            return str(self)
        return f"{self} ({self.get_employment_display().lower()})"

    def audit_scope(self) -> AuditScope:
        """Which entries of the record this person may see."""
        from audit.selectors import AuditScope  # noqa: PLC0415  loads models, and so do we

        if not self.may_act:
            return AuditScope()
        reads_all = {GroupName.AUDITOR, GroupName.SECURITY, GroupName.DPO}
        if self.group_names & reads_all or emergency.is_of(self.pid):
            return AuditScope(everything=True)
        owned = self.owned_agents.values_list("slug", flat=True)
        backed = self.backup_agents.values_list("slug", flat=True)
        return AuditScope(agents=frozenset([*owned, *backed]))


class ExternalIdentity(models.Model):
    """How another directory names a person; the id that a gateway of that source sends."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="identities")
    source = models.CharField(max_length=60, validators=[validators.slug])
    external_id = models.CharField(max_length=255, validators=[validators.plain_text])
    # What this source says of the person, which nobody else then changes by hand.
    gives = models.JSONField(default=list, blank=True)
    # The last that it said of their employment is that they leave, or have left.
    said_gone = models.BooleanField(default=False)

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
