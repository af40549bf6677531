"""Registering and going live over REST: the services of the form and of `apply`."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from authz.models import Role
from lifecycle import services as lifecycle
from lifecycle.models.provisioning import ProvisioningRun, RunState, StepState
from lifecycle.provisioning import selectors, services
from lifecycle.templates import services as templates
from registry.api import serializers as register
from registry.api.operations import ACTING, JSON, READING, WRITING, given_in, person_of
from registry.models import Agent, Person

MOST_CHOSEN = 50


class ChoiceField(serializers.Field[Any, Any, Any, Any]):
    """What was chosen for one place of a template: a text, or a list of texts."""

    def to_internal_value(self, data: Any) -> Any:
        """As it is, if it is one of these."""
        texts = data if isinstance(data, list) else [data]
        if len(texts) > MOST_CHOSEN or not all(isinstance(each, str) for each in texts):
            raise serializers.ValidationError("A text, or a list of texts, is wanted here.")
        return data


class RegistrationIn(register.NewAgentIn):
    """An agent as its owner describes it. With a template, `choices` say what fills its places."""

    template = serializers.CharField(max_length=60, required=False)
    choices = serializers.DictField(child=ChoiceField(), required=False)
    tools = serializers.ListField(
        child=serializers.CharField(max_length=255), required=False, max_length=200
    )
    roles = serializers.ListField(
        child=serializers.SlugRelatedField(slug_field="slug", queryset=Role.objects.all()),
        required=False,
        max_length=50,
    )
    attest = serializers.BooleanField(
        default=False, help_text="Go live at once, where the owner's word or a template is enough."
    )


class StepOut(serializers.Serializer[Any]):
    """One step of going live."""

    name = serializers.CharField()
    title = serializers.CharField()
    outside = serializers.BooleanField()
    state = serializers.ChoiceField(choices=StepState.choices)
    attempts = serializers.IntegerField()
    said = serializers.CharField(allow_blank=True)
    error = serializers.CharField(allow_blank=True)
    begun_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    undone_at = serializers.DateTimeField(allow_null=True)


class RunOut(serializers.Serializer[Any]):
    """One going live, with its steps."""

    id = serializers.UUIDField()
    agent = serializers.CharField(source="agent.slug")
    by = serializers.EmailField(source="by.email", default=None, allow_null=True)
    state = serializers.ChoiceField(choices=RunState.choices)
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    failure = serializers.CharField(allow_blank=True)
    steps = StepOut(many=True, source="steps.all")


class RegisteredOut(serializers.Serializer[Any]):
    """A registered agent: where it stands, and how it went live if it did."""

    slug = serializers.CharField()
    state = serializers.CharField()
    template = serializers.CharField(allow_null=True)
    provisioning = RunOut(allow_null=True)


class Registrations(APIView):
    @extend_schema(
        operation_id="agent_register",
        tags=["provisioning"],
        request=RegistrationIn,
        responses={(201, JSON): RegisteredOut, **WRITING},
    )
    def post(self, request: Request) -> Response:
        """Register an agent with its tools and roles, or from a template; live with `attest`."""
        given, by = given_in(RegistrationIn, request), person_of(request)
        with transaction.atomic():
            agent = _register(given, by)
            if given["attest"]:
                templates.attest(agent_id=agent.pk, by=by)
        return Response(_registered(agent), status=status.HTTP_201_CREATED)


def _register(given: dict[str, Any], by: Person) -> Agent:
    parts = ("slug", "name", "owner", "template", "choices", "tools", "roles", "attest")
    facts = {name: value for name, value in given.items() if name not in parts}
    common: dict[str, Any] = {
        "by": by,
        "slug": given["slug"],
        "name": given["name"],
        "owner": given.get("owner"),
        "facts": facts,
    }
    if template := given.get("template"):
        return templates.register_from_template(
            template=template, choices=given.get("choices", {}), **common
        )
    tools = selectors.tools_named(given.get("tools", []))
    return lifecycle.register_agent(tools=tools, roles=given.get("roles", []), **common)


def _registered(agent: Agent) -> Any:
    agent = Agent.objects.select_related("from_template__template").get(pk=agent.pk)
    origin = getattr(agent, "from_template", None)
    return RegisteredOut(
        {
            "slug": agent.slug,
            "state": agent.state,
            "template": origin.template.slug if origin else None,
            "provisioning": selectors.newest_run(agent),
        }
    ).data


class Provisioning(APIView):
    @extend_schema(tags=["provisioning"], responses={(200, JSON): RunOut, **READING})
    def get(self, request: Request, slug: str) -> Response:
        """The newest time that this agent went live, step by step."""
        return Response(RunOut(_run(_agent(request, slug))).data)

    @extend_schema(tags=["provisioning"], request=None, responses={(200, JSON): RunOut, **ACTING})
    def post(self, request: Request, slug: str) -> Response:
        """Provision anew what had to be taken back."""
        agent = _agent(request, slug)
        services.try_again(agent_id=agent.pk, by=person_of(request))
        return Response(RunOut(_run(agent)).data)


def _agent(request: Request, slug: str) -> Agent:
    return get_object_or_404(Agent.objects.visible_to(person_of(request)), slug=slug)


def _run(agent: Agent) -> ProvisioningRun:
    return get_object_or_404(
        ProvisioningRun.objects.select_related("agent", "by").prefetch_related("steps"),
        pk=getattr(selectors.newest_run(agent), "pk", None),
    )
