"""The check over REST, with the rights of the agent's page."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from lifecycle.checking.report import check_agent, document
from registry.api.operations import JSON, READING, person_of
from registry.enums import AgentState, Tier
from registry.models import Agent


class FindingOut(serializers.Serializer[Any]):
    """One thing that was found."""

    code = serializers.CharField()
    sentence = serializers.CharField()
    fails = serializers.BooleanField()


class CheckedOut(serializers.Serializer[Any]):
    """Whether an agent is in order, and what is not."""

    agent = serializers.CharField()
    state = serializers.ChoiceField(choices=AgentState.choices)
    tier = serializers.ChoiceField(choices=Tier.choices)
    at = serializers.DateTimeField()
    passed = serializers.BooleanField()
    findings = FindingOut(many=True)


class Check(APIView):
    @extend_schema(
        operation_id="agent_check",
        tags=["provisioning"],
        responses={(200, JSON): CheckedOut, **READING},
    )
    def get(self, request: Request, slug: str) -> Response:
        """Whether the agent is in order now. Nothing is changed."""
        agent = get_object_or_404(Agent.objects.visible_to(person_of(request)), slug=slug)
        return Response(CheckedOut(document(check_agent(agent.pk))).data)
