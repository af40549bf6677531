"""Roles: one model for agents and humans."""

from __future__ import annotations

from django.db import models
from simple_history.models import HistoricalRecords

from registry import validators
from registry.models import Agent, Person, Tool


class Role(models.Model):
    """Grants tools to the agents and the people who hold it."""

    slug = models.CharField(max_length=60, unique=True, validators=[validators.slug])
    description = models.CharField(max_length=300, blank=True, validators=[validators.plain_text])
    tools = models.ManyToManyField(Tool, blank=True, related_name="roles")
    agents = models.ManyToManyField(Agent, blank=True, related_name="roles")
    people = models.ManyToManyField(Person, blank=True, related_name="roles")
    history = HistoricalRecords(m2m_fields=[tools, agents, people])

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.slug
