"""`POST /api/v1/discoveries`: what was found in a repository or a folder."""

from __future__ import annotations

import json
from typing import IO, Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.redactor import find_secret
from authz import strangers
from authz.asks import caller_of
from governance.kernel import strict_json
from governance.kernel.api import PROBLEM, Problem
from governance.kernel.errors import Invalid, NotSignedIn
from lifecycle.discoveries import services
from registry.api.operations import JSON
from registry.identity import tokens
from registry.validators import plain_text

KINDS = ("agent", "mcp", "framework", "key")
MOST = 100
MOST_DETAIL = 8192


class HoldsASecret(Invalid):
    """A finding holds a credential. Report its kind and a digest, never the value."""

    code = "discovery.secret"


class AsItCame(BaseParser):
    """The bytes of the body, read no further than they may be long."""

    media_type = JSON

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None
    ) -> Any:
        return stream.read(strict_json.MAX_BYTES + 1)


class FindingIn(serializers.Serializer[Any]):
    """One thing that was found."""

    fingerprint = serializers.RegexField(
        r"\A[0-9a-f]{64}\Z", help_text="SHA-256 over where it is and what it is."
    )
    kind = serializers.ChoiceField(choices=KINDS)
    name = serializers.CharField(max_length=120, validators=[plain_text])
    path = serializers.CharField(max_length=500, validators=[plain_text])
    detail = serializers.DictField(required=False, default=dict)

    def validate_detail(self, value: dict[str, Any]) -> dict[str, Any]:
        if len(json.dumps(value)) > MOST_DETAIL:
            raise serializers.ValidationError(f"At most {MOST_DETAIL} characters.")
        return value


class DiscoveriesIn(serializers.Serializer[Any]):
    """What was found in one place."""

    # A serializer has a field of this name of its own.
    source = serializers.CharField(max_length=200, validators=[plain_text])  # type: ignore[assignment]
    findings = serializers.ListField(child=FindingIn(), max_length=MOST)


class DiscoveriesOut(serializers.Serializer[Any]):
    new = serializers.IntegerField(help_text="Listed as unregistered callers now.")
    known = serializers.IntegerField(help_text="Were told before.")


REFUSALS = {
    400: "The input is not right, or `discovery.secret`: a finding holds a credential.",
    401: "The access token is missing, over or not good.",
    415: "The body is not application/json.",
}


class Discoveries(APIView):
    authentication_classes = []
    permission_classes = []
    parser_classes = [AsItCame]

    @extend_schema(
        operation_id="discoveries_report",
        tags=["discoveries"],
        auth=[{"token": []}],  # type: ignore[list-item]  # a requirement of its own
        request=DiscoveriesIn,
        responses={
            (200, JSON): DiscoveriesOut,
            **{
                (code, PROBLEM): OpenApiResponse(Problem, description=said)
                for code, said in REFUSALS.items()
            },
        },
    )
    def post(self, request: Request) -> Response:
        """Report what was found, with the access token of an agent or a gateway."""
        try:
            token = tokens.authenticate(request.headers.get("authorization", ""))
        except NotSignedIn:
            strangers.note_unauthenticated(str(request.META.get("REMOTE_ADDR", "")))
            raise
        body = request.data if isinstance(request.data, bytes) else b""
        given = DiscoveriesIn(data=strict_json.loads(body))
        given.is_valid(raise_exception=True)
        told = dict(given.validated_data)
        if find_secret({"source": told["source"], "findings": told["findings"]}):
            raise HoldsASecret()
        taken = services.take_findings(caller=caller_of(token), **told)
        return Response({"new": taken.new, "known": taken.known})
