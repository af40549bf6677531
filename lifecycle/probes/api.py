"""Adversarial tests over REST, with the rights of the agent's page."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from governance.kernel.errors import NotFound
from lifecycle.models.probes import ProbeCause, ProbeEnd, ProbeGate, ProbeRun
from lifecycle.probes import reporting, services
from registry.api.operations import ACTING, JSON, LISTING, READING, Listed, person_of
from registry.enums import Tier
from registry.models import Agent

_ID = OpenApiParameter("pk", UUID, OpenApiParameter.PATH)


class ProbeOut(serializers.Serializer[Any]):
    """One run of a corpus against a row."""

    id = serializers.UUIDField()
    agent = serializers.CharField()
    at = serializers.DateTimeField()
    by = serializers.CharField(allow_null=True, help_text="null where Muster ran it by itself")
    cause = serializers.ChoiceField(choices=ProbeCause.choices)
    live = serializers.CharField(
        allow_blank=True, help_text="host of the running agent, where that was attacked"
    )
    corpus = serializers.CharField()
    corpus_digest = serializers.CharField()
    tier = serializers.ChoiceField(choices=Tier.choices)
    gate = serializers.ChoiceField(choices=ProbeGate.choices)
    passed = serializers.BooleanField(help_text="nothing of it keeps the row from going live")
    blocking = serializers.ListField(child=serializers.CharField())
    ends = serializers.DictField(child=serializers.IntegerField(), help_text="attacks by end")
    calls = serializers.DictField(
        child=serializers.DictField(),
        help_text="attack calls: of consequence or reads, by end, by deciding check",
    )
    milliseconds = serializers.IntegerField()


class AttackOut(serializers.Serializer[Any]):
    """What became of one attack."""

    attack = serializers.CharField()
    title = serializers.CharField()
    owasp = serializers.DictField(child=serializers.ListField(child=serializers.CharField()))
    minor = serializers.BooleanField()
    end = serializers.ChoiceField(choices=ProbeEnd.choices)
    consequential = serializers.BooleanField()
    tool = serializers.CharField(allow_blank=True)
    check = serializers.CharField(allow_blank=True)
    code = serializers.CharField(allow_blank=True)
    why = serializers.CharField(allow_blank=True)
    remedy = serializers.CharField()
    shots = serializers.ListField(child=serializers.DictField())
    steps = serializers.ListField(child=serializers.DictField())


class WholeProbeOut(ProbeOut):
    """A run with every attack."""

    results = AttackOut(many=True)


def _agent(request: Request, slug: str) -> Agent:
    return get_object_or_404(Agent.objects.visible_to(person_of(request)), slug=slug)


def _whole(run: ProbeRun) -> Any:
    return WholeProbeOut(reporting.document(run)).data


class Probes(Listed):
    @extend_schema(
        operation_id="probes_list",
        tags=["probes"],
        responses={(200, JSON): ProbeOut(many=True), **LISTING},
    )
    def get(self, request: Request, slug: str) -> Response:
        """The runs of an agent, newest first, without their attacks."""
        rows = _agent(request, slug).probe_runs.select_related("agent", "by")
        pages = self.pagination_class()
        found = pages.paginate_queryset(rows, request, view=self) or []
        told = [reporting.document(run, results=False) for run in found]
        return pages.get_paginated_response(ProbeOut(told, many=True).data)

    @extend_schema(
        operation_id="probe_run",
        tags=["probes"],
        request=None,
        responses={(201, JSON): WholeProbeOut, **ACTING},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Aim the product's attacks at the row. Nothing is decided and nothing is changed."""
        agent = _agent(request, slug)
        run = services.probe_agent(agent_id=agent.pk, by=person_of(request))
        return Response(_whole(run), status=status.HTTP_201_CREATED)


class OneProbe(Listed):
    @extend_schema(
        operation_id="probe",
        tags=["probes"],
        parameters=[_ID],
        responses={(200, JSON): WholeProbeOut, **READING},
    )
    def get(self, request: Request, slug: str, pk: str) -> Response:
        """One run with every attack."""
        rows = _agent(request, slug).probe_runs.select_related("agent", "by")
        return Response(_whole(get_object_or_404(rows, pk=_id(pk))))


def _id(text: str) -> UUID:
    """Anything may stand in an address; what is no id names no run."""
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound("There is no such run.") from error
