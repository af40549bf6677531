"""Alerts over REST."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from lifecycle.anomalies import selectors, services
from lifecycle.models import Anomaly
from lifecycle.models.anomalies import AnomalyKind, AnomalyState
from registry.api.operations import (
    JSON,
    READING,
    SEARCHING,
    WRITING,
    Listed,
    given_in,
    person_of,
    query_of,
)


class AnomalyOut(serializers.ModelSerializer[Anomaly]):
    agent = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    answered_by = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True)
    sentence = serializers.SerializerMethodField()

    class Meta:
        model = Anomaly
        fields = [
            *("id", "kind", "agent", "tool", "window", "latest", "hours", "observed"),
            *("expected", "limit", "sentence", "found_at", "state", "answered_by"),
            *("answered_at", "answer", "raised_to", "raised_until"),
        ]

    def get_sentence(self, row: Anomaly) -> str:
        return selectors.sentence_of(row)


class AnomalyQuery(serializers.Serializer[Any]):
    agent = serializers.CharField(required=False, max_length=60, help_text="A part of its slug.")
    kind = serializers.ChoiceField(choices=AnomalyKind.choices, required=False)
    state = serializers.ChoiceField(choices=AnomalyState.choices, required=False)


class AcknowledgeIn(serializers.Serializer[Any]):
    answer = serializers.CharField(max_length=500, required=False, allow_blank=True)


class FalseAlarmIn(serializers.Serializer[Any]):
    answer = serializers.CharField(max_length=500)


class Anomalies(Listed):
    @extend_schema(
        operation_id="anomalies_list",
        parameters=[AnomalyQuery],
        responses={(200, JSON): AnomalyOut(many=True), **SEARCHING},
    )
    def get(self, request: Request) -> Response:
        """Alerts about agents that you may see, newest first."""
        rows, wanted = selectors.alerts(person_of(request)), query_of(AnomalyQuery, request)
        return self.page(request, selectors.narrowed(rows, **wanted), AnomalyOut)


class OneAnomaly(APIView):
    @extend_schema(responses={(200, JSON): AnomalyOut, **READING})
    def get(self, request: Request, pk: int) -> Response:
        """One alert."""
        rows = selectors.alerts(person_of(request))
        return Response(AnomalyOut(get_object_or_404(rows, pk=pk)).data)


class Acknowledge(APIView):
    @extend_schema(request=AcknowledgeIn, responses={(200, JSON): AnomalyOut, **WRITING})
    def post(self, request: Request, pk: int) -> Response:
        """Say that somebody looked."""
        given, by = given_in(AcknowledgeIn, request), person_of(request)
        return Response(AnomalyOut(services.acknowledge(anomaly_id=pk, by=by, **given)).data)


class FalseAlarm(APIView):
    @extend_schema(request=FalseAlarmIn, responses={(200, JSON): AnomalyOut, **WRITING})
    def post(self, request: Request, pk: int) -> Response:
        """Say that it was nothing: it raises the limit for a month. For security."""
        given, by = given_in(FalseAlarmIn, request), person_of(request)
        return Response(AnomalyOut(services.mark_false_alarm(anomaly_id=pk, by=by, **given)).data)
