"""Calls without a decision over REST, and a log that is sent by its token."""

from __future__ import annotations

from typing import IO, Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.kernel import clock
from governance.kernel.api import PROBLEM, Problem
from lifecycle import asking
from lifecycle.bypass import importing, logs, reading, selectors
from lifecycle.bypass.errors import WrongToken
from lifecycle.bypass.forms import STATES
from lifecycle.models import LogImport, SeenCall
from registry.api.operations import JSON, SEARCHING, Listed, person_of, query_of

CSV, JSONL = "text/csv", "application/x-ndjson"


class SeenCallOut(serializers.ModelSerializer[SeenCall]):
    """A call that a log tells of, or a lease, without a decision."""

    agent = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    system = serializers.SerializerMethodField()
    answered_by = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True)
    state = serializers.ChoiceField(choices=STATES)

    class Meta:
        model = SeenCall
        fields = [
            *("id", "agent", "tool", "system", "at", "identity", "action", "resource", "state"),
            *("answered_by", "answered_at", "answer"),
        ]

    def get_system(self, row: SeenCall) -> str:
        return selectors.system_of(row)


class SeenCallQuery(serializers.Serializer[Any]):
    agent = serializers.CharField(required=False, max_length=60, help_text="A part of its slug.")
    tool = serializers.CharField(required=False, max_length=255, help_text="A part of its name.")
    state = serializers.ChoiceField(choices=STATES, required=False)


class SeenCalls(Listed):
    @extend_schema(
        operation_id="calls_without_decision_list",
        tags=["bypass"],
        parameters=[SeenCallQuery],
        responses={(200, JSON): SeenCallOut(many=True), **SEARCHING},
    )
    def get(self, request: Request) -> Response:
        """Calls without a decision, of agents that you may see, newest first."""
        wanted = query_of(SeenCallQuery, request)
        rows = selectors.narrowed(selectors.found(person_of(request)), **wanted)
        return self.page(request, rows, SeenCallOut)


class _File(BaseParser):
    """The file as it came, read no further than a file may be long."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None
    ) -> Any:
        return stream.read(reading.MAX_BYTES + 1)


class CsvFile(_File):
    media_type = CSV


class JsonlFile(_File):
    media_type = JSONL


class WrongLineOut(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    why = serializers.CharField()


class ToolLogOut(serializers.ModelSerializer[LogImport]):
    """What a file came to."""

    counts = serializers.DictField(child=serializers.IntegerField())
    wrong = WrongLineOut(many=True)

    class Meta:
        model = LogImport
        fields = ["id", "digest", "counts", "wrong"]


REFUSALS = {
    400: "`tool_log.unreadable`: it is too large, or no log.",
    401: "`tool_log.token`: the token is not that of the log of this system.",
    415: "The body is neither text/csv nor application/x-ndjson.",
    429: "`source.too_many_tries`: too many tries from this address had no token.",
}


class ToolLogIn(APIView):
    authentication_classes = []
    permission_classes = []
    parser_classes = [CsvFile, JsonlFile]

    @extend_schema(
        operation_id="tool_log_send",
        tags=["bypass"],
        auth=[],
        request={(CSV): OpenApiTypes.BINARY, JSONL: OpenApiTypes.BINARY},
        responses={
            (200, JSON): ToolLogOut,
            **{
                (code, PROBLEM): OpenApiResponse(Problem, description=said)
                for code, said in REFUSALS.items()
            },
        },
    )
    def post(self, request: Request, system: str) -> Response:
        """Send a part of a system's log, by the log's token: what is new of it is taken in."""
        try:
            log = logs.log_by_token(system, request.headers.get("authorization", ""))
        except WrongToken:
            address = str(request.META.get("REMOTE_ADDR", ""))
            asking.note_failure(address, clock.now(), way="tool-log")
            raise
        body = request.data if isinstance(request.data, bytes) else b""
        return Response(ToolLogOut(importing.take_in(log=log, raw=body)).data)
