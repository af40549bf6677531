"""What is due, over REST."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.kernel import clock
from governance.kernel.api import Pages
from lifecycle.due import selectors
from lifecycle.due.selectors import WITHIN, Wanted
from registry.api.operations import JSON, SEARCHING, person_of, query_of
from registry.enums import Tier


class DueOut(serializers.Serializer[Any]):
    """One thing that is due, and what follows when nobody acts."""

    kind = serializers.CharField(source="due.kind")
    what = serializers.CharField(source="due.what")
    at = serializers.DateTimeField(source="due.at")
    late = serializers.BooleanField()
    agent = serializers.CharField(source="due.agent", allow_blank=True)
    tier = serializers.CharField(allow_blank=True)
    owner = serializers.EmailField(source="owner.email", default=None, allow_null=True)
    place = serializers.CharField(source="due.place")
    then = serializers.CharField(source="due.then", allow_blank=True)


class DueQuery(serializers.Serializer[Any]):
    owner = serializers.CharField(
        required=False, max_length=100, help_text="A part of the name or address."
    )
    agent = serializers.CharField(required=False, max_length=60, help_text="A part of its slug.")
    tier = serializers.ChoiceField(choices=Tier.choices, required=False)
    kind = serializers.CharField(required=False, max_length=20)
    within = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=max(WITHIN),
        help_text="Days ahead, 0 for what is overdue; 30 if not said.",
    )
    sort = serializers.ChoiceField(
        choices=[
            f"{sign}{name}"
            for name in ("at", "agent", "owner", "tier", "kind")
            for sign in ("", "-")
        ],
        required=False,
    )


class WhatIsDue(APIView):
    @extend_schema(
        operation_id="due_list",
        tags=["due"],
        parameters=[DueQuery],
        responses={(200, JSON): DueOut(many=True), **SEARCHING},
    )
    def get(self, request: Request) -> Response:
        """What is due of the agents that you see: overdue first, then as it comes."""
        wanted = Wanted(**query_of(DueQuery, request))
        rows: Any = selectors.due_for(person_of(request), wanted, clock.now())
        pages = Pages()
        found: list[Any] = pages.paginate_queryset(rows, request, view=self) or []
        return pages.get_paginated_response(DueOut(selectors.with_tiers(found), many=True).data)

    pagination_class = Pages
