"""What the trail finds, for programs of people: streamed, in the forms of the site."""

from __future__ import annotations

from typing import Any, cast

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from audit import selectors
from audit.enums import Kind
from audit.export_forms import FORMS, form_of, take
from audit.forms import TrailForm
from audit.selectors import Count, Reader
from governance.kernel.api import PROBLEM, Problem
from governance.kernel.errors import Invalid

PROBLEMS = {
    (400, PROBLEM): OpenApiResponse(Problem, description="A filter is not right."),
    (401, PROBLEM): OpenApiResponse(Problem, description="Nobody is signed in."),
    (404, PROBLEM): OpenApiResponse(Problem, description="There is no such form."),
    (409, PROBLEM): OpenApiResponse(Problem, description="Form proof, before the first seal."),
    (503, PROBLEM): OpenApiResponse(Problem, description="The search takes too long: narrow it."),
}


class RecordExportQuery(serializers.Serializer[Any]):
    """The filters of the trail, and the form."""

    form = serializers.ChoiceField(choices=list(FORMS), default="jsonl")
    agent = serializers.CharField(required=False, max_length=60)
    user = serializers.CharField(required=False, max_length=60, help_text="Id, e-mail or name.")
    tool = serializers.CharField(required=False, max_length=120)
    resource = serializers.CharField(required=False, max_length=255)
    effect = serializers.ChoiceField(choices=["allow", "deny", "hold"], required=False)
    check = serializers.CharField(required=False, max_length=40)
    code = serializers.CharField(required=False, max_length=80)
    kind = serializers.ChoiceField(choices=Kind.values, required=False)
    session = serializers.CharField(required=False, max_length=200)
    since = serializers.CharField(required=False, help_text="2026-11-01T00:00, in your zone.")
    until = serializers.CharField(required=False, help_text="Not part of the span.")


class RecordExport(APIView):
    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """The form is asked for by name: whoever accepts CSV alone gets what they name as well."""
        return super().perform_content_negotiation(request, force=True)

    @extend_schema(
        operation_id="records_export",
        tags=["record"],
        parameters=[RecordExportQuery],
        responses={
            (200, "application/jsonl"): OpenApiTypes.STR,
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "text/plain"): OpenApiTypes.STR,
            **PROBLEMS,
        },
    )
    def get(self, request: Request) -> HttpResponse:
        """What the filters find and you may see, newest first, streamed.

        `Muster-Entries` says how many entries there are, `10000+` where there are more. The file
        was cut off where the connection does not end in order.
        """
        form = form_of(request.query_params.get("form", "jsonl"))
        asked = TrailForm(request.query_params)
        if not asked.is_valid():
            raise Invalid(
                fields={name: list(map(str, each)) for name, each in asked.errors.items()}
            )
        reader = cast("Reader", request.user)
        count = selectors.count(asked.filters(), scope=reader.audit_scope())
        answer = take(form, asked.filters(), by=reader)
        answer["Muster-Entries"] = told(count)
        return cast(HttpResponse, answer)


def told(count: Count) -> str:
    return f"{count.number}+" if count.capped else str(count.number)
