"""Answers to delegations as REST views: each hands its request to `answer` as it came."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from authz.api.session_views import InputShape
from authz.api.views import BEARER, PROBLEMS, REQUEST_ID, Wire
from governance.kernel.api import PROBLEM, Problem
from registry.enums import Tier


class ResultRequest(serializers.Serializer[object]):
    result = serializers.JSONField(help_text="What the sub-agent answers: any JSON value.")
    session = serializers.CharField(required=False, help_text="The run that made it.")
    inputs = InputShape(many=True, required=False)


class ReasonTold(serializers.Serializer[object]):
    code = serializers.CharField()
    pointer = serializers.CharField(allow_blank=True)
    sentence = serializers.CharField()


class ResultTold(serializers.Serializer[object]):
    result_id = serializers.UUIDField()
    delegation_id = serializers.UUIDField()
    accepted = serializers.BooleanField()
    reasons = ReasonTold(many=True)
    digest = serializers.CharField()
    label = serializers.ChoiceField(choices=Tier.choices)  # type: ignore[assignment]
    untrusted = serializers.BooleanField()
    categories = serializers.ListField(child=serializers.CharField())
    at = serializers.DateTimeField()


class ResultsTold(serializers.Serializer[object]):
    results = ResultTold(many=True)


ABOUT_ONE = PROBLEMS | {
    (404, PROBLEM): OpenApiResponse(
        Problem, description="No such delegation, or one of other agents."
    ),
}
REFUSED = ABOUT_ONE | {
    (403, PROBLEM): OpenApiResponse(
        Problem, description="The row is not active, or does not declare its sub-agent any more."
    ),
    (409, PROBLEM): OpenApiResponse(Problem, description="The delegation has ended."),
}


class DelegationResults(Wire):
    """Answers to one delegation."""

    @extend_schema(
        operation_id="delegation_result",
        tags=["delegations"],
        auth=BEARER,
        parameters=[REQUEST_ID],
        request=ResultRequest,
        responses={(200, "application/json"): ResultTold, **REFUSED},
    )
    def post(self, request: Request, pk: UUID) -> HttpResponse:
        """Hand back an answer, as its receiver: taken in, or refused with the reasons."""
        return self.reply(request)

    @extend_schema(
        operation_id="delegation_results",
        tags=["delegations"],
        auth=BEARER,
        parameters=[REQUEST_ID],
        responses={(200, "application/json"): ResultsTold, **ABOUT_ONE},
    )
    def get(self, request: Request, pk: UUID) -> HttpResponse:
        """What became of the answers to it, for either side, newest first."""
        return self.reply(request)
