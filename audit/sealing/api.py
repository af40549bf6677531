"""The proof of an entry, and how far the record is sealed, for programs of people."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit import selectors as trail
from audit.anchors.selectors import freshness
from audit.sealing import selectors
from audit.sealing.pages import Reader, proof_answer
from governance.kernel.api import PROBLEM, Problem

PROBLEMS = {
    (401, PROBLEM): OpenApiResponse(Problem, description="Nobody is signed in."),
    (404, PROBLEM): OpenApiResponse(Problem, description="No such entry, or not for you."),
    (409, PROBLEM): OpenApiResponse(Problem, description="It is not sealed yet: `not_sealed`."),
}


class Freshness(serializers.Serializer[selectors.Freshness]):
    """How far the record is sealed, and anchored outside."""

    now = serializers.DateTimeField()
    size = serializers.IntegerField(help_text="How many entries the newest checkpoint covers.")
    sealed_until = serializers.DateTimeField(allow_null=True, help_text="When it was signed.")
    unsealed = serializers.IntegerField(help_text="Counted no further than 10,001.")
    oldest_unsealed_at = serializers.DateTimeField(allow_null=True)
    is_sealing = serializers.BooleanField(help_text="A sealer is connected.")
    anchored_size = serializers.IntegerField(help_text="As many an anchor outside has taken.")
    anchored_at = serializers.DateTimeField(allow_null=True, help_text="When it took them.")


class RecordProof(APIView):
    @extend_schema(
        operation_id="record_proof",
        tags=["record"],
        responses={(200, "text/plain"): OpenApiTypes.STR, **PROBLEMS},
    )
    def get(self, request: Request, pk: UUID) -> HttpResponse:
        """The proof that an entry stands in the log: a C2SP tlog-proof, which stands alone."""
        scope = cast("Reader", request.user).audit_scope()
        return proof_answer(selectors.tlog_proof(trail.get_record(pk, scope=scope)), pk)


class Log(APIView):
    @extend_schema(
        operation_id="log_freshness",
        tags=["record"],
        responses={
            (200, "application/json"): Freshness,
            (401, PROBLEM): OpenApiResponse(Problem, description="Nobody is signed in."),
        },
    )
    def get(self, request: Request) -> Response:
        """How far the record is sealed."""
        return Response(Freshness(freshness()).data)
