"""Shapes of the register's REST API. No rules here: services say what is right."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from registry.enums import (
    AgentKind,
    AgentState,
    AiActRole,
    AiActUse,
    DataRole,
    Direction,
    Employment,
    Environment,
    IdentityPattern,
    OnTaint,
    ResourceMatch,
    Tier,
    ToolEffect,
    Trust,
)
from registry.models import Agent, Person, System, Tool

_TEXT: Any = {"required": False, "allow_blank": True}


class PersonRef(serializers.SlugRelatedField[Person]):
    """A person by e-mail."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(slug_field="email", queryset=Person.objects.all(), **kwargs)


class SystemRef(serializers.SlugRelatedField[System]):
    """A system by slug."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(slug_field="slug", queryset=System.objects.all(), **kwargs)


class ToolRef(serializers.SlugRelatedField[Tool]):
    """A tool by name."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(slug_field="name", queryset=Tool.objects.all(), **kwargs)


class PersonOut(serializers.ModelSerializer[Person]):
    manager = serializers.SlugRelatedField[Person](slug_field="email", read_only=True)
    groups = serializers.SlugRelatedField[Any](slug_field="name", many=True, read_only=True)

    class Meta:
        model = Person
        fields = [
            "pid",
            "name",
            "email",
            "chat_handle",
            "employment",
            "last_day",
            "manager",
            "department",
            "zone",
            "calendar",
            "attributes",
            "groups",
        ]


class PersonIn(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=150)
    chat_handle = serializers.CharField(max_length=80, **_TEXT)
    department = serializers.CharField(max_length=100, **_TEXT)
    zone = serializers.CharField(max_length=50, required=False)
    calendar = serializers.CharField(max_length=10, required=False, allow_blank=True)
    manager = PersonRef(required=False, allow_null=True)
    attributes = serializers.DictField(required=False)


class NewPersonIn(PersonIn):
    email = serializers.EmailField(max_length=254)


class EmploymentIn(serializers.Serializer[Any]):
    employment = serializers.ChoiceField(choices=Employment.choices)
    last_day = serializers.DateField(required=False, allow_null=True)


class ResourceShape(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=255)
    match = serializers.ChoiceField(choices=ResourceMatch.choices, default=ResourceMatch.EXACT)
    tier = serializers.ChoiceField(choices=Tier.choices, required=False, allow_blank=True)
    categories = serializers.ListField(
        child=serializers.CharField(max_length=60), required=False, max_length=50
    )


class SystemOut(serializers.ModelSerializer[System]):
    owner = serializers.SlugRelatedField[Person](slug_field="email", read_only=True)
    resources = ResourceShape(many=True, read_only=True)
    effective_tier = serializers.CharField(read_only=True)

    class Meta:
        model = System
        fields = [
            "slug",
            "name",
            "description",
            "environment",
            "tier",
            "effective_tier",
            "categories",
            "country",
            "trust",
            "personal_resource_ids",
            "rate_per_minute",
            "rate_per_hour",
            "provider",
            "owner",
            "resources",
        ]


class SystemIn(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100, required=False)
    description = serializers.CharField(max_length=2000, **_TEXT)
    environment = serializers.ChoiceField(choices=Environment.choices, required=False)
    tier = serializers.ChoiceField(choices=Tier.choices, required=False, allow_blank=True)
    categories = serializers.ListField(
        child=serializers.CharField(max_length=60), required=False, max_length=50
    )
    country = serializers.CharField(max_length=2, **_TEXT)
    trust = serializers.ChoiceField(choices=Trust.choices, required=False)
    personal_resource_ids = serializers.BooleanField(required=False)
    rate_per_minute = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=10**6
    )
    rate_per_hour = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=10**8
    )
    provider = serializers.CharField(max_length=100, **_TEXT)
    owner = PersonRef(required=False, allow_null=True)
    resources = ResourceShape(many=True, required=False)


class NewSystemIn(SystemIn):
    slug = serializers.CharField(max_length=60)


class AccessShape(serializers.Serializer[Any]):
    system = SystemRef()
    resource = serializers.CharField(max_length=255, required=False, allow_blank=True, default="")
    direction = serializers.ChoiceField(choices=Direction.choices)


class ToolOut(serializers.ModelSerializer[Tool]):
    system = serializers.SlugRelatedField[System](slug_field="slug", read_only=True)
    accesses = AccessShape(many=True, read_only=True)

    class Meta:
        model = Tool
        fields = [
            "name",
            "title",
            "description",
            "system",
            "effect",
            "schema",
            "amount_parameter",
            "currency_parameter",
            "count_parameter",
            "recipient_parameter",
            "resource_parameter",
            "secret_parameters",
            "on_taint",
            "gates",
            "cost_minor",
            "amount_is_cost",
            "currency",
            "version",
            "accesses",
        ]


class ToolIn(serializers.Serializer[Any]):
    title = serializers.CharField(max_length=120, **_TEXT)
    description = serializers.CharField(max_length=2000, **_TEXT)
    system = SystemRef(required=False)
    effect = serializers.ChoiceField(choices=ToolEffect.choices, required=False)
    schema = serializers.DictField(required=False)
    amount_parameter = serializers.CharField(max_length=100, **_TEXT)
    currency_parameter = serializers.CharField(max_length=100, **_TEXT)
    count_parameter = serializers.CharField(max_length=100, **_TEXT)
    recipient_parameter = serializers.CharField(max_length=100, **_TEXT)
    resource_parameter = serializers.CharField(max_length=100, **_TEXT)
    secret_parameters = serializers.ListField(
        child=serializers.CharField(max_length=100), required=False, max_length=50
    )
    on_taint = serializers.ChoiceField(choices=OnTaint.choices, required=False, allow_blank=True)
    gates = serializers.DictField(required=False)
    cost_minor = serializers.IntegerField(required=False, min_value=0, max_value=10**12)
    amount_is_cost = serializers.BooleanField(required=False)
    currency = serializers.CharField(max_length=3, required=False)
    accesses = AccessShape(many=True, required=False)


class NewToolIn(ToolIn):
    name = serializers.CharField(max_length=120)
    system = SystemRef()
    effect = serializers.ChoiceField(choices=ToolEffect.choices)


class EntryShape(serializers.Serializer[Any]):
    tool = serializers.CharField(source="tool.name", read_only=True)
    narrowing = serializers.DictField(read_only=True)
    rate_per_minute = serializers.IntegerField(read_only=True)
    rate_per_hour = serializers.IntegerField(read_only=True)
    write_quota_per_hour = serializers.IntegerField(read_only=True)
    gates = serializers.DictField(read_only=True)


class SubAgentShape(serializers.Serializer[Any]):
    agent = serializers.CharField(source="sub_agent.slug", read_only=True)
    result_schema = serializers.DictField(read_only=True)
    result_tier = serializers.ChoiceField(choices=Tier.choices, read_only=True)
    result_trusted = serializers.BooleanField(read_only=True)


class AgentOut(serializers.ModelSerializer[Agent]):
    owner = serializers.SlugRelatedField[Person](slug_field="email", read_only=True)
    backup_owner = serializers.SlugRelatedField[Person](slug_field="email", read_only=True)
    model_provider = serializers.SlugRelatedField[System](slug_field="slug", read_only=True)
    state = serializers.ChoiceField(choices=AgentState.choices, read_only=True)
    allowlist = EntryShape(many=True, read_only=True)
    sub_agents = SubAgentShape(many=True, read_only=True)
    tier = serializers.SerializerMethodField()

    class Meta:
        model = Agent
        fields = [
            "slug",
            "name",
            "kind",
            "purpose",
            "builder",
            "repository",
            "runs_at",
            "model",
            "model_provider",
            "prompt_digest",
            "code_reference",
            "pattern",
            "isolated_runs",
            "redirect_uris",
            "owner",
            "backup_owner",
            "state",
            "state_reason",
            "observe_until",
            "tier",
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
            "review_due",
            "renewal_due",
            "version",
            "allowlist",
            "sub_agents",
        ]

    def get_tier(self, agent: Agent) -> str:
        """Computed from the reach; see `registry.reach`."""
        return str(self.context["tier_of"](agent))


class AgentIn(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100, required=False)
    kind = serializers.ChoiceField(choices=AgentKind.choices, required=False)
    purpose = serializers.CharField(max_length=4000, required=False)
    builder = serializers.CharField(max_length=100, **_TEXT)
    repository = serializers.CharField(max_length=300, **_TEXT)
    runs_at = serializers.CharField(max_length=300, **_TEXT)
    model = serializers.CharField(max_length=100, **_TEXT)
    model_provider = SystemRef(required=False, allow_null=True)
    prompt_digest = serializers.CharField(max_length=128, **_TEXT)
    code_reference = serializers.CharField(max_length=128, **_TEXT)
    pattern = serializers.ChoiceField(choices=IdentityPattern.choices, required=False)
    isolated_runs = serializers.BooleanField(required=False)
    redirect_uris = serializers.ListField(
        child=serializers.CharField(max_length=300), max_length=10, required=False
    )
    backup_owner = PersonRef(required=False, allow_null=True)
    rate_per_minute = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=10**6
    )
    rate_per_hour = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=10**8
    )
    spend_cap_minor = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=10**12
    )
    spend_cap_month_minor = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=10**13
    )
    currency = serializers.CharField(max_length=3, required=False)
    lawful_basis = serializers.CharField(max_length=200, **_TEXT)
    data_subjects = serializers.CharField(max_length=300, **_TEXT)
    recipients = serializers.CharField(max_length=300, **_TEXT)
    retention = serializers.CharField(max_length=200, **_TEXT)
    data_role = serializers.ChoiceField(choices=DataRole.choices, required=False, allow_blank=True)
    ai_act_use = serializers.ChoiceField(choices=AiActUse.choices, required=False, allow_blank=True)
    ai_act_role = serializers.ChoiceField(
        choices=AiActRole.choices, required=False, allow_blank=True
    )


class NewAgentIn(AgentIn):
    slug = serializers.CharField(max_length=60)
    name = serializers.CharField(max_length=100)
    purpose = serializers.CharField(max_length=4000)
    owner = PersonRef(required=False)


class EntryIn(serializers.Serializer[Any]):
    narrowing = serializers.DictField(required=False)
    rate_per_minute = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=10**6
    )
    rate_per_hour = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=10**8
    )
    write_quota_per_hour = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=10**8
    )
    gates = serializers.DictField(required=False, help_text="Absent: those that there are stay.")


class SubAgentIn(serializers.Serializer[Any]):
    result_schema = serializers.DictField(
        required=False, help_text="A JSON Schema that an answer must meet. Absent: any answer."
    )
    result_tier = serializers.ChoiceField(choices=Tier.choices, required=False)
    result_trusted = serializers.BooleanField(required=False)


class ReasonIn(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=500)


class ReachDigestIn(serializers.Serializer[Any]):
    reach_digest = serializers.CharField(max_length=64, required=False, allow_blank=True)


class ProposedOut(serializers.Serializer[Any]):
    """What waits for a second person after a widening change."""

    id = serializers.IntegerField()
    kind = serializers.CharField()
    target = serializers.CharField()
    summary = serializers.CharField()


class CallbackIn(serializers.Serializer[Any]):
    url = serializers.CharField(
        max_length=500, allow_blank=True, help_text="https, and empty for nowhere."
    )


class CallbackOut(serializers.Serializer[Any]):
    """Where a client is told, and the key by which it knows who tells it."""

    client_id = serializers.CharField()
    url = serializers.CharField(allow_blank=True)
    callback_key = serializers.CharField(allow_blank=True, help_text="Of HMAC-SHA-256, in hex.")


class SecretOut(serializers.Serializer[Any]):
    """A client secret, once."""

    client_id = serializers.CharField()
    client_secret = serializers.CharField()
