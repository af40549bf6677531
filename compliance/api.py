"""Evidence and reports over REST."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from compliance import pages, period, permissions, tasks
from compliance.catalogue import framework
from compliance.enums import ReportState, Status
from compliance.evidence import Asking, Found, Look, look_asked
from compliance.models import Report
from compliance.report_views import sent
from compliance.reports import document as documents
from compliance.reports import services
from registry.api.operations import (
    JSON,
    READING,
    SEARCHING,
    WRITING,
    Listed,
    given_in,
    person_of,
    query_of,
)


class LookQuery(serializers.Serializer[Any]):
    period = serializers.CharField(
        required=False, max_length=24, help_text="2026-07-01..2026-09-30; this quarter if not said."
    )
    scope = serializers.CharField(
        required=False, max_length=120, help_text="company, department:NAME or agent:SLUG."
    )


class EvidenceLineOut(serializers.Serializer[Any]):
    """One line of a framework, and how it stands by its rule."""

    id = serializers.CharField(source="control.id")
    clause = serializers.CharField(source="control.clause")
    title = serializers.CharField(source="control.title")
    obligation = serializers.CharField(source="control.obligation")
    rule = serializers.CharField(source="control.rule")
    status = serializers.ChoiceField(choices=Status.choices)
    why = serializers.CharField()
    exceptions = serializers.IntegerField()


class EvidenceFrameworkOut(serializers.Serializer[Any]):
    """A framework, and how many of its lines stand how."""

    id = serializers.CharField(source="framework.id")
    name = serializers.CharField(source="framework.name")
    title = serializers.CharField(source="framework.title")
    counts = serializers.DictField(child=serializers.IntegerField())
    lines = EvidenceLineOut(many=True, source="found")


class WholeEvidenceLineOut(EvidenceLineOut):
    """The same with the answers of its queries: figures, exceptions, entries looked at."""

    next = serializers.CharField(help_text="What to do; empty where nothing is.")
    evidence = serializers.CharField(source="control.source")
    queries = serializers.SerializerMethodField()

    def get_queries(self, found: Found) -> list[dict[str, Any]]:
        return [documents.answered(each) for each in found.answers]


class ReportFileOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    size = serializers.IntegerField()
    sha256 = serializers.CharField()


class ReportOut(serializers.ModelSerializer[Report]):
    period = serializers.CharField(source="period.key")
    asked_by = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True)
    files = ReportFileOut(many=True)

    class Meta:
        model = Report
        fields = [
            *("id", "framework", "period", "scope", "asked_by", "asked_at", "state", "step"),
            *("done", "total", "made_at", "pages", "failure", "files_deleted_at", "files"),
        ]


class ReportIn(serializers.Serializer[Any]):
    framework = serializers.CharField(max_length=40)
    period = serializers.CharField(max_length=24, help_text="2026-07-01..2026-09-30")
    scope = serializers.CharField(max_length=120, required=False, default="company")


class ReportQuery(serializers.Serializer[Any]):
    framework = serializers.CharField(required=False, max_length=40)
    state = serializers.ChoiceField(choices=ReportState.choices, required=False)


def _look(request: Request) -> Look:
    permissions.check_can_see_evidence(person_of(request))
    given = query_of(LookQuery, request)
    return look_asked(given.get("period", ""), given.get("scope", ""))


class Evidence(APIView):
    @extend_schema(
        operation_id="evidence_list",
        tags=["evidence"],
        parameters=[LookQuery],
        responses={(200, JSON): EvidenceFrameworkOut(many=True), **SEARCHING},
    )
    def get(self, request: Request) -> Response:
        """How every line of every framework stands. Evidence, and no claim that one is kept."""
        found = pages.standings(Asking(_look(request)))
        return Response(EvidenceFrameworkOut(found, many=True).data)


class OneFramework(APIView):
    @extend_schema(
        operation_id="evidence_framework",
        tags=["evidence"],
        parameters=[LookQuery],
        responses={(200, JSON): EvidenceFrameworkOut, **SEARCHING},
    )
    def get(self, request: Request, framework_id: str) -> Response:
        """How every line of one framework stands."""
        asked = framework(framework_id)
        found = tuple(Asking(_look(request)).framework(asked))
        return Response(EvidenceFrameworkOut(pages.Standing(asked, found)).data)


class OneLine(APIView):
    @extend_schema(
        operation_id="evidence_line",
        tags=["evidence"],
        parameters=[LookQuery],
        responses={(200, JSON): WholeEvidenceLineOut, **SEARCHING},
    )
    def get(self, request: Request, framework_id: str, control_id: str) -> Response:
        """One line with its figures, exceptions and samples."""
        asked = framework(framework_id)
        line = asked.control(control_id)
        return Response(WholeEvidenceLineOut(Asking(_look(request)).control(asked, line)).data)


class Reports(Listed):
    @extend_schema(
        operation_id="reports_list",
        tags=["evidence"],
        parameters=[ReportQuery],
        responses={(200, JSON): ReportOut(many=True), **SEARCHING},
    )
    def get(self, request: Request) -> Response:
        """Reports, newest first."""
        permissions.check_can_see_evidence(person_of(request))
        rows = Report.objects.filter(**query_of(ReportQuery, request))
        shown = rows.select_related("asked_by").prefetch_related("files")
        return self.page(request, shown.defer("document"), ReportOut)

    @extend_schema(
        operation_id="reports_ask",
        tags=["evidence"],
        request=ReportIn,
        responses={(202, JSON): ReportOut, **WRITING},
    )
    def post(self, request: Request) -> Response:
        """Have a report made. Its own address says how far it is."""
        given = given_in(ReportIn, request)
        report = services.ask_report(
            framework_id=given["framework"],
            period=period.read(given["period"]),
            scope_key=given["scope"],
            by=person_of(request),
        )
        tasks.set_off(report)
        return Response(ReportOut(report).data, status=status.HTTP_202_ACCEPTED)


class OneReport(APIView):
    @extend_schema(
        operation_id="reports_one", tags=["evidence"], responses={(200, JSON): ReportOut, **READING}
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """One report: how far it is, and its files."""
        permissions.check_can_see_evidence(person_of(request))
        rows = Report.objects.select_related("asked_by").prefetch_related("files")
        return Response(ReportOut(get_object_or_404(rows, pk=pk)).data)


class OneReportFile(APIView):
    @extend_schema(
        operation_id="reports_file",
        tags=["evidence"],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY, **READING},
    )
    def get(self, request: Request, pk: UUID, name: str) -> HttpResponse:
        """One file of a report: bundle.zip or report.pdf. That it is fetched is recorded."""
        return sent(services.fetch_file(report_id=pk, name=name, by=person_of(request)))
