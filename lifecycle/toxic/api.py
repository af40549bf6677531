"""Toxic findings over REST."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from lifecycle.models import ToxicFinding
from lifecycle.models.toxic import FindingScope, FindingState
from lifecycle.toxic import answering, selectors
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
from registry.api.serializers import ReasonIn
from registry.models import Person


class PlaceOut(serializers.Serializer[Any]):
    agent = serializers.CharField(help_text="The agent that gets it there.")
    system = serializers.CharField()
    resource = serializers.CharField(help_text="Empty for the whole system.")
    tools = serializers.ListField(child=serializers.CharField())
    gives = serializers.ListField(
        child=serializers.CharField(), help_text="Categories, and effects as effect:<name>."
    )
    tier = serializers.CharField()


class FindingOut(serializers.ModelSerializer[ToxicFinding]):
    agent = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    owner = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True)
    answered_by = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True)
    places = PlaceOut(many=True)

    class Meta:
        model = ToxicFinding
        fields = [
            *("id", "combination", "scope", "agent", "owner", "agents", "categories", "effects"),
            *("tier", "reason", "only_listed", "connected", "places", "since", "gone_at"),
            *("state", "answer", "answer_reason", "answered_by", "answered_at"),
        ]


class FindingQuery(serializers.Serializer[Any]):
    agent = serializers.CharField(required=False, max_length=60)
    combination = serializers.CharField(required=False, max_length=60)
    scope = serializers.ChoiceField(choices=FindingScope.choices, required=False)
    state = serializers.ChoiceField(choices=FindingState.choices, required=False)


class ToxicFindings(Listed):
    @extend_schema(
        operation_id="toxic_findings_list",
        parameters=[FindingQuery],
        responses={(200, JSON): FindingOut(many=True), **SEARCHING},
    )
    def get(self, request: Request) -> Response:
        """Findings about agents that you may see, newest first."""
        rows, wanted = selectors.findings(person_of(request)), query_of(FindingQuery, request)
        return self.page(request, selectors.narrowed(rows, **wanted), FindingOut)


class OneToxicFinding(APIView):
    @extend_schema(responses={(200, JSON): FindingOut, **READING})
    def get(self, request: Request, pk: int) -> Response:
        """One finding."""
        rows = selectors.findings(person_of(request))
        return Response(FindingOut(get_object_or_404(rows, pk=pk)).data)


def _answered(request: Request, pk: int, act: Callable[..., object]) -> Response:
    given, by = given_in(ReasonIn, request), person_of(request)
    act(finding_id=pk, by=by, **given)
    return _shown(pk, by)


def _shown(pk: int, by: Person) -> Response:
    return Response(FindingOut(get_object_or_404(selectors.findings(by), pk=pk)).data)


class SplitFinding(APIView):
    @extend_schema(request=ReasonIn, responses={(200, JSON): FindingOut, **WRITING})
    def post(self, request: Request, pk: int) -> Response:
        """Open two drafts, each on one side, and propose the junction between them."""
        return _answered(request, pk, answering.split)


class ElevateFinding(APIView):
    @extend_schema(request=ReasonIn, responses={(200, JSON): FindingOut, **WRITING})
    def post(self, request: Request, pk: int) -> Response:
        """Have it reviewed."""
        return _answered(request, pk, answering.elevate)


class AggregateFinding(APIView):
    @extend_schema(request=ReasonIn, responses={(200, JSON): FindingOut, **WRITING})
    def post(self, request: Request, pk: int) -> Response:
        """Have what comes out count as the implied tier from now on."""
        return _answered(request, pk, answering.aggregate)


class LowerFinding(APIView):
    @extend_schema(request=ReasonIn, responses={(200, JSON): FindingOut, **WRITING})
    def post(self, request: Request, pk: int) -> Response:
        """Ask that what comes out no longer counts as more; it waits for security."""
        return _answered(request, pk, answering.ask_to_lower)


class UndoSplit(APIView):
    @extend_schema(request=None, responses={(200, JSON): FindingOut, **WRITING})
    def post(self, request: Request, pk: int) -> Response:
        """Take a split back while nothing of it runs."""
        by = person_of(request)
        answering.undo_split(finding_id=pk, by=by)
        return _shown(pk, by)
