"""The end of an agent over REST: the services of the page."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.kernel.errors import NotFound
from lifecycle.decommissioning import printing, reading, selectors, services
from lifecycle.decommissioning.errors import NotEnded
from lifecycle.decommissioning.plan import plan_of
from lifecycle.models import EndOrder
from lifecycle.models.decommissioning import EndState, EndStepState
from registry import permissions
from registry.api.operations import ACTING, JSON, READING, WRITING, given_in, person_of
from registry.models import Agent

TAGS = ["decommissioning"]


class EndIn(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=services.MOST)


class ClientGoneIn(serializers.Serializer[Any]):
    provider = serializers.CharField(max_length=40)
    reason = serializers.CharField(max_length=services.MOST, help_text="Who deleted it, and when.")


class OrderOut(serializers.Serializer[Any]):
    """Somebody's wish to end an agent that others rely on."""

    by = serializers.CharField(source="by.pid")
    reason = serializers.CharField()
    at = serializers.DateTimeField()
    begins_at = serializers.DateTimeField()
    begins_on = serializers.DateField()
    state = serializers.CharField()


ORDERED = "Where its end is ordered: who must know first still has so long."


@extend_schema_field(OrderOut(allow_null=True))
class EndOrderOf(serializers.Field[Any, Any, Any, Any]):
    """The order that waits to end the agent of a row; null without one."""

    def __init__(self, **given: Any) -> None:
        super().__init__(source="agent", read_only=True, help_text=ORDERED, **given)

    def to_representation(self, value: Agent) -> Any:
        order = reading.open_order(value)
        return OrderOut(order).data if order else None


class EndDependentOut(serializers.Serializer[Any]):
    """Who relies on an agent, and whether they have said that they know."""

    name = serializers.CharField()
    is_agent = serializers.BooleanField()
    speaks = serializers.CharField(source="speaks.pid")
    acknowledged_by = serializers.CharField(
        source="acknowledged.by.pid", default=None, allow_null=True
    )
    acknowledged_at = serializers.DateTimeField(
        source="acknowledged.at", default=None, allow_null=True
    )
    waited_for = serializers.BooleanField()


class EndHeldOut(serializers.Serializer[Any]):
    """One thing that it holds, and whether Muster ends all of it."""

    what = serializers.CharField()
    where = serializers.CharField()
    by_muster = serializers.BooleanField()
    how = serializers.CharField()


class EndPartOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    title = serializers.CharField()
    held = EndHeldOut(many=True)


class EndPlanOut(serializers.Serializer[Any]):
    """What would end with an agent, and who must know first."""

    agent = serializers.CharField(source="agent.slug")
    tier = serializers.CharField()
    dependents = EndDependentOut(many=True)
    waits_until = serializers.DateTimeField(
        allow_null=True, help_text="When it ends without a word of those who rely on it."
    )
    destroyed_on = serializers.DateField(help_text="When what was revoked is destroyed for good.")
    order = OrderOut(allow_null=True)
    parts = EndPartOut(many=True)


class EndStepOut(serializers.Serializer[Any]):
    """One step of an end."""

    name = serializers.CharField()
    title = serializers.CharField()
    state = serializers.ChoiceField(choices=EndStepState.choices)
    attempts = serializers.IntegerField()
    said = serializers.CharField(allow_blank=True)
    left = serializers.ListField(child=serializers.CharField())
    error = serializers.CharField(allow_blank=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    record = serializers.UUIDField(allow_null=True)


class EndCertificateOut(serializers.Serializer[Any]):
    edition = serializers.IntegerField()
    issued_at = serializers.DateTimeField()
    digest = serializers.CharField(help_text="SHA-256 of the JSON file.")
    record = serializers.UUIDField()


class EndOut(serializers.Serializer[Any]):
    """How far the end of an agent is."""

    agent = serializers.CharField()
    agent_state = serializers.CharField()
    order = OrderOut(allow_null=True)
    state = serializers.ChoiceField(choices=EndState.choices, allow_null=True)
    by = serializers.CharField(allow_null=True, help_text="As the record names them.")
    reason = serializers.CharField(allow_blank=True)
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    destroy_at = serializers.DateTimeField(allow_null=True)
    settled_at = serializers.DateTimeField(allow_null=True)
    steps = EndStepOut(many=True)
    left = serializers.ListField(child=serializers.CharField())
    certificates = EndCertificateOut(many=True)


class Decommissioning(APIView):
    @extend_schema(
        operation_id="agent_end_status", tags=TAGS, responses={(200, JSON): EndOut, **READING}
    )
    def get(self, request: Request, slug: str) -> Response:
        """How far the end of this agent is, step by step, and what is left of it."""
        return Response(_told(_agent(request, slug)))

    @extend_schema(
        operation_id="agent_end",
        tags=TAGS,
        request=EndIn,
        responses={(200, JSON): EndOut, (202, JSON): EndOut, **WRITING},
    )
    def post(self, request: Request, slug: str) -> Response:
        """End it: 200 where it gets nothing from now on, 202 where those who rely on it are told
        first."""
        given = given_in(EndIn, request)
        agent = _agent(request, slug)
        made = services.end(agent_id=agent.pk, by=person_of(request), **given)
        waits = isinstance(made, EndOrder)
        code = status.HTTP_202_ACCEPTED if waits else status.HTTP_200_OK
        return Response(_told(_agent(request, slug)), status=code)

    @extend_schema(
        operation_id="agent_end_withdraw", tags=TAGS, responses={(200, JSON): EndOut, **ACTING}
    )
    def delete(self, request: Request, slug: str) -> Response:
        """Take back an order that has not begun."""
        agent = _agent(request, slug)
        services.withdraw(agent_id=agent.pk, by=person_of(request))
        return Response(_told(agent))


class DecommissioningPlan(APIView):
    @extend_schema(
        operation_id="agent_end_plan", tags=TAGS, responses={(200, JSON): EndPlanOut, **READING}
    )
    def get(self, request: Request, slug: str) -> Response:
        """What would end with it, where it lies, and who must know first. Nothing happens."""
        agent = _agent(request, slug)
        return Response(EndPlanOut(plan_of(agent, person_of(request))).data)


class DecommissioningWord(APIView):
    @extend_schema(
        operation_id="agent_end_acknowledge",
        tags=TAGS,
        request=None,
        responses={(200, JSON): EndDependentOut(many=True), **ACTING},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Say that you know that it ends: for yourself, and for your agents that rely on it."""
        person = person_of(request)
        agent = selectors.agent_for(person, slug)
        if agent is None:
            raise NotFound()
        services.acknowledge(agent_id=agent.pk, by=person)
        known = [each for each in reading.dependents_of(agent) if each.acknowledged]
        mine = [each for each in known if each.acknowledged and each.acknowledged.by == person]
        return Response(EndDependentOut(mine, many=True).data)


class DecommissioningAgain(APIView):
    @extend_schema(
        operation_id="agent_end_try_again",
        tags=TAGS,
        request=None,
        responses={(200, JSON): EndOut, **ACTING},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Have what is not ended yet tried now, before its time."""
        agent = _agent(request, slug)
        services.try_again(agent_id=agent.pk, by=person_of(request))
        return Response(_told(agent))


class DecommissioningClient(APIView):
    @extend_schema(
        operation_id="agent_end_client_gone",
        tags=TAGS,
        request=ClientGoneIn,
        responses={(200, JSON): EndOut, **ACTING},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Say that its client at an identity provider is gone there, though it does not answer."""
        given, agent = given_in(ClientGoneIn, request), _agent(request, slug)
        services.confirm_client(agent_id=agent.pk, by=person_of(request), **given)
        return Response(_told(agent))


EDITION = OpenApiParameter(
    "edition", OpenApiTypes.INT, description="Which edition; without it the newest."
)


class DecommissioningCertificate(APIView):
    @extend_schema(
        operation_id="agent_end_certificate",
        tags=TAGS,
        parameters=[EDITION],
        responses={(200, JSON): OpenApiTypes.OBJECT, **READING},
    )
    def get(self, request: Request, slug: str) -> HttpResponse:
        """The certificate as it was issued: its SHA-256 stands on the record."""
        found = selectors.certificate_of(_agent(request, slug), _edition(request))
        return HttpResponse(bytes(found.document), content_type=JSON)


class DecommissioningPaper(APIView):
    @extend_schema(
        operation_id="agent_end_certificate_pdf",
        tags=TAGS,
        parameters=[EDITION],
        responses={(200, "application/pdf"): OpenApiTypes.BINARY, **READING},
    )
    def get(self, request: Request, slug: str) -> HttpResponse:
        """The same on paper. It bears the digest of the JSON."""
        found = selectors.certificate_of(_agent(request, slug), _edition(request))
        return HttpResponse(printing.pdf_of(found), content_type="application/pdf")


def _edition(request: Request) -> int | None:
    asked = request.query_params.get("edition", "")
    if not asked:
        return None
    if not (asked.isascii() and asked.isdecimal() and len(asked) < 5 and int(asked)):
        raise NotEnded("There is no such edition.")
    return int(asked)


def _agent(request: Request, slug: str) -> Agent:
    person = person_of(request)
    found = selectors.agent_for(person, slug)
    if found is None or not selectors.sees(person, found):
        raise NotFound()
    permissions.check_may_act(person)
    return found


def _told(agent: Agent) -> Any:
    agent = Agent.objects.get(pk=agent.pk)
    run = reading.run_of(agent)
    names = ("state", "started_at", "ended_at", "destroy_at", "settled_at")
    return EndOut(
        {
            "agent": agent.slug,
            "agent_state": agent.state,
            "order": reading.open_order(agent),
            "by": run.actor if run else None,
            "reason": run.reason if run else "",
            **{name: getattr(run, name, None) for name in names},
            "steps": list(run.steps.all()) if run else [],
            "left": reading.left_of(run) if run else [],
            "certificates": list(run.certificates.all()) if run else [],
        }
    ).data
