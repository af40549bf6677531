"""The whole row as people read it before they sign: what stands in it, and the digest of that."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

import rfc8785
from django.db import models

from registry.models import Agent, Person, System
from registry.reach import Reach

Facts = dict[str, Any]
# Clocks and states of the row, which move by themselves.
_NOT_READ = frozenset({"id", "created_at", "review_due", "renewal_due"})

_more: list[Callable[[Agent], Mapping[str, Any]]] = []


def add_facts(read: Callable[[Agent], Mapping[str, Any]]) -> None:
    """Have `read` tell what an app above keeps about an agent: its roles."""
    _more.append(read)


def facts_of(agent: Agent, reach: Reach) -> Facts:
    """Everything that is signed, by the word that a page shows it under."""
    facts: Facts = {
        _name(field): _said(agent, field)
        for field in _read_fields()
        # Absent while there are none, as they were before there was such a thing.
        if field.name != "redirect_uris" or agent.redirect_uris
    }
    for entry in agent.allowlist.select_related("tool"):
        facts[entry.tool.name] = {
            "version": entry.tool.version,
            "narrowing": entry.narrowing,
            "rate_per_minute": entry.rate_per_minute,
            "rate_per_hour": entry.rate_per_hour,
            "write_quota_per_hour": entry.write_quota_per_hour,
            "gates": entry.gates,
        }
    for credential in agent.credentials.select_related("system"):
        where = credential.system.slug if credential.system else ""
        facts[credential.reference] = {"system": where, "scope": credential.scope}
    for one in agent.sub_agents.select_related("sub_agent"):
        facts[f"sub-agent {one.sub_agent.slug}"] = {
            "result_schema": one.result_schema,
            "result_tier": str(one.result_tier),
            "result_trusted": one.result_trusted,
        }
    facts["relied on by"] = sorted(_dependents(agent))
    facts["tier"] = str(reach.tier)
    facts["who signs"] = [[step.role, *step.systems] for step in reach.steps]
    for read in _more:
        facts |= read(agent)
    return facts


def _read_fields() -> list[models.Field[Any, Any]]:
    return [
        field
        for field in Agent._meta.concrete_fields
        if field.editable and field.name not in _NOT_READ
    ]


def _name(field: models.Field[Any, Any]) -> str:
    return str(field.verbose_name)


def _said(agent: Agent, field: models.Field[Any, Any]) -> Any:
    value = getattr(agent, field.name)
    if isinstance(value, Person):
        return value.pid
    if isinstance(value, System):
        return value.slug
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value) if isinstance(value, models.TextChoices) else value


def _dependents(agent: Agent) -> list[str]:
    rows = agent.dependents.select_related("person", "dependent")
    return [
        row.person.pid if row.person else row.dependent.slug if row.dependent else ""
        for row in rows
    ]


def digest_of(facts: Mapping[str, Any], reach: Reach) -> str:
    """What a word before the start is bound to: the facts, and the places behind them."""
    return hashlib.sha256(rfc8785.dumps({"facts": dict(facts), "reach": reach.digest})).hexdigest()


def row_digest(agent: Agent, reach: Reach) -> str:
    """The digest of the row as it is now."""
    return digest_of(facts_of(agent, reach), reach)
