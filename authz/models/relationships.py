"""Relationships that policies may ask about: owner, team, shared with, assigned to."""

from __future__ import annotations

from django.db import models

from registry import validators


class Relationship(models.Model):
    """`subject` is `relation` of `resource`: a tuple, in the words of ReBAC."""

    resource_type = models.CharField(max_length=60, validators=[validators.slug])
    resource_id = models.CharField(max_length=255, validators=[validators.plain_text])
    relation = models.CharField(max_length=60, validators=[validators.slug])
    subject_type = models.CharField(max_length=60, validators=[validators.slug])
    subject_id = models.CharField(max_length=255, validators=[validators.plain_text])

    class Meta:
        ordering = ["resource_type", "resource_id", "relation", "subject_type", "subject_id"]
        constraints = [
            models.UniqueConstraint(
                fields=["resource_type", "resource_id", "relation", "subject_type", "subject_id"],
                name="relationship_unique",
            ),
        ]

    def __str__(self) -> str:
        return (
            f"{self.resource_type}:{self.resource_id}#{self.relation}"
            f"@{self.subject_type}:{self.subject_id}"
        )
