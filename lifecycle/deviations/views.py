"""Calls outside the identity pattern: as a page, and over REST."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.kernel import clock
from governance.kernel.api import Pages
from governance.words import number_word
from lifecycle.deviations.selectors import CODE, Deviation, deviations_for
from registry.api.operations import JSON, SEARCHING, person_of, query_of
from registry.enums import IdentityPattern
from registry.people import signed_in

PAGE = 50
DAYS = (7, 30, 90)
USUAL = 30


@login_required
@require_GET
def deviations(request: HttpRequest) -> HttpResponse:
    """Which agents call for somebody, or for nobody, otherwise than their row says?"""
    asked = request.GET.get("days", "")
    days = int(asked) if asked in map(str, DAYS) else USUAL
    found = deviations_for(signed_in(request), clock.now() - timedelta(days=days))
    context = {
        "title": _title(found),
        "page": Paginator(found, PAGE).get_page(request.GET.get("page")),
        "days": days,
        "choices": DAYS,
        "code": CODE,
    }
    return render(request, "lifecycle/deviations/deviations.html", context)


def _title(found: Sequence[Deviation]) -> str:
    if not found:
        return "Every call kept to its pattern"
    many = f"{number_word(len(found)).capitalize()} agent{'' if len(found) == 1 else 's'}"
    return f"{many} called outside {'its' if len(found) == 1 else 'their'} pattern"


class DeviationOut(serializers.Serializer[Any]):
    """An agent that called outside the identity pattern of its row."""

    agent = serializers.CharField(source="slug")
    pattern = serializers.ChoiceField(
        source="agent.pattern", choices=IdentityPattern.choices, default=None, allow_null=True
    )
    owner = serializers.EmailField(source="agent.owner.email", default=None, allow_null=True)
    calls = serializers.IntegerField()
    first = serializers.DateTimeField()
    last = serializers.DateTimeField(source="newest.at")
    record = serializers.UUIDField(source="newest.id", help_text="The newest entry.")
    why = serializers.CharField()
    todo = serializers.CharField()


class DeviationQuery(serializers.Serializer[Any]):
    days = serializers.IntegerField(
        required=False, min_value=1, max_value=366, help_text="How far back; 30 without it."
    )


class Deviations(APIView):
    pagination_class = Pages

    @extend_schema(
        operation_id="deviations_list",
        tags=["record"],
        parameters=[DeviationQuery],
        responses={(200, JSON): DeviationOut(many=True), **SEARCHING},
    )
    def get(self, request: Request) -> Response:
        """Agents that called outside their identity pattern, of those whose entries you see."""
        days = query_of(DeviationQuery, request).get("days", USUAL)
        rows: Any = deviations_for(person_of(request), clock.now() - timedelta(days=days))
        pages = Pages()
        shown: list[Any] = pages.paginate_queryset(rows, request, view=self) or []
        return pages.get_paginated_response(DeviationOut(shown, many=True).data)
