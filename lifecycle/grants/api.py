"""Grants over REST: read, and ended. One is given by the person's own consent alone."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from authz import timekeeper
from authz.models import Grant
from authz.services import grants as services
from lifecycle.grants import rules, selectors
from lifecycle.grants.forms import LIVE, OVER
from registry.api.operations import ACTING, JSON, SEARCHING, Listed, person_of, query_of

STATES = ((LIVE, "live"), (OVER, "ended"))


class UserGrantOut(serializers.ModelSerializer[Grant]):
    """A person's word that an agent may act for them."""

    agent = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    person = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True)
    ended_by = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True)
    tools = serializers.JSONField(
        help_text="Tool names, each with the JSON Schema that its parameters must meet besides."
    )
    live = serializers.SerializerMethodField(help_text="Whether the agent may act on it now.")

    class Meta:
        model = Grant
        fields = [
            *("id", "agent", "person", "tools", "way", "given_at", "until", "live"),
            *("ended_at", "end_cause", "ended_by"),
        ]

    def get_live(self, row: Grant) -> bool:
        return rules.is_live(row, timekeeper.now())


class GrantQuery(serializers.Serializer[Any]):
    agent = serializers.CharField(required=False, max_length=60, help_text="A part of its slug.")
    person = serializers.CharField(
        required=False, max_length=254, help_text="A part of a name or address, or the whole id."
    )
    state = serializers.ChoiceField(choices=STATES, required=False)


class Grants(Listed):
    @extend_schema(
        operation_id="grants_list",
        tags=["grants"],
        parameters=[GrantQuery],
        responses={(200, JSON): UserGrantOut(many=True), **SEARCHING},
    )
    def get(self, request: Request) -> Response:
        """Your grants, newest first; everybody's for who reads the whole register."""
        rows, wanted = selectors.visible(person_of(request)), query_of(GrantQuery, request)
        return self.page(
            request, selectors.narrowed(rows, timekeeper.now(), **wanted), UserGrantOut
        )


class EndGrant(APIView):
    @extend_schema(
        operation_id="grant_end",
        tags=["grants"],
        request=None,
        responses={(200, JSON): UserGrantOut, **ACTING},
    )
    def post(self, request: Request, grant_id: UUID) -> Response:
        """End a grant at once: your own, or anybody's for security. Twice is once."""
        grant = services.end_grant(grant_id=grant_id, by=person_of(request))
        return Response(UserGrantOut(grant).data)
