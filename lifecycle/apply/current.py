"""The register in the words of the format: what an inventory is compared with and exported as."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from django.db.models import QuerySet

from authz.cases import with_emails
from authz.enums import PolicyState
from authz.models import (
    CurrencyRate,
    Meter,
    ModelPrice,
    Policy,
    Relationship,
    Role,
    Signature,
    ToxicCombination,
)
from authz.services.prices import plain_number
from lifecycle.apply.kinds import KINDS, PERSON_WORDS
from registry.models import Agent, Gateway, Person, Reliance, ResourceType, System, Tool

Key = tuple[str, ...]
Fields = dict[str, Any]
Register = Mapping[str, Mapping[Key, Fields]]


def read_register(kinds: Iterable[str] = tuple(KINDS)) -> dict[str, dict[Key, Fields]]:
    """kind → key → every field, each kind with a fixed number of queries."""
    return {kind: {_key(kind, one): one for one in _READERS[kind]()} for kind in kinds}


def names_on_register(kinds: Iterable[str]) -> dict[str, list[str]]:
    """kind → what its things are called: enough to say whether a reference leads anywhere."""
    names: dict[str, Callable[[], Iterable[str]]] = {
        "people": lambda: (one.lower() for one in Person.objects.values_list("email", flat=True)),
        "systems": lambda: System.objects.values_list("slug", flat=True),
        "tools": lambda: Tool.objects.values_list("name", flat=True),
        "roles": lambda: Role.objects.values_list("slug", flat=True),
        "agents": lambda: Agent.objects.values_list("slug", flat=True),
    }
    return {kind: list(names[kind]()) for kind in kinds}


def _key(kind: str, fields: Fields) -> Key:
    return tuple(fields[name] for name in KINDS[kind].key)


def _date(value: datetime.date | None) -> str | None:
    return value.isoformat() if value else None


def _people() -> Iterable[Fields]:
    people: QuerySet[Person] = (
        Person.objects.select_related("manager")
        .prefetch_related("identities", "groups")
        .order_by("email")
    )
    return map(_person, people)


def _person(person: Person) -> Fields:
    return {
        "email": person.email.lower(),
        "name": person.name,
        "chat_handle": person.chat_handle,
        "employment": person.employment,
        "last_day": _date(person.last_day),
        "manager": person.manager.email.lower() if person.manager else None,
        "department": person.department,
        "zone": person.zone,
        "calendar": person.calendar,
        "attributes": person.attributes,
        "external_ids": sorted(
            ({"source": one.source, "id": one.external_id} for one in person.identities.all()),
            key=lambda one: (one["source"], one["id"]),
        ),
        "groups": sorted(group.name for group in person.groups.all()),
    }


def _gateways() -> Iterable[Fields]:
    for gateway in Gateway.objects.order_by("slug"):
        yield {
            "slug": gateway.slug,
            "name": gateway.name,
            "source": gateway.source,
            "is_active": gateway.is_active,
        }


def _resource_types() -> Iterable[Fields]:
    for each in ResourceType.objects.prefetch_related("entities").order_by("slug"):
        yield {
            "slug": each.slug,
            "attributes": each.attributes,
            "entities": sorted(
                (
                    {"id": one.entity_id, "attributes": one.attributes}
                    for one in each.entities.all()
                ),
                key=lambda one: str(one["id"]),
            ),
        }


def _systems() -> Iterable[Fields]:
    systems = System.objects.select_related("owner").prefetch_related("resources", "agreements")
    return map(_system, systems.order_by("slug"))


def _system(system: System) -> Fields:
    return {
        "slug": system.slug,
        "name": system.name,
        "description": system.description,
        "environment": system.environment,
        "tier": system.tier,
        "categories": sorted(system.categories),
        "country": system.country,
        "trust": system.trust,
        "personal_resource_ids": system.personal_resource_ids,
        "provider": system.provider,
        "rate_per_minute": system.rate_per_minute,
        "rate_per_hour": system.rate_per_hour,
        "owner": system.owner.email.lower() if system.owner else None,
        "resources": sorted(
            (
                {
                    "name": one.name,
                    "match": one.match,
                    "tier": one.tier,
                    "categories": sorted(one.categories),
                }
                for one in system.resources.all()
            ),
            key=lambda one: (str(one["name"]), str(one["match"])),
        ),
        "agreements": sorted(
            (
                {
                    "kind": one.kind,
                    "reference": one.reference,
                    "signed_on": one.signed_on.isoformat(),
                    "expires_on": _date(one.expires_on),
                }
                for one in system.agreements.all()
            ),
            key=lambda one: (str(one["kind"]), str(one["reference"]), str(one["signed_on"])),
        ),
    }


def _tools() -> Iterable[Fields]:
    tools = Tool.objects.select_related("system").prefetch_related("accesses__system")
    return map(_tool, tools.order_by("name"))


def _tool(tool: Tool) -> Fields:
    return {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "system": tool.system.slug,
        "effect": tool.effect,
        "schema": tool.schema,
        "amount_parameter": tool.amount_parameter,
        "currency_parameter": tool.currency_parameter,
        "count_parameter": tool.count_parameter,
        "recipient_parameter": tool.recipient_parameter,
        "resource_parameter": tool.resource_parameter,
        "secret_parameters": sorted(tool.secret_parameters),
        "on_taint": tool.on_taint,
        "gates": tool.gates,
        "accesses": sorted(
            (
                {"system": one.system.slug, "resource": one.resource, "direction": one.direction}
                for one in tool.accesses.all()
            ),
            key=lambda one: (one["system"], one["resource"], one["direction"]),
        ),
        "cost_minor": tool.cost_minor,
        "currency": tool.currency,
        "amount_is_cost": tool.amount_is_cost,
    }


# Fields of an agent that an inventory says as the row does.
PLAIN_OF_AGENTS = (
    "name",
    "kind",
    "purpose",
    "builder",
    "repository",
    "runs_at",
    "model",
    "prompt_digest",
    "code_reference",
    "pattern",
    "isolated_runs",
    "redirect_uris",
    "rate_per_minute",
    "rate_per_hour",
    "spend_cap_minor",
    "spend_cap_month_minor",
    "currency",
    "lawful_basis",
    "data_subjects",
    "recipients",
    "retention",
    "data_role",
    "ai_act_use",
    "ai_act_role",
)


def _agents() -> Iterable[Fields]:
    agents = Agent.objects.select_related(
        "owner", "backup_owner", "model_provider", "from_template__template"
    )
    prefetched = agents.prefetch_related(
        "allowlist__tool",
        "sub_agents__sub_agent",
        "credentials__system",
        "dependents__person",
        "dependents__dependent",
        "roles",
    )
    return map(_agent, prefetched.order_by("slug"))


def _agent(agent: Agent) -> Fields:
    origin = getattr(agent, "from_template", None)
    fields: Fields = {
        "slug": agent.slug,
        "template": origin.template.slug if origin else None,
        "choices": origin.choices if origin else {},
        **{name: getattr(agent, name) for name in PLAIN_OF_AGENTS},
        "redirect_uris": sorted(agent.redirect_uris),
        "state": agent.state,
        "owner": agent.owner.email.lower(),
        "backup_owner": agent.backup_owner.email.lower() if agent.backup_owner else None,
        "model_provider": agent.model_provider.slug if agent.model_provider else None,
        "roles": sorted(role.slug for role in agent.roles.all()),
        "allowlist": _allowlist(agent),
        "sub_agents": _sub_agents(agent),
        "credentials": _credentials(agent),
        "dependents": sorted(map(_dependent, agent.dependents.all())),
    }
    return {name: fields[name] for name in KINDS["agents"].fields}


def _dependent(one: Reliance) -> str:
    if one.person:
        return one.person.email.lower()
    return one.dependent.slug if one.dependent else ""


def _allowlist(agent: Agent) -> list[Fields]:
    entries = [
        {
            "tool": one.tool.name,
            "narrowing": one.narrowing,
            "rate_per_minute": one.rate_per_minute,
            "rate_per_hour": one.rate_per_hour,
            "write_quota_per_hour": one.write_quota_per_hour,
            "gates": one.gates,
        }
        for one in agent.allowlist.all()
    ]
    return sorted(entries, key=lambda one: str(one["tool"]))


def _sub_agents(agent: Agent) -> list[Fields]:
    entries = [
        {
            "agent": one.sub_agent.slug,
            "result_schema": one.result_schema,
            "result_tier": one.result_tier,
            "result_trusted": one.result_trusted,
        }
        for one in agent.sub_agents.all()
    ]
    return sorted(entries, key=lambda one: str(one["agent"]))


def _credentials(agent: Agent) -> list[Fields]:
    entries = [
        {
            "reference": one.reference,
            "system": one.system.slug if one.system else None,
            "scope": one.scope,
            "rotated_on": _date(one.rotated_on),
        }
        for one in agent.credentials.all()
    ]
    return sorted(entries, key=lambda one: str(one["reference"]))


def _roles() -> Iterable[Fields]:
    for role in Role.objects.prefetch_related("tools", "people").order_by("slug"):
        yield {
            "slug": role.slug,
            "description": role.description,
            "tools": sorted(one.name for one in role.tools.all()),
            "people": sorted(one.email.lower() for one in role.people.all()),
        }


def _policies() -> Iterable[Fields]:
    """The versions that are in force: drafts and past ones belong to this installation alone."""
    active = list(Policy.objects.filter(state=PolicyState.ACTIVE).order_by("slug"))
    written = iter(with_emails([case for policy in active for case in policy.cases]))
    for policy in active:
        yield {
            "slug": policy.slug,
            "description": policy.description,
            "log_only": policy.log_only,
            "text": policy.text,
            "cases": list(islice(written, len(policy.cases))),
        }


def _relationships() -> Iterable[Fields]:
    """People by e-mail address: a pseudonymous id means nothing elsewhere."""
    key = KINDS["relationships"].key
    emails = dict(Person.objects.values_list("pid", "email"))
    rows: list[Fields] = list(Relationship.objects.values(*key))
    for row in rows:
        if row["subject_type"] in PERSON_WORDS and row["subject_id"] in emails:
            row["subject_id"] = emails[row["subject_id"]].lower()
    return sorted(rows, key=lambda row: tuple(row[name] for name in key))


def _signatures() -> Iterable[Fields]:
    for one in Signature.objects.order_by("slug"):
        yield {name: getattr(one, name) for name in KINDS["signatures"].fields} | {
            "effects": sorted(one.effects),
            "tools": sorted(one.tools),
        }


def _toxic() -> Iterable[Fields]:
    for one in ToxicCombination.objects.order_by("slug"):
        yield {name: getattr(one, name) for name in KINDS["toxic_combinations"].fields} | {
            "categories": sorted(one.categories),
            "effects": sorted(one.effects),
        }


def _currencies() -> Iterable[Fields]:
    for rate in CurrencyRate.objects.order_by("currency"):
        yield {"currency": rate.currency, "worth": plain_number(rate.worth)}


def _model_prices() -> Iterable[Fields]:
    """The newest price of each model: earlier ones belong to this installation alone."""
    newest = ModelPrice.objects.order_by("provider", "model", "-valid_from")
    for price in newest.distinct("provider", "model"):
        yield _as_text(price, KINDS["model_prices"].fields)


def _meters() -> Iterable[Fields]:
    for meter in Meter.objects.order_by("slug"):
        yield _as_text(meter, KINDS["meters"].fields)


def _as_text(row: ModelPrice | Meter, names: Iterable[str]) -> Fields:
    return {name: plain_number(getattr(row, name)) for name in names}


_READERS: dict[str, Callable[[], Iterable[Fields]]] = {
    "people": _people,
    "gateways": _gateways,
    "resource_types": _resource_types,
    "systems": _systems,
    "tools": _tools,
    "agents": _agents,
    "roles": _roles,
    "policies": _policies,
    "relationships": _relationships,
    "signatures": _signatures,
    "toxic_combinations": _toxic,
    "currencies": _currencies,
    "model_prices": _model_prices,
    "meters": _meters,
}
