"""What is left of an agent's limits, over REST: for people, and for the agent itself."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from authz import outcomes, permissions, remaining, timekeeper
from authz.api.views import BEARER
from authz.asks import caller_of
from governance.kernel.errors import NotAllowed
from registry.api.authentication import CommandLine, PersonSession
from registry.api.operations import JSON, READING, person_of
from registry.devices import tokens as command_line
from registry.identity import tokens
from registry.models import Agent

_EITHER: Any = [*BEARER, {"session": []}]


class LimitOut(serializers.Serializer[Any]):
    """One limit. `unit` is calls, records, or minor units of `currency`."""

    scope = serializers.ChoiceField(choices=["agent", "tool", "system"])
    tool = serializers.CharField(allow_blank=True)
    system = serializers.CharField(allow_blank=True)
    window = serializers.ChoiceField(choices=["minute", "hour", "day", "month"])
    unit = serializers.ChoiceField(choices=["calls", "records", "minor"])
    currency = serializers.CharField(allow_blank=True)
    limit = serializers.IntegerField()
    used = serializers.IntegerField()
    reserved = serializers.IntegerField()
    remaining = serializers.IntegerField()


class LimitsOut(serializers.Serializer[Any]):
    agent = serializers.CharField()
    limits = LimitOut(many=True)


class AgentLimits(APIView):
    """The limits of one agent."""

    permission_classes = ()

    def get_authenticators(self) -> list[BaseAuthentication]:
        """An agent shows its token; who shows none is a person of the site."""
        given = self.request.META.get("HTTP_AUTHORIZATION", "") if self.request else ""
        agents = bool(given) and not command_line.is_given(given)
        return [] if agents else [PersonSession(), CommandLine()]

    @extend_schema(
        operation_id="agent_limits",
        responses={(200, JSON): LimitsOut, **READING},
        tags=["agents"],
        auth=_EITHER,
    )
    def get(self, request: Request, slug: str) -> Response:
        """What of each limit is used: told to its owners, security, auditors, and itself."""
        agent = _of_its_own(request, slug) or _of_a_person(request, slug)
        standing = remaining.standing_of(agent, timekeeper.now())
        return Response({"agent": agent.slug, "limits": [_shown(one) for one in standing]})


def _of_its_own(request: Request, slug: str) -> Agent | None:
    header = request.META.get("HTTP_AUTHORIZATION", "")
    if not header or command_line.is_given(header):
        return None
    token = tokens.authenticate(header)
    outcomes.check_token(caller_of(token))
    if (token.kind, token.slug) != ("agent", slug):
        raise NotAllowed("This token speaks for another. An agent reads its own limits alone.")
    return get_object_or_404(Agent, slug=slug)


def _of_a_person(request: Request, slug: str) -> Agent:
    person = person_of(request)
    agent = get_object_or_404(Agent.objects.visible_to(person).select_related("owner"), slug=slug)
    permissions.check_can_see_limits(agent, person)
    return agent


def _shown(one: remaining.Standing) -> dict[str, Any]:
    limit = one.limit
    return {
        "scope": limit.scope,
        "tool": one.tool,
        "system": one.system,
        "window": limit.window,
        "unit": limit.unit,
        "currency": limit.currency,
        "limit": limit.most,
        "used": one.used,
        "reserved": one.reserved,
        "remaining": max(limit.most - one.used, 0),
    }
