"""The self-audit over REST."""

from __future__ import annotations

from typing import Any, cast

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from compliance.enums import Tick
from compliance.evidence import Exceptional
from compliance.permissions import check_can_see_evidence
from compliance.selfaudit.standing import Found, Standing, stand
from registry.api.operations import JSON, SEARCHING, Listed, person_of, problems


class SelfAuditPointOut(serializers.Serializer[Found]):
    """How one point stands, and why."""

    number = serializers.IntegerField(source="point.number")
    title = serializers.CharField(source="point.title")
    status = serializers.ChoiceField(choices=Tick.choices)
    reason = serializers.CharField(help_text="In a sentence; of several rows, the first.")
    rows = serializers.IntegerField(source="count", help_text="How many things are not so.")
    looks_at = serializers.CharField(source="point.looks_at")
    beyond = serializers.CharField(
        source="point.beyond", help_text="What of it Muster cannot see from where it stands."
    )
    fix = serializers.CharField(source="point.fix.label")
    fix_url = serializers.CharField(source="point.fix.url", help_text="The page that mends it.")


class SelfAuditOut(serializers.Serializer[Standing]):
    """The sixteen points at one instant."""

    at = serializers.DateTimeField()
    since = serializers.DateTimeField(help_text="What happened is looked at from here on.")
    met = serializers.IntegerField()
    not_met = serializers.IntegerField()
    cannot_tell = serializers.IntegerField()
    points = SelfAuditPointOut(many=True)


class SelfAuditRowOut(serializers.Serializer[Exceptional]):
    """One thing that is not as its point asks."""

    what = serializers.CharField()
    agent = serializers.CharField(help_text="Empty where it is about no single agent.")
    since = serializers.SerializerMethodField()
    url = serializers.CharField(source="link", help_text="The page where it is mended.")

    def get_since(self, row: Exceptional) -> str | None:
        return row.since.isoformat() if row.since else None


class SelfAudit(APIView):
    @extend_schema(
        operation_id="self_audit",
        tags=["evidence"],
        responses={(200, JSON): SelfAuditOut, **problems(401, 403)},
    )
    def get(self, request: Request) -> Response:
        """How the sixteen points stand now. Each is looked at anew."""
        check_can_see_evidence(person_of(request))
        return Response(SelfAuditOut(stand()).data)


class SelfAuditRows(Listed):
    @extend_schema(
        operation_id="self_audit_rows",
        tags=["evidence"],
        responses={(200, JSON): SelfAuditRowOut(many=True), **SEARCHING},
    )
    def get(self, request: Request, number: int) -> Response:
        """What is not as one point asks, one by one."""
        check_can_see_evidence(person_of(request))
        found = cast("QuerySet[Any]", stand().point(number).rows)
        return self.page(request, found, SelfAuditRowOut)
