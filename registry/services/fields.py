"""What may be saved of each noun. Absent means untouched; names are those of the models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Required, TypedDict

from registry.models import Person, System

Json = Mapping[str, Any]


class PersonDetails(TypedDict, total=False):
    chat_handle: str
    manager: Person | None
    department: str
    zone: str
    calendar: str
    attributes: Json


class PersonFields(PersonDetails, total=False):
    name: str
    email: str


class SystemFields(TypedDict, total=False):
    name: str
    description: str
    environment: str
    tier: str
    categories: Sequence[str]
    country: str
    trust: str
    personal_resource_ids: bool
    provider: str
    rate_per_minute: int | None
    rate_per_hour: int | None
    owner: Person | None


class ResourceFields(TypedDict, total=False):
    name: Required[str]
    match: str
    tier: str
    categories: Sequence[str]


class AccessFields(TypedDict):
    system: System
    resource: str
    direction: str


class ToolFields(TypedDict, total=False):
    title: str
    description: str
    system: System
    effect: str
    schema: Json
    amount_parameter: str
    currency_parameter: str
    count_parameter: str
    recipient_parameter: str
    resource_parameter: str
    secret_parameters: Sequence[str]
    on_taint: str
    gates: Json
    cost_minor: int
    currency: str
    amount_is_cost: bool


class GatewayFields(TypedDict, total=False):
    name: str
    source: str
    is_active: bool


class AgentDetails(TypedDict, total=False):
    kind: str
    purpose: str
    builder: str
    repository: str
    runs_at: str
    model: str
    model_provider: System | None
    prompt_digest: str
    code_reference: str
    pattern: str
    isolated_runs: bool
    redirect_uris: Sequence[str]
    backup_owner: Person | None
    rate_per_minute: int | None
    rate_per_hour: int | None
    spend_cap_minor: int | None
    spend_cap_month_minor: int | None
    currency: str
    lawful_basis: str
    data_subjects: str
    recipients: str
    retention: str
    data_role: str
    ai_act_use: str
    ai_act_role: str


class AgentFields(AgentDetails, total=False):
    name: str


class SubAgentFields(TypedDict):
    result_schema: Json
    result_tier: str
    result_trusted: bool


class EntryFields(TypedDict):
    narrowing: Json
    rate_per_minute: int | None
    rate_per_hour: int | None
    write_quota_per_hour: int | None
    gates: Json
