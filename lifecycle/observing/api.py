"""Observe mode over REST."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry import services
from registry.api.operations import ACTING, JSON, READING, WRITING, given_in, person_of
from registry.api.serializers import ProposedOut
from registry.models import Agent
from registry.models.agents import MOST_OBSERVED


class ObserveIn(serializers.Serializer[Any]):
    days = serializers.IntegerField(min_value=1, max_value=MOST_OBSERVED.days)
    reason = serializers.CharField(max_length=500)


class ObservedOut(serializers.Serializer[Any]):
    """Whether an agent is observed, by whose word, and until when."""

    agent = serializers.CharField(source="slug")
    observed = serializers.BooleanField(source="is_observed")
    until = serializers.DateTimeField(source="observe_until", allow_null=True)
    proposed_by = serializers.EmailField(source="observe_by.email", default=None, allow_null=True)
    agreed_by = serializers.EmailField(
        source="observe_agreed_by.email", default=None, allow_null=True
    )
    agreed_at = serializers.DateTimeField(source="observe_agreed_at", allow_null=True)


class Observe(APIView):
    @extend_schema(tags=["provisioning"], responses={(200, JSON): ObservedOut, **READING})
    def get(self, request: Request, slug: str) -> Response:
        """Whether calls of this agent go on that would be refused."""
        return Response(ObservedOut(_agent(request, slug)).data)

    @extend_schema(
        tags=["provisioning"],
        request=ObserveIn,
        responses={(202, JSON): ProposedOut, **WRITING},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Ask that an active agent be observed. It begins when security agrees."""
        given = given_in(ObserveIn, request)
        change = services.propose_observation(
            agent_id=_agent(request, slug).pk, by=person_of(request), **given
        )
        return Response(ProposedOut(change).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(tags=["provisioning"], responses={(200, JSON): ObservedOut, **ACTING})
    def delete(self, request: Request, slug: str) -> Response:
        """End it at once; one person is enough."""
        agent = services.end_observation(agent_id=_agent(request, slug).pk, by=person_of(request))
        return Response(ObservedOut(agent).data)


def _agent(request: Request, slug: str) -> Agent:
    visible = Agent.objects.visible_to(person_of(request))
    return get_object_or_404(visible.select_related("observe_by", "observe_agreed_by"), slug=slug)
