"""Templates over REST: list them, propose one, start from one, ask what would follow."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from lifecycle.models import Template
from lifecycle.models.templates import TemplateState
from lifecycle.templates import judging, selectors, services
from lifecycle.verdict import LiveVerdict
from registry.api.operations import (
    ACTING,
    JSON,
    READING,
    SEARCHING,
    WRITING,
    Listed,
    given_in,
    person_of,
    query_of,
)
from registry.api.serializers import AgentOut
from registry.enums import Tier
from registry.models import Agent, Person
from registry.reach import PREFETCH


class TemplateOut(serializers.ModelSerializer[Template]):
    proposed_by = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True)
    agreed_by = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True)
    content = serializers.DictField(help_text="See the reference of templates.")

    class Meta:
        model = Template
        fields = [
            *("slug", "version", "uid", "name", "summary", "content", "approved_tier", "why"),
            *("state", "planted", "proposed_by", "agreed_by", "created_at", "activated_at"),
            "ended_at",
        ]


class TemplateQuery(serializers.Serializer[Any]):
    state = serializers.ChoiceField(
        choices=TemplateState.choices, required=False, default=TemplateState.ACTIVE
    )


class TemplateIn(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100)
    summary = serializers.CharField(max_length=200)
    content = serializers.DictField()
    approved_tier = serializers.ChoiceField(choices=Tier.choices)
    why = serializers.CharField(max_length=500, required=False, allow_blank=True)


class NewTemplateIn(TemplateIn):
    slug = serializers.CharField(max_length=60)


class ChoicesIn(serializers.Serializer[Any]):
    choices = serializers.DictField(
        help_text="By slot, the names of tools; by slot and _to, where its tool writes."
    )

    def validate_choices(self, value: dict[str, Any]) -> dict[str, Any]:
        for name, chosen in value.items():
            if not judging.is_choice(chosen):
                raise serializers.ValidationError(
                    f"{name[:60]} takes a list of names of tools, or one text."
                )
        return value


class FromTemplateIn(ChoicesIn):
    slug = serializers.CharField(max_length=60)
    purpose = serializers.CharField(max_length=2_000, required=False)
    rate_per_minute = serializers.IntegerField(min_value=1, max_value=2**31 - 1, required=False)
    rate_per_hour = serializers.IntegerField(min_value=1, max_value=2**31 - 1, required=False)
    spend_cap_minor = serializers.IntegerField(min_value=0, max_value=2**53 - 1, required=False)


class SignerOut(serializers.Serializer[Any]):
    role = serializers.CharField()
    names = serializers.CharField(allow_blank=True)
    by = serializers.DateField(allow_null=True)
    why = serializers.CharField(allow_blank=True)


class CombinedOut(serializers.Serializer[Any]):
    title = serializers.CharField()
    tier = serializers.ChoiceField(choices=Tier.choices)
    reason = serializers.CharField()
    agents = serializers.ListField(
        child=serializers.CharField(), help_text="Of the owner's agents, those that complete it."
    )
    blocks = serializers.BooleanField(help_text="Whether it asks for an answer.")
    signed = serializers.BooleanField(help_text="Whether it adds signatures.")


class VerdictOut(serializers.Serializer[Any]):
    title = serializers.CharField()
    why = serializers.CharField()
    alone = serializers.BooleanField(help_text="Whether it is live on its owner's word.")
    tier = serializers.ChoiceField(choices=Tier.choices)
    signers = SignerOut(many=True)
    combinations = CombinedOut(many=True)
    ungranted = serializers.ListField(child=serializers.CharField())
    review_due = serializers.DateField()
    renewal_due = serializers.DateField()
    wrong = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        help_text="By choice, what does not fit the template, and what to do.",
    )


class Templates(Listed):
    @extend_schema(
        operation_id="templates_list",
        parameters=[TemplateQuery],
        responses={(200, JSON): TemplateOut(many=True), **SEARCHING},
    )
    def get(self, request: Request) -> Response:
        """Templates, those in force unless another state is asked for."""
        person_of(request)
        state = query_of(TemplateQuery, request)["state"]
        rows: QuerySet[Template] = selectors.for_list().filter(state=state)
        return self.page(request, rows, TemplateOut)

    @extend_schema(request=NewTemplateIn, responses={(201, JSON): TemplateOut, **WRITING})
    def post(self, request: Request) -> Response:
        """Propose a version. It is in force when a second person agrees to the change."""
        made = services.propose_template(by=person_of(request), **given_in(NewTemplateIn, request))
        return Response(TemplateOut(made).data, status=status.HTTP_201_CREATED)


class OneTemplate(APIView):
    @extend_schema(responses={(200, JSON): TemplateOut, **READING})
    def get(self, request: Request, slug: str) -> Response:
        """The version in force."""
        person_of(request)
        found = get_object_or_404(selectors.in_force(), slug=slug)
        return Response(TemplateOut(found).data)


class Retire(APIView):
    @extend_schema(request=None, responses={(200, JSON): TemplateOut, **ACTING})
    def post(self, request: Request, slug: str) -> Response:
        """Take a template out of force, at once. Its agents live on."""
        return Response(
            TemplateOut(services.retire_template(slug=slug, by=person_of(request))).data
        )


class Register(APIView):
    @extend_schema(request=FromTemplateIn, responses={(201, JSON): AgentOut, **WRITING})
    def post(self, request: Request, slug: str) -> Response:
        """Draft an agent of one's own from a template. Attest it to have it live."""
        given, by = given_in(FromTemplateIn, request), person_of(request)
        made = services.register_from_template(
            by=by,
            slug=given.pop("slug"),
            template=slug,
            choices=given.pop("choices"),
            facts=given,
        )
        rows = Agent.objects.select_related("owner", "backup_owner", "model_provider")
        agent = rows.prefetch_related(*PREFETCH).get(pk=made.pk)
        return Response(AgentOut(agent).data, status=status.HTTP_201_CREATED)


class Verdict(APIView):
    @extend_schema(request=ChoicesIn, responses={(200, JSON): VerdictOut, **WRITING})
    def post(self, request: Request, slug: str) -> Response:
        """What would follow from these choices: tier, who signs and by when. Changes nothing."""
        given, by = given_in(ChoicesIn, request), person_of(request)
        return Response(_told(slug, given["choices"], by))


def _told(slug: str, choices: dict[str, Any], by: Person) -> dict[str, Any]:
    template = selectors.one_in_force(slug)
    plan = selectors.planned(template, choices, by)
    said: LiveVerdict
    said, _ = judging.verdict_of_plan(template, plan, owner=by, today=timezone.localdate())
    return dict(VerdictOut({**asdict(said), "wrong": plan.wrong}).data)
