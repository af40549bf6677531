"""What groups of a source of people mean here, and who is in a group because of that."""

from __future__ import annotations

from django.db import models

from registry import validators
from registry.enums import GroupName
from registry.models.people import Person


class Way(models.TextChoices):
    """How a source says who is in its groups."""

    DIRECTORY = "directory", "at once, by SCIM"
    SIGN_IN = "sign_in", "at each sign-in"


class ClaimedGroup(models.Model):
    """Two people agreed that who is in `claim` at the source is in `group` here.

    `claim` is what the source calls its group: as the claim of a sign-in has it, or the id of the
    group in SCIM, its own (`externalId`) or the one that Muster gave. `named` is only shown.
    """

    source = models.CharField(max_length=60, validators=[validators.slug])
    claim = models.CharField(max_length=255, validators=[validators.plain_text])
    named = models.CharField(max_length=255, blank=True, validators=[validators.plain_text])
    group = models.CharField(max_length=20, choices=GroupName.choices)
    proposed_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    agreed_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["source", "claim", "group"]
        constraints = [
            models.UniqueConstraint(fields=["source", "claim", "group"], name="claimed_group_once"),
            models.CheckConstraint(
                name="claimed_group_by_two",
                condition=~models.Q(proposed_by=models.F("agreed_by")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source}: {self.claim} is {self.group}"


class GivenGroup(models.Model):
    """Somebody is in a group because a source says so, and not by hand."""

    by = models.ForeignKey(ClaimedGroup, on_delete=models.CASCADE, related_name="given")
    way = models.CharField(max_length=10, choices=Way.choices)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="given_groups")

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["by", "way", "person"], name="given_group_once"),
        ]

    def __str__(self) -> str:
        return f"{self.person_id} by {self.by_id}"
