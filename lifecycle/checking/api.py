"""The check over REST, with the rights of the agent's page."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from lifecycle.checking.report import check_agent, document
from registry.api.authentication import CommandLine, PersonSession
from registry.api.operations import JSON, READING, person_of
from registry.enums import AgentState, Tier
from registry.identity.rest import AgentToken, TokenBearer
from registry.models import Agent


class AgentCheckFindingOut(serializers.Serializer[Any]):
    """One thing that was found."""

    code = serializers.CharField()
    sentence = serializers.CharField()
    fails = serializers.BooleanField()


class AgentCheckOut(serializers.Serializer[Any]):
    """Whether an agent is in order, and what is not."""

    agent = serializers.CharField()
    state = serializers.ChoiceField(choices=AgentState.choices)
    tier = serializers.ChoiceField(choices=Tier.choices)
    at = serializers.DateTimeField()
    passed = serializers.BooleanField()
    findings = AgentCheckFindingOut(many=True)


class Check(APIView):
    authentication_classes = (AgentToken, PersonSession, CommandLine)

    @extend_schema(
        operation_id="agent_check",
        tags=["provisioning"],
        responses={(200, JSON): AgentCheckOut, **READING},
    )
    def get(self, request: Request, slug: str) -> Response:
        """Whether the agent is in order now. An agent's own token is enough. Nothing is changed."""
        agent = get_object_or_404(_seen_by(request), slug=slug)
        return Response(AgentCheckOut(document(check_agent(agent.pk))).data)


def _seen_by(request: Request) -> QuerySet[Agent]:
    """Agents that a person sees; of an agent's own token, that agent alone."""
    if isinstance(request.user, TokenBearer):
        return Agent.objects.filter(pk=request.user.agent.pk if request.user.agent else None)
    return Agent.objects.visible_to(person_of(request))
