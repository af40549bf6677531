"""`POST /api/v1/people/events/{source}`: a message of an HR system over REST."""

from __future__ import annotations

from typing import IO, Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.kernel.api import PROBLEM, Problem
from governance.kernel.strict_json import MAX_BYTES
from lifecycle.people import events, receiving
from lifecycle.people.signing import Signed
from registry.api.operations import JSON


class AsItCame(BaseParser):
    """The bytes of the body: they are what was signed."""

    media_type = JSON

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None
    ) -> Any:
        return stream.read(MAX_BYTES + 1)


class PersonOfEventIn(serializers.Serializer[Any]):
    """Whom an event is about. What is left out stays as it is; an empty text clears it."""

    id = serializers.CharField(max_length=255, help_text="The id that your system has for them.")
    name = serializers.CharField(max_length=150, required=False)
    email = serializers.EmailField(max_length=254, required=False)
    department = serializers.CharField(max_length=100, required=False, allow_blank=True)
    manager = serializers.CharField(
        max_length=255,
        required=False,
        allow_blank=True,
        help_text="Their id, or an e-mail address.",
    )
    zone = serializers.CharField(max_length=50, required=False)


class PeopleEventIn(serializers.Serializer[Any]):
    """One event."""

    id = serializers.CharField(max_length=200, required=False)
    type = serializers.ChoiceField(choices=events.TYPES)
    occurred_at = serializers.DateTimeField()
    person = PersonOfEventIn()
    last_day = serializers.DateField(
        required=False, allow_null=True, help_text="Of a leaver. Without it they have left."
    )


class PeopleEventsIn(serializers.Serializer[Any]):
    """A message: up to 500 events. One event may also stand alone, without the list."""

    events = PeopleEventIn(many=True)


class PeopleEventOut(serializers.Serializer[Any]):
    """What came of one event."""

    id = serializers.CharField()
    outcome = serializers.ChoiceField(choices=["taken", "unchanged", "late", "unknown", "refused"])
    code = serializers.CharField()
    message = serializers.CharField()


class PeopleEventsOut(serializers.Serializer[Any]):
    """What came of each event, in their order."""

    events = PeopleEventOut(many=True)


def _header(name: str, said: str) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.STR, OpenApiParameter.HEADER, True, said)


REFUSALS = {
    400: "No message: `bad_json`, `too_large` or `event.invalid`.",
    401: "`webhook.signature` or `webhook.timestamp`.",
    403: "`source.network`: this source may not ask from this address.",
    409: "`webhook.id_used`: the id came before with another body.",
    415: "The body is not application/json.",
    429: "`source.too_many_tries`: too many from this address were not signed.",
}


class PeopleEvents(APIView):
    authentication_classes = []
    permission_classes = []
    parser_classes = [AsItCame]

    @extend_schema(
        operation_id="people_events",
        tags=["people"],
        auth=[],
        parameters=[
            _header("webhook-id", "Names the message; a retry keeps it."),
            _header("webhook-timestamp", "When this attempt was signed, in seconds since 1970."),
            _header(
                "webhook-signature", "`v1,` and the HMAC-SHA-256 in base64; several by spaces."
            ),
        ],
        request=PeopleEventsIn,
        responses={
            (200, JSON): PeopleEventsOut,
            (207, JSON): OpenApiResponse(PeopleEventsOut, description="Some were refused."),
            (422, JSON): OpenApiResponse(PeopleEventsOut, description="All were refused."),
            **{
                (code, PROBLEM): OpenApiResponse(Problem, description=said)
                for code, said in REFUSALS.items()
            },
        },
    )
    def post(self, request: Request, source: str) -> Response:
        """Say that people joined, moved or leave, signed by Standard Webhooks 1.0."""
        body = request.data if isinstance(request.data, bytes) else b""
        headers = request.headers
        signed = Signed(
            headers.get("webhook-id", ""),
            headers.get("webhook-timestamp", ""),
            headers.get("webhook-signature", ""),
        )
        address = str(request.META.get("REMOTE_ADDR", ""))
        received = receiving.receive(slug=source, signed=signed, body=body, address=address)
        return Response(received.body, status=received.status)
