"""Sweeps over REST, for those who operate Muster."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from lifecycle.permissions import check_can_see_sweeps
from lifecycle.sweeps import services
from lifecycle.sweeps.selectors import sweep_states
from registry.api.operations import ACTING, JSON, READING, person_of


class SweepOut(serializers.Serializer[Any]):
    """A sweep, its newest run, and whether it comes through."""

    name = serializers.CharField(source="sweep.name")
    title = serializers.CharField(source="sweep.title")
    every = serializers.DurationField(source="sweep.every")
    started_at = serializers.DateTimeField(
        source="newest.started_at", default=None, allow_null=True
    )
    ended_at = serializers.DateTimeField(source="newest.ended_at", default=None, allow_null=True)
    took = serializers.DurationField(allow_null=True)
    done = serializers.IntegerField(source="newest.done", default=0)
    failed = serializers.IntegerField(source="newest.failed", default=0)
    left = serializers.IntegerField(source="newest.left", default=0)
    ending = serializers.CharField(
        source="newest.ending",
        default="",
        allow_blank=True,
        help_text="through, stopped or silent; empty while it runs.",
    )
    failure = serializers.CharField(source="newest.failure", default="", allow_blank=True)
    next_due = serializers.DateTimeField(allow_null=True)
    late = serializers.BooleanField()


class SweepSetOffOut(serializers.Serializer[Any]):
    """What was set off."""

    name = serializers.CharField()


class Sweeps(APIView):
    @extend_schema(
        operation_id="sweeps_list",
        tags=["sweeps"],
        responses={(200, JSON): SweepOut(many=True), **READING},
    )
    def get(self, request: Request) -> Response:
        """Every sweep with its newest run. For security and platform admins."""
        check_can_see_sweeps(person_of(request))
        return Response(SweepOut(sweep_states(), many=True).data)


class RunSweep(APIView):
    @extend_schema(
        operation_id="sweep_run",
        tags=["sweeps"],
        request=None,
        responses={(202, JSON): SweepSetOffOut, **ACTING},
    )
    def post(self, request: Request, name: str) -> Response:
        """Have a sweep run before its time."""
        sweep = services.set_off_now(name=name, by=person_of(request))
        return Response(SweepSetOffOut(sweep).data, status=status.HTTP_202_ACCEPTED)
