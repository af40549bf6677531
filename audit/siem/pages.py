"""Where the record is sent, how far it is there, and what went wrong: the page and REST."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.selectors import Reader
from audit.siem.errors import StreamsHidden
from audit.siem.selectors import State, standing
from governance.kernel.api import PROBLEM, Problem


def check_can_see_streams(reader: Reader) -> None:
    """Raises `StreamsHidden`."""
    if not reader.audit_scope().everything:
        raise StreamsHidden()


@login_required
@require_GET
def streams(request: HttpRequest) -> HttpResponse:
    """Every stream with its cursor."""
    check_can_see_streams(cast("Reader", request.user))
    found = standing()
    return render(
        request,
        "audit/streams.html",
        {
            "streams": found,
            "late": [each for each in found if each.late],
            "failing": [each for each in found if each.row and each.row.error],
        },
    )


class StreamOut(serializers.Serializer[State]):
    """A stream and its cursor."""

    name = serializers.CharField(source="stream.name")
    kind = serializers.CharField(source="stream.kind")
    format = serializers.CharField(source="stream.format")
    carrier = serializers.CharField(source="stream.carrier")
    where = serializers.CharField(source="stream.where")
    acknowledged = serializers.BooleanField(source="stream.is_acknowledged")
    position = serializers.IntegerField(help_text="The place of the first entry not taken yet.")
    size = serializers.IntegerField(help_text="How many entries are sealed.")
    waiting = serializers.IntegerField()
    behind_seconds = serializers.SerializerMethodField()
    late = serializers.BooleanField()
    sent_at = serializers.DateTimeField(source="row.sent_at", default=None, allow_null=True)
    failures = serializers.IntegerField(source="row.failures", default=0)
    failed_at = serializers.DateTimeField(source="row.failed_at", default=None, allow_null=True)
    error = serializers.CharField(source="row.error", default="", allow_blank=True)
    next_at = serializers.DateTimeField(source="row.next_at", default=None, allow_null=True)

    def get_behind_seconds(self, state: State) -> float | None:
        return state.behind.total_seconds() if state.behind else None


class Streams(APIView):
    @extend_schema(
        operation_id="streams",
        tags=["record"],
        responses={
            (200, "application/json"): StreamOut(many=True),
            (401, PROBLEM): OpenApiResponse(Problem, description="Nobody is signed in."),
            (403, PROBLEM): OpenApiResponse(Problem, description="You may not see every entry."),
        },
    )
    def get(self, request: Request) -> Response:
        """Where the record is sent, and how far it is there."""
        check_can_see_streams(cast("Reader", request.user))
        found: Any = standing()
        return Response(StreamOut(found, many=True).data)
