"""Requests of data subjects over REST."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from compliance import permissions
from compliance.enums import RequestKind, RequestState
from compliance.errors import UnknownSubject
from compliance.models import SubjectRequest
from compliance.subjects import certificate, finding, services
from compliance.subjects.export import export as exported
from compliance.subjects.holding import Holding
from governance.kernel.errors import NotFound
from governance.kernel.streaming import Streamed
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
from registry.models import Person

WORDS = ("erase", "extend", "answer", "refuse")


class FindIn(serializers.Serializer[Any]):
    who = serializers.CharField(
        max_length=255, help_text="A name, an e-mail, an id of ours or of a directory, a resource."
    )


class FoundOut(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="How the record knows them.")
    title = serializers.CharField()


class HeldQuery(serializers.Serializer[Any]):
    subject = serializers.CharField(max_length=1000)


class SealedOut(serializers.Serializer[Any]):
    """Payloads of one tier, agent and tool."""

    agent = serializers.CharField(source="sealed.agent")
    tool = serializers.CharField(source="sealed.tool")
    system = serializers.CharField()
    categories = serializers.ListField(child=serializers.CharField())
    tier = serializers.CharField(source="sealed.tier")
    entries = serializers.IntegerField(source="sealed.entries")
    readable = serializers.IntegerField(source="sealed.readable")
    held = serializers.IntegerField(source="sealed.held")
    since = serializers.DateTimeField(source="sealed.first")
    goes_until = serializers.DateTimeField()


class NamedOut(serializers.Serializer[Any]):
    kind = serializers.CharField()
    entries = serializers.IntegerField()
    since = serializers.DateTimeField(source="first")


class SubjectHoldOut(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    ground = serializers.CharField(help_text="The letter of Art. 17(3).")
    reason = serializers.CharField()
    since = serializers.DateTimeField(source="at")


class SubjectHeldOut(serializers.Serializer[Any]):
    """What is held of a subject. Contents are in the export alone."""

    subject = serializers.CharField(source="subject.id")
    sealed = SealedOut(many=True)
    record = NamedOut(many=True, source="named")
    rows = serializers.SerializerMethodField()
    holds = SubjectHoldOut(many=True)

    def get_rows(self, holding: Holding) -> dict[str, int]:
        return {each.what: each.many for each in holding.rows}


class SubjectRequestOut(serializers.ModelSerializer[SubjectRequest]):
    asked_by = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True)
    agreed_by = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True)

    class Meta:
        model = SubjectRequest
        fields = [
            *("id", "kind", "subject", "reference", "received", "due_at", "extended_months"),
            *("state", "asked_by", "agreed_by", "agreed_at", "erased", "held", "closed_at"),
        ]


class SubjectRequestIn(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=RequestKind.choices)
    subject = serializers.CharField(max_length=1000)
    received = serializers.DateField()
    reference = serializers.CharField(max_length=120, required=False, default="")


class RequestQuery(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=RequestKind.choices, required=False)
    state = serializers.ChoiceField(choices=RequestState.choices, required=False)


class ActIn(serializers.Serializer[Any]):
    why = serializers.CharField(max_length=300, required=False, default="")
    months = serializers.IntegerField(required=False, default=2, min_value=1, max_value=2)


def _reader(request: Request) -> Person:
    person = person_of(request)
    permissions.check_can_see_subjects(person)
    return person


class Find(APIView):
    @extend_schema(
        operation_id="subjects_find",
        tags=["subjects"],
        request=FindIn,
        responses={(200, JSON): FoundOut(many=True), **WRITING},
    )
    def post(self, request: Request) -> Response:
        """Whom or what somebody means. It is asked in the body: what is typed is personal."""
        _reader(request)
        found = finding.find(given_in(FindIn, request)["who"])
        return Response(FoundOut(found, many=True).data)


class Held(APIView):
    @extend_schema(
        operation_id="subjects_held",
        tags=["subjects"],
        parameters=[HeldQuery],
        responses={(200, JSON): SubjectHeldOut, **SEARCHING},
    )
    def get(self, request: Request) -> Response:
        """What is held of a subject: categories, counts, where, since when, until when."""
        _reader(request)
        subject = query_of(HeldQuery, request)["subject"].replace("\0", "")
        holding = Holding(finding.subject_of(subject))
        if holding.subject.person is None and not holding.named:
            raise UnknownSubject()
        return Response(SubjectHeldOut(holding).data)


class Requests(Listed):
    @extend_schema(
        operation_id="subject_requests_list",
        tags=["subjects"],
        parameters=[RequestQuery],
        responses={(200, JSON): SubjectRequestOut(many=True), **SEARCHING},
    )
    def get(self, request: Request) -> Response:
        """Requests, newest first."""
        _reader(request)
        rows = SubjectRequest.objects.filter(**query_of(RequestQuery, request))
        return self.page(request, rows.select_related("asked_by", "agreed_by"), SubjectRequestOut)

    @extend_schema(
        operation_id="subject_requests_open",
        tags=["subjects"],
        request=SubjectRequestIn,
        responses={(201, JSON): SubjectRequestOut, **WRITING},
    )
    def post(self, request: Request) -> Response:
        """Take a request in; it is due a month after it was received."""
        given = given_in(SubjectRequestIn, request)
        made = services.open_request(by=person_of(request), **given)
        return Response(SubjectRequestOut(made).data, status=status.HTTP_201_CREATED)


class OneRequest(APIView):
    @extend_schema(
        operation_id="subject_requests_one",
        tags=["subjects"],
        responses={(200, JSON): SubjectRequestOut, **READING},
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """One request: how far it is."""
        _reader(request)
        return Response(SubjectRequestOut(get_object_or_404(SubjectRequest, pk=pk)).data)


class Act(APIView):
    @extend_schema(
        operation_id="subject_requests_act",
        tags=["subjects"],
        request=ActIn,
        parameters=[OpenApiParameter("word", str, "path", enum=WORDS)],
        responses={(200, JSON): SubjectRequestOut, **WRITING},
    )
    def post(self, request: Request, pk: UUID, word: str) -> Response:
        """`erase` asks the DPO to agree; `extend`, `answer` and `refuse` take effect at once."""
        act = _ACTS.get(word)
        if act is None:
            raise NotFound()
        act(pk, given_in(ActIn, request), person_of(request))
        return Response(SubjectRequestOut(get_object_or_404(SubjectRequest, pk=pk)).data)


Given = Mapping[str, Any]


def _erase(pk: UUID, given: Given, by: Person) -> None:
    services.ask_erasure(request_id=pk, by=by)


def _extend(pk: UUID, given: Given, by: Person) -> None:
    services.extend_request(request_id=pk, months=given["months"], why=given["why"], by=by)


def _answer(pk: UUID, given: Given, by: Person) -> None:
    services.close_request(request_id=pk, refused=False, why=given["why"], by=by)


def _refuse(pk: UUID, given: Given, by: Person) -> None:
    services.close_request(request_id=pk, refused=True, why=given["why"], by=by)


_ACTS: dict[str, Callable[[UUID, Given, Person], None]] = {
    "erase": _erase,
    "extend": _extend,
    "answer": _answer,
    "refuse": _refuse,
}


class Export(APIView):
    @extend_schema(
        operation_id="subject_requests_export",
        tags=["subjects"],
        request=None,
        responses={(200, JSON): OpenApiTypes.BINARY, **WRITING},
    )
    def post(self, request: Request, pk: UUID) -> Streamed:
        """Everything that is held of the subject, as JSON. That it is opened is recorded."""
        found = get_object_or_404(SubjectRequest, pk=pk)
        name = f"muster-subject-{found.pk}.json"
        return Streamed(exported(found, by=person_of(request)), content_type=JSON, name=name)


class Certificate(APIView):
    @extend_schema(
        operation_id="subject_requests_certificate",
        tags=["subjects"],
        responses={(200, "application/pdf"): OpenApiTypes.BINARY, **READING},
    )
    def get(self, request: Request, pk: UUID) -> HttpResponse:
        """The newest certificate of an erasure, as a PDF."""
        _reader(request)
        found = get_object_or_404(SubjectRequest, pk=pk).certificates.order_by("edition").last()
        if found is None:
            raise NotFound("Nothing was erased for this request yet.")
        return HttpResponse(certificate.pdf_of(found), content_type="application/pdf")
