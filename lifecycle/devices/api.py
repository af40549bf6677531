"""Who a program is signed in as, over REST."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from lifecycle.inbox.second_factor import proved_at
from registry.api.operations import JSON, person_of, problems
from registry.enums import TokenScope
from registry.models import PersonToken


class MeOut(serializers.Serializer[Any]):
    """The person who asks, and how far this way in reaches."""

    id = serializers.CharField()
    name = serializers.CharField()
    email = serializers.CharField()
    groups = serializers.ListField(child=serializers.CharField())
    scope = serializers.ChoiceField(choices=TokenScope.choices)
    until = serializers.DateTimeField(
        allow_null=True, help_text="When this token ends; null in a session of the site."
    )
    second_factor_at = serializers.DateTimeField(
        allow_null=True, help_text="When the second factor was last used on this way in."
    )


class Me(APIView):
    @extend_schema(
        operation_id="me", tags=["people"], responses={(200, JSON): MeOut, **problems(401, 403)}
    )
    def get(self, request: Request) -> Response:
        """Who you are here."""
        person, token = person_of(request), request.auth
        mine = token if isinstance(token, PersonToken) else None
        told = {
            "id": person.pid,
            "name": person.name,
            "email": person.email,
            "groups": sorted(person.group_names),
            "scope": mine.scope if mine else TokenScope.WRITE,
            "until": mine.until if mine else None,
            "second_factor_at": proved_at(request),
        }
        return Response(MeOut(told).data)
