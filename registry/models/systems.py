"""Systems, what lies in them, and the agreements with who runs them."""

from __future__ import annotations

from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from guardian.models import UserObjectPermissionBase
from simple_history.models import HistoricalRecords

from registry import validators
from registry.enums import AgreementKind, AttributeSource, Environment, ResourceMatch, Tier, Trust
from registry.models.people import Person


class SystemQuerySet(models.QuerySet["System"]):
    """Reads of systems."""

    def visible_to(self, person: Person) -> Self:
        """The catalogue is open to everyone who may act: nobody can declare what is hidden."""
        return self if person.may_act else self.none()


class System(models.Model):
    """A named data source, destination or provider of tools."""

    slug = models.CharField(max_length=60, unique=True, validators=[validators.slug])
    name = models.CharField(max_length=100, validators=[validators.plain_text])
    description = models.TextField(blank=True, validators=[validators.plain_text])
    environment = models.CharField(
        max_length=12, choices=Environment.choices, default=Environment.PRODUCTION
    )
    tier = models.CharField(
        max_length=12,
        choices=Tier.choices,
        blank=True,
        help_text="Without one, the system counts as restricted.",
    )
    categories = ArrayField(
        models.CharField(max_length=60, validators=[validators.slug]), default=list, blank=True
    )
    country = models.CharField(
        max_length=2,
        blank=True,
        validators=[validators.country],
        help_text="ISO 3166 code, such as IE",
    )
    trust = models.CharField(max_length=10, choices=Trust.choices, default=Trust.TRUSTED)
    personal_resource_ids = models.BooleanField(
        default=False,
        help_text="Resource ids are personal (an e-mail, an IBAN): the record keeps only a hash.",
    )
    provider = models.CharField(max_length=100, blank=True, validators=[validators.plain_text])
    rate_per_minute = models.PositiveIntegerField(
        "calls a minute, of all agents together",
        null=True,
        blank=True,
        help_text="Without one, only the agents' own limits count.",
    )
    rate_per_hour = models.PositiveIntegerField(
        "calls an hour, of all agents together", null=True, blank=True
    )
    owner = models.ForeignKey(
        Person,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="owned_systems",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    objects = SystemQuerySet.as_manager()
    history = HistoricalRecords()

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.slug

    @property
    def effective_tier(self) -> Tier:
        """The tier that counts: an untagged system is restricted."""
        return Tier(self.tier or Tier.RESTRICTED)


class SystemPermission(UserObjectPermissionBase):
    """Guardian's object permissions on systems, with a real foreign key."""

    content_object = models.ForeignKey(System, on_delete=models.CASCADE)


class Resource(models.Model):
    """Something named within a system: a table, a channel, a bucket. Longest match wins."""

    system = models.ForeignKey(System, on_delete=models.CASCADE, related_name="resources")
    name = models.CharField(max_length=255, validators=[validators.plain_text])
    match = models.CharField(
        max_length=6, choices=ResourceMatch.choices, default=ResourceMatch.EXACT
    )
    tier = models.CharField(max_length=12, choices=Tier.choices, blank=True)
    categories = ArrayField(
        models.CharField(max_length=60, validators=[validators.slug]), default=list, blank=True
    )
    history = HistoricalRecords()

    class Meta:
        ordering = ["system", "name"]
        constraints = [
            models.UniqueConstraint(fields=["system", "name", "match"], name="resource_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.system.slug}/{self.name}{'*' if self.match == ResourceMatch.PREFIX else ''}"

    @property
    def effective_tier(self) -> Tier:
        """The tier that counts: an untagged resource is restricted."""
        return Tier(self.tier or Tier.RESTRICTED)

    @property
    def effective_categories(self) -> list[str]:
        """Its own categories; without any, those of its system."""
        return list(self.categories or self.system.categories)


class Agreement(models.Model):
    """What was signed with a system's provider, and until when it holds."""

    system = models.ForeignKey(System, on_delete=models.CASCADE, related_name="agreements")
    kind = models.CharField(max_length=10, choices=AgreementKind.choices)
    reference = models.CharField(max_length=200, validators=[validators.plain_text])
    signed_on = models.DateField(validators=[validators.day])
    expires_on = models.DateField(null=True, blank=True, validators=[validators.day])
    history = HistoricalRecords()

    class Meta:
        ordering = ["system", "kind", "-signed_on"]
        constraints = [
            models.CheckConstraint(
                name="agreement_ends_after_start",
                condition=models.Q(expires_on__isnull=True)
                | models.Q(expires_on__gte=models.F("signed_on")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.system.slug} {self.kind}"


class ResourceType(models.Model):
    """A kind of subject or resource that policies speak about, with its attributes.

    `attributes` maps a name to `{"type": "string|long|bool|set", "source": "loaded|caller"}`.
    """

    slug = models.CharField(max_length=60, unique=True, validators=[validators.slug])
    attributes = models.JSONField(default=dict, blank=True, validators=[validators.json_object])
    history = HistoricalRecords()

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.slug

    def attributes_from(self, source: AttributeSource) -> dict[str, str]:
        """Name to type of the attributes that `source` may give."""
        return {
            name: spec["type"]
            for name, spec in self.attributes.items()
            if spec.get("source", AttributeSource.LOADED) == source
        }


class ResourceEntity(models.Model):
    """One thing of a resource type, with its loaded attributes."""

    type = models.ForeignKey(ResourceType, on_delete=models.CASCADE, related_name="entities")
    entity_id = models.CharField(max_length=255, validators=[validators.plain_text])
    attributes = models.JSONField(default=dict, blank=True, validators=[validators.json_object])

    class Meta:
        verbose_name_plural = "resource entities"
        ordering = ["type", "entity_id"]
        constraints = [
            models.UniqueConstraint(fields=["type", "entity_id"], name="resource_entity_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.type.slug}/{self.entity_id}"
