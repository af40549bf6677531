"""Idle agents over REST."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.kernel import clock
from lifecycle.decommissioning import reading
from lifecycle.decommissioning.api import ORDERED, OrderOut
from lifecycle.idle import selectors, services, words
from lifecycle.models.cases import Case
from registry.api.operations import JSON, READING, WRITING, given_in, person_of
from registry.enums import AgentState
from registry.models import Agent


class IdleToolOut(serializers.Serializer[Any]):
    """A tool that an agent holds, and when it last used it."""

    name = serializers.CharField()
    last_used = serializers.DateTimeField(source="last", allow_null=True)
    unused = serializers.BooleanField()


class IdleCaseOut(serializers.ModelSerializer[Case]):
    """The question to the owner of an idle agent."""

    closed_by = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True)

    class Meta:
        model = Case
        fields = [
            *("id", "state", "opened_at", "due_on", "due_at", "zone", "outcome", "reason"),
            *("closed_at", "closed_by"),
        ]


class IdleOut(serializers.Serializer[Any]):
    """How long nobody has heard of an agent, and what is asked about it."""

    agent = serializers.CharField()
    state = serializers.ChoiceField(choices=AgentState.choices)
    silent_since = serializers.DateTimeField()
    idle_at = serializers.DateTimeField(help_text="When it is, or was, silent for too long.")
    last_decision = serializers.DateTimeField(allow_null=True)
    idle = serializers.BooleanField()
    sentence = serializers.CharField()
    tools = IdleToolOut(many=True)
    case = IdleCaseOut(allow_null=True)
    end_order = OrderOut(allow_null=True, help_text=ORDERED)


class RenewIdleIn(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=500)


class NarrowIdleIn(serializers.Serializer[Any]):
    drop = serializers.ListField(
        child=serializers.CharField(max_length=255), min_length=1, max_length=500
    )
    reason = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")


class EndIdleIn(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")


class Idle(APIView):
    @extend_schema(
        operation_id="agent_idle", tags=["idle"], responses={(200, JSON): IdleOut, **READING}
    )
    def get(self, request: Request, slug: str) -> Response:
        """How long nobody has heard of this agent, what it used, and until when to answer."""
        return _answered(_agent(request, slug))


class RenewIdle(APIView):
    @extend_schema(
        operation_id="agent_idle_renew",
        tags=["idle"],
        request=RenewIdleIn,
        responses={(200, JSON): IdleOut, **WRITING},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Keep an idle agent as it is, with a justification. Its clock begins anew."""
        return _act(request, slug, RenewIdleIn, services.renew_idle)


class NarrowIdle(APIView):
    @extend_schema(
        operation_id="agent_idle_narrow",
        tags=["idle"],
        request=NarrowIdleIn,
        responses={(200, JSON): IdleOut, **WRITING},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Keep an idle agent with fewer tools. Its clock begins anew."""
        return _act(request, slug, NarrowIdleIn, services.narrow_idle)


class EndIdle(APIView):
    @extend_schema(
        operation_id="agent_idle_end",
        tags=["idle"],
        request=EndIdleIn,
        responses={(200, JSON): IdleOut, **WRITING},
    )
    def post(self, request: Request, slug: str) -> Response:
        """End an idle agent: now, or once those who rely on it know (`end_order`)."""
        return _act(request, slug, EndIdleIn, services.end_idle)


def _act(
    request: Request,
    slug: str,
    shape: type[serializers.Serializer[Any]],
    act: Callable[..., object],
) -> Response:
    agent, given = _agent(request, slug), given_in(shape, request)
    act(agent_id=agent.pk, by=person_of(request), **given)
    return _answered(_agent(request, slug))


def _agent(request: Request, slug: str) -> Agent:
    rows = Agent.objects.visible_to(person_of(request)).select_related("owner")
    return get_object_or_404(rows, slug=slug)


def _answered(agent: Agent) -> Response:
    silence = selectors.silence_of(agent)
    case = agent.cases.filter(kind="idle").order_by("-opened_at").first()
    active = agent.state == AgentState.ACTIVE
    return Response(
        IdleOut(
            {
                "agent": agent.slug,
                "state": agent.state,
                "silent_since": silence.since,
                "idle_at": silence.idle_at,
                "last_decision": silence.last,
                "idle": active and silence.is_idle(clock.now()),
                "sentence": f"{agent.slug} {words.silent(silence)}.",
                "tools": selectors.tools_of(agent, silence),
                "case": case,
                "end_order": reading.open_order(agent),
            }
        ).data
    )
