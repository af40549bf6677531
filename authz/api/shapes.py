"""Shapes of the REST API of policies, roles and relationships. Services say what is right."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from authz.cases import EFFECTS, MAX_NAME
from authz.engine.cedar_text import MAX_TEXT
from authz.enums import PolicyState
from authz.models import Policy, Relationship, Role
from registry.api.serializers import ToolRef
from registry.models import Agent, Person

_TEXT: Any = {"required": False, "allow_blank": True}
_LONGEST_WHY = 500


class ResourceIn(serializers.Serializer[Any]):
    type = serializers.CharField(max_length=255)
    id = serializers.CharField(max_length=255, **_TEXT)


class CaseRequest(serializers.Serializer[Any]):
    """One call. `agent`, or a `person` alone; people by e-mail address or pseudonymous id."""

    agent = serializers.CharField(**_TEXT)
    person = serializers.CharField(**_TEXT)
    user = serializers.CharField(**_TEXT)
    tool = serializers.CharField()
    parameters = serializers.DictField(required=False)
    resource = ResourceIn(required=False)
    now = serializers.DateTimeField(required=False)


class CaseShape(serializers.Serializer[Any]):
    """What must become of one call."""

    name = serializers.CharField(max_length=MAX_NAME)
    request = CaseRequest()
    effect = serializers.ChoiceField(choices=EFFECTS)


@extend_schema_field(CaseShape(many=True))
class Cases(serializers.JSONField):
    """Cases, read by `authz.cases`, which refuses what it does not know."""


class PolicyOut(serializers.ModelSerializer[Policy]):
    uid = serializers.CharField(read_only=True)
    cases = Cases(read_only=True)
    drafted_by = serializers.SlugRelatedField[Person](slug_field="email", read_only=True)
    proposed_by = serializers.SlugRelatedField[Person](slug_field="email", read_only=True)
    agreed_by = serializers.SlugRelatedField[Person](slug_field="email", read_only=True)
    ended_by = serializers.SlugRelatedField[Person](slug_field="email", read_only=True)

    class Meta:
        model = Policy
        fields = [
            "slug",
            "version",
            "uid",
            "state",
            "description",
            "text",
            "log_only",
            "cases",
            "why",
            "edits",
            "drafted_by",
            "drafted_at",
            "proposed_by",
            "proposed_at",
            "agreed_by",
            "activated_at",
            "ended_by",
            "ended_at",
            "ended_why",
        ]


class PolicyQuery(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=PolicyState.choices, required=False)
    q = serializers.CharField(max_length=100, required=False)


class TextIn(serializers.Serializer[Any]):
    """A policy that is only looked at."""

    text = serializers.CharField(max_length=MAX_TEXT, trim_whitespace=False)
    cases = Cases(required=False)
    slug = serializers.SlugField(max_length=60, required=False, default="new")


class DraftIn(serializers.Serializer[Any]):
    """`seen` is `edits` of the draft that you started from, 0 for none."""

    text = serializers.CharField(max_length=MAX_TEXT, trim_whitespace=False)
    description = serializers.CharField(max_length=300, **_TEXT)
    log_only = serializers.BooleanField(required=False, default=False)
    cases = Cases(required=False)
    why = serializers.CharField(max_length=_LONGEST_WHY, **_TEXT)
    seen = serializers.IntegerField(min_value=0, max_value=2**31 - 1, default=0)


class SeenIn(serializers.Serializer[Any]):
    seen = serializers.IntegerField(min_value=0, max_value=2**31 - 1)


class AnswerIn(serializers.Serializer[Any]):
    answer = serializers.CharField(max_length=_LONGEST_WHY, **_TEXT)


class RejectIn(serializers.Serializer[Any]):
    answer = serializers.CharField(max_length=_LONGEST_WHY)


class WhyIn(serializers.Serializer[Any]):
    why = serializers.CharField(max_length=_LONGEST_WHY, **_TEXT)


class ProblemOut(serializers.Serializer[Any]):
    line = serializers.IntegerField()
    column = serializers.IntegerField()
    message = serializers.CharField()


class ResultOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    passed = serializers.BooleanField()
    wanted = serializers.CharField()
    got = serializers.CharField()
    check = serializers.CharField(help_text="Which check refused; empty for none.")
    code = serializers.CharField()
    said = serializers.CharField()
    policies = serializers.ListField(child=serializers.CharField())
    asked = serializers.BooleanField(help_text="Was the policy check reached?")


class CheckedOut(serializers.Serializer[Any]):
    problems = ProblemOut(many=True)
    results = ResultOut(many=True)


class RoleOut(serializers.ModelSerializer[Role]):
    tools = serializers.SlugRelatedField[Any](slug_field="name", many=True, read_only=True)
    agents = serializers.SlugRelatedField[Any](slug_field="slug", many=True, read_only=True)
    people = serializers.SlugRelatedField[Any](slug_field="email", many=True, read_only=True)

    class Meta:
        model = Role
        fields = ["slug", "description", "tools", "agents", "people"]


class RoleIn(serializers.Serializer[Any]):
    """Sets that are given are the whole wanted sets."""

    description = serializers.CharField(max_length=300, **_TEXT)
    tools = ToolRef(many=True, required=False)
    agents = serializers.SlugRelatedField[Agent](
        slug_field="slug", queryset=Agent.objects.all(), many=True, required=False
    )
    people = serializers.SlugRelatedField[Person](
        slug_field="email", queryset=Person.objects.all(), many=True, required=False
    )


class NewRoleIn(RoleIn):
    slug = serializers.CharField(max_length=60)


class RelationshipShape(serializers.ModelSerializer[Relationship]):
    """`subject` is `relation` of `resource`. People by pseudonymous id."""

    class Meta:
        model = Relationship
        fields = ["id", "resource_type", "resource_id", "relation", "subject_type", "subject_id"]
        read_only_fields = ["id"]
        # Said twice is said once: no error.
        validators: list[Any] = []


class RelationshipQuery(serializers.Serializer[Any]):
    relation = serializers.CharField(max_length=60, required=False)
    q = serializers.CharField(max_length=100, required=False)
