"""The format: which kinds there are, and what each one may say.

Names are those of the register's own fields, here as in the REST API. The order of kinds and
fields is the order in which an export writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
from lifecycle.apply import fields as f
from lifecycle.apply.nodes import Node
from registry.enums import (
    AgentState,
    AttributeSource,
    CombinedEffect,
    GroupName,
    ToolEffect,
)
from registry.models import (
    Agent,
    Agreement,
    AllowlistEntry,
    CredentialReference,
    ExternalIdentity,
    Gateway,
    Person,
    Resource,
    ResourceEntity,
    ResourceType,
    SubAgent,
    System,
    Tool,
    ToolAccess,
)

VERSION = 1

_NEVER = "{} are never deleted, so that the record keeps its meaning."


@dataclass(frozen=True)
class Kind:
    """One list of the inventory.

    `key` names an item (none for relationships: there every field does), `required` is what a
    new item must say, `stays` why an item cannot be deleted ("" where it can). `orders` are read
    and carried out, but are no property of the thing. `entries` names the fields whose entries
    have a key of their own: what is not listed there is left alone.
    """

    name: str
    fields: Mapping[str, f.Reader]
    key: tuple[str, ...]
    required: tuple[str, ...] = ()
    stays: str = ""
    orders: Mapping[str, f.Reader] = field(default_factory=dict)
    entries: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def readers(self) -> dict[str, f.Reader]:
        """Every key that an item may have."""
        return {**self.fields, **self.orders, "absent": f.boolean}


PEOPLE = Kind(
    "people",
    key=("email",),
    required=("name",),
    stays=_NEVER.format("People") + " Write `employment: left` and a `last_day`.",
    fields={
        "email": f.column(Person, "email"),
        "name": f.column(Person, "name"),
        "chat_handle": f.column(Person, "chat_handle"),
        "employment": f.column(Person, "employment"),
        "last_day": f.column(Person, "last_day"),
        "manager": f.to("people", optional=True),
        "department": f.column(Person, "department"),
        "zone": f.column(Person, "zone"),
        "calendar": f.column(Person, "calendar"),
        "attributes": f.json,
        "external_ids": f.keyed(
            {
                "source": f.column(ExternalIdentity, "source"),
                "id": f.column(ExternalIdentity, "external_id"),
            },
            key=("source", "id"),
            defaults={},
        ),
        "groups": f.many(f.one_of(GroupName.values)),
    },
    entries={"external_ids": ("source", "id")},
)

GATEWAYS = Kind(
    "gateways",
    key=("slug",),
    required=("name",),
    stays=_NEVER.format("Gateways") + " Write `is_active: false`.",
    fields={
        "slug": f.column(Gateway, "slug"),
        "name": f.column(Gateway, "name"),
        "source": f.column(Gateway, "source"),
        "is_active": f.column(Gateway, "is_active"),
    },
)

ATTRIBUTE_TYPES = ("string", "long", "bool", "set")


def _attributes(node: Node, reading: f.Reading) -> f.Json:
    """Name to type and source; `status: caller` is short for a text that the caller gives."""
    if node.entries is None:
        reading.refuse(node.place, "A mapping from names to their type and source is wanted here.")
        return {}
    sources = f.one_of(AttributeSource.values)
    fields = {"type": f.one_of(ATTRIBUTE_TYPES), "source": sources}
    found = {}
    for name, value in node.entries.items():
        defaults = {"type": "string", "source": AttributeSource.LOADED.value}
        if value.entries is None:
            found[name] = {**defaults, "source": sources(value, reading)}
        else:
            found[name] = {**defaults, **f.read_mapping(value, reading, fields)}
    return found


RESOURCE_TYPES = Kind(
    "resource_types",
    key=("slug",),
    stays="A resource type stays, since policies may name it.",
    fields={
        "slug": f.column(ResourceType, "slug"),
        "attributes": _attributes,
        "entities": f.keyed(
            {"id": f.column(ResourceEntity, "entity_id"), "attributes": f.json},
            key=("id",),
            defaults={"attributes": {}},
            short="id",
        ),
    },
    entries={"entities": ("id",)},
)

SYSTEMS = Kind(
    "systems",
    key=("slug",),
    required=("name",),
    stays="A system stays, since tools and records name it.",
    fields={
        "slug": f.column(System, "slug"),
        "name": f.column(System, "name"),
        "description": f.column(System, "description"),
        "environment": f.column(System, "environment"),
        "tier": f.column(System, "tier"),
        "categories": f.columns(System, "categories"),
        "country": f.column(System, "country"),
        "trust": f.column(System, "trust"),
        "personal_resource_ids": f.column(System, "personal_resource_ids"),
        "provider": f.column(System, "provider"),
        "rate_per_minute": f.column(System, "rate_per_minute"),
        "rate_per_hour": f.column(System, "rate_per_hour"),
        "owner": f.to("people", optional=True),
        "resources": f.keyed(
            {
                "name": f.column(Resource, "name"),
                "match": f.column(Resource, "match"),
                "tier": f.column(Resource, "tier"),
                "categories": f.columns(Resource, "categories"),
            },
            key=("name", "match"),
            defaults={"match": "exact", "tier": "", "categories": []},
        ),
        "agreements": f.keyed(
            {
                "kind": f.column(Agreement, "kind"),
                "reference": f.column(Agreement, "reference"),
                "signed_on": f.column(Agreement, "signed_on"),
                "expires_on": f.column(Agreement, "expires_on"),
            },
            key=("kind", "reference", "signed_on"),
            defaults={"expires_on": None},
            removable=False,
        ),
    },
    entries={
        "resources": ("name", "match"),
        "agreements": ("kind", "reference", "signed_on"),
    },
)


TOOLS = Kind(
    "tools",
    key=("name",),
    required=("system", "effect"),
    stays="A tool stays, since records name it. Take it out of roles and allowlists.",
    fields={
        "name": f.column(Tool, "name"),
        "title": f.column(Tool, "title"),
        "description": f.column(Tool, "description"),
        "system": f.to("systems"),
        "effect": f.column(Tool, "effect"),
        "schema": f.json,
        "amount_parameter": f.column(Tool, "amount_parameter"),
        "currency_parameter": f.column(Tool, "currency_parameter"),
        "count_parameter": f.column(Tool, "count_parameter"),
        "recipient_parameter": f.column(Tool, "recipient_parameter"),
        "resource_parameter": f.column(Tool, "resource_parameter"),
        "secret_parameters": f.columns(Tool, "secret_parameters"),
        "on_taint": f.column(Tool, "on_taint"),
        "gates": f.json,
        "accesses": f.keyed(
            {
                "system": f.to("systems"),
                "resource": f.column(ToolAccess, "resource"),
                "direction": f.column(ToolAccess, "direction"),
            },
            key=("system", "resource", "direction"),
            defaults={"resource": ""},
            removable=False,
        ),
        "cost_minor": f.column(Tool, "cost_minor"),
        "currency": f.column(Tool, "currency"),
        "amount_is_cost": f.column(Tool, "amount_is_cost"),
    },
)

ROLES = Kind(
    "roles",
    key=("slug",),
    stays="A role stays, since records name it. Write `tools: []`.",
    fields={
        "slug": f.column(Role, "slug"),
        "description": f.column(Role, "description"),
        "tools": f.many(f.to("tools")),
        "people": f.many(f.to("people")),
    },
)

_STATES = (
    AgentState.DRAFT.value,
    AgentState.IN_REVIEW.value,
    AgentState.ACTIVE.value,
    AgentState.SUSPENDED.value,
    AgentState.DECOMMISSIONING.value,
    AgentState.DECOMMISSIONED.value,
)

_PERSON, _AGENT = f.to("people"), f.to("agents")


def _dependent(node: Node, reading: f.Reading) -> f.Json:
    """A person by e-mail address, or an agent by its slug, which has no @."""
    is_person = isinstance(node.scalar, str) and "@" in node.scalar
    return (_PERSON if is_person else _AGENT)(node, reading)


AGENTS = Kind(
    "agents",
    key=("slug",),
    required=("name", "owner", "purpose"),
    stays=_NEVER.format("Agents") + " Decommission it on its page.",
    fields={
        "slug": f.column(Agent, "slug"),
        "name": f.column(Agent, "name"),
        "kind": f.column(Agent, "kind"),
        "purpose": f.column(Agent, "purpose"),
        "template": f.optional_text,
        "choices": f.choices,
        "owner": f.to("people"),
        "backup_owner": f.to("people", optional=True),
        "builder": f.column(Agent, "builder"),
        "repository": f.column(Agent, "repository"),
        "runs_at": f.column(Agent, "runs_at"),
        "model": f.column(Agent, "model"),
        "model_provider": f.to("systems", optional=True),
        "prompt_digest": f.column(Agent, "prompt_digest"),
        "code_reference": f.column(Agent, "code_reference"),
        "pattern": f.column(Agent, "pattern"),
        "isolated_runs": f.column(Agent, "isolated_runs"),
        "redirect_uris": f.many(f.text),
        "roles": f.many(f.to("roles")),
        "allowlist": f.keyed(
            {
                "tool": f.to("tools"),
                "narrowing": f.json,
                "rate_per_minute": f.column(AllowlistEntry, "rate_per_minute"),
                "rate_per_hour": f.column(AllowlistEntry, "rate_per_hour"),
                "write_quota_per_hour": f.column(AllowlistEntry, "write_quota_per_hour"),
                "gates": f.json,
            },
            key=("tool",),
            defaults={
                "narrowing": {},
                "rate_per_minute": None,
                "rate_per_hour": None,
                "write_quota_per_hour": None,
                "gates": {},
            },
            short="tool",
        ),
        "sub_agents": f.keyed(
            {
                "agent": f.to("agents"),
                "result_schema": f.json,
                "result_tier": f.column(SubAgent, "result_tier"),
                "result_trusted": f.column(SubAgent, "result_trusted"),
            },
            key=("agent",),
            defaults={"result_schema": {}, "result_tier": "internal", "result_trusted": False},
            short="agent",
        ),
        "rate_per_minute": f.column(Agent, "rate_per_minute"),
        "rate_per_hour": f.column(Agent, "rate_per_hour"),
        "spend_cap_minor": f.column(Agent, "spend_cap_minor"),
        "spend_cap_month_minor": f.column(Agent, "spend_cap_month_minor"),
        "currency": f.column(Agent, "currency"),
        "credentials": f.keyed(
            {
                "reference": f.column(CredentialReference, "reference"),
                "system": f.to("systems", optional=True),
                "scope": f.column(CredentialReference, "scope"),
                "rotated_on": f.column(CredentialReference, "rotated_on"),
            },
            key=("reference",),
            defaults={"system": None, "scope": "", "rotated_on": None},
            short="reference",
        ),
        "dependents": f.many(_dependent),
        "lawful_basis": f.column(Agent, "lawful_basis"),
        "data_subjects": f.column(Agent, "data_subjects"),
        "recipients": f.column(Agent, "recipients"),
        "retention": f.column(Agent, "retention"),
        "data_role": f.column(Agent, "data_role"),
        "ai_act_use": f.column(Agent, "ai_act_use"),
        "ai_act_role": f.column(Agent, "ai_act_role"),
        "state": f.one_of(_STATES),
    },
    orders={"attest": f.boolean},
    entries={
        "allowlist": ("tool",),
        "sub_agents": ("agent",),
        "credentials": ("reference",),
    },
)

POLICIES = Kind(
    "policies",
    key=("slug",),
    required=("text",),
    fields={
        "slug": f.column(Policy, "slug"),
        "description": f.column(Policy, "description"),
        "log_only": f.column(Policy, "log_only"),
        "text": f.column(Policy, "text"),
        "cases": f.policy_cases,
    },
    orders={"file": f.file_text},
)

# A subject that is a person is named by e-mail address here, and by pseudonymous id inside.
PERSON_WORDS = frozenset({"person", "user", "identity"})
_TUPLE = ("resource_type", "resource_id", "relation", "subject_type", "subject_id")
RELATIONSHIPS = Kind(
    "relationships",
    key=_TUPLE,
    fields={name: f.column(Relationship, name) for name in _TUPLE},
)

SIGNATURES = Kind(
    "signatures",
    key=("slug",),
    required=("pattern", "reason"),
    fields={
        "slug": f.column(Signature, "slug"),
        "pattern": f.column(Signature, "pattern"),
        "reason": f.column(Signature, "reason"),
        "effects": f.many(f.one_of(ToolEffect.values)),
        "tools": f.columns(Signature, "tools"),
        "is_active": f.column(Signature, "is_active"),
    },
)

TOXIC = Kind(
    "toxic_combinations",
    key=("slug",),
    required=("implied_tier", "reason"),
    fields={
        "slug": f.column(ToxicCombination, "slug"),
        "categories": f.columns(ToxicCombination, "categories"),
        "effects": f.many(f.one_of(CombinedEffect.values)),
        "implied_tier": f.column(ToxicCombination, "implied_tier"),
        "reason": f.column(ToxicCombination, "reason"),
        "reference": f.column(ToxicCombination, "reference"),
        "only_listed": f.column(ToxicCombination, "only_listed"),
        "is_active": f.column(ToxicCombination, "is_active"),
    },
)

CURRENCIES = Kind(
    "currencies",
    key=("currency",),
    required=("worth",),
    stays="A rate stays: without one, amounts in the currency are held.",
    fields={
        "currency": f.column(CurrencyRate, "currency"),
        "worth": f.column(CurrencyRate, "worth"),
    },
)

MODEL_PRICES = Kind(
    "model_prices",
    key=("provider", "model"),
    required=("input_minor", "output_minor"),
    stays="A price stays, so that costs can be worked out again. Write the new one.",
    fields={
        name: f.column(ModelPrice, name)
        for name in ("provider", "model", "input_minor", "output_minor", "currency")
    },
)

METERS = Kind(
    "meters",
    key=("slug",),
    required=("unit_minor",),
    stays="A meter stays, since records name it.",
    fields={name: f.column(Meter, name) for name in ("slug", "title", "unit_minor", "currency")},
)

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        PEOPLE,
        GATEWAYS,
        RESOURCE_TYPES,
        SYSTEMS,
        TOOLS,
        ROLES,
        AGENTS,
        POLICIES,
        RELATIONSHIPS,
        SIGNATURES,
        TOXIC,
        CURRENCIES,
        MODEL_PRICES,
        METERS,
    )
}
