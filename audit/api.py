"""The record for programs of people: the search of the trail, and one entry."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit import selectors
from audit.asked import AuditScope, Page, PageRequest, TrailFilters
from audit.enums import Kind
from audit.errors import UnknownFilter, UnknownPerson
from audit.export import columns_of
from audit.forms import BACKWARDS, pid_of
from audit.leaf import BadBody
from audit.models import Record
from audit.sealing.pages import Reader
from governance.kernel.api import PROBLEM, InstantField, Problem

MOST = 200
EFFECTS = ("allow", "deny", "hold")
_PAGE = ("after", "before", "size")
_NOBODY = {(401, PROBLEM): OpenApiResponse(Problem, description="Nobody is signed in.")}
_LISTING = {
    (400, PROBLEM): OpenApiResponse(Problem, description="A filter or a cursor is not right."),
    **_NOBODY,
    (503, PROBLEM): OpenApiResponse(Problem, description="It took too long: `search_too_slow`."),
}
_ONE = {
    **_NOBODY,
    (404, PROBLEM): OpenApiResponse(Problem, description="No such entry, or not for you."),
}


class RecordQuery(serializers.Serializer[Any]):
    """What to look for: every filter is exact, all of them must fit."""

    agent = serializers.CharField(required=False, max_length=60)
    user = serializers.CharField(
        required=False, max_length=254, help_text="For whom: id, e-mail or name."
    )
    actor = serializers.CharField(
        required=False, max_length=254, help_text="The person who did it: id, e-mail or name."
    )
    tool = serializers.CharField(required=False, max_length=120)
    resource = serializers.CharField(required=False, max_length=255)
    effect = serializers.ChoiceField(required=False, choices=EFFECTS)
    check = serializers.CharField(required=False, max_length=40)
    code = serializers.CharField(required=False, max_length=80)
    kind = serializers.ChoiceField(required=False, choices=Kind.choices)
    session = serializers.CharField(required=False, max_length=200)
    since = InstantField(
        required=False, help_text="Part of the span. Without a zone, it is in yours."
    )
    until = InstantField(required=False, help_text="Not part of the span.")
    after = serializers.CharField(required=False, max_length=80, help_text="`older` of a page.")
    before = serializers.CharField(required=False, max_length=80, help_text="`newer` of a page.")
    size = serializers.IntegerField(required=False, min_value=1, max_value=MOST, default=50)

    def validate_user(self, text: str) -> str:
        return _pid(text)

    def validate_actor(self, text: str) -> str:
        return _pid(text)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        since, until = attrs.get("since"), attrs.get("until")
        if since and until and since > until:
            raise serializers.ValidationError({"until": [BACKWARDS]})
        return attrs


class RecordOut(serializers.Serializer[Record]):
    """An entry as the trail lists it."""

    id = serializers.UUIDField()
    at = serializers.CharField()
    kind = serializers.ChoiceField(choices=Kind.choices)
    effect = serializers.CharField(help_text="Empty for what is no decision.")
    check = serializers.CharField()
    code = serializers.CharField()
    agent = serializers.CharField()
    user = serializers.CharField()
    tool = serializers.CharField()
    resource = serializers.CharField()
    tier = serializers.CharField()
    session = serializers.CharField()
    gateway = serializers.CharField()
    actor = serializers.CharField()
    parent = serializers.UUIDField(allow_null=True)  # type: ignore[assignment]  # a field's own
    mode = serializers.CharField()
    version = serializers.IntegerField()

    def to_representation(self, instance: Record) -> dict[str, Any]:
        return columns_of(instance)


class WholeRecordOut(RecordOut):
    """The same with what its body says, and its leaf."""

    asked = serializers.JSONField()
    judged = serializers.JSONField()
    settled = serializers.JSONField()
    leaf = serializers.CharField()

    def to_representation(self, instance: Record) -> dict[str, Any]:
        said = _said(instance)
        parts = {part: said.get(part) for part in ("asked", "judged", "settled")}
        return {**columns_of(instance), **parts, "leaf": bytes(instance.leaf).hex()}


class RecordPageOut(serializers.Serializer[Page]):
    """Entries, newest first; the cursors of the pages beside, empty where there is none."""

    records = RecordOut(many=True)
    older = serializers.CharField()
    newer = serializers.CharField()


class Records(APIView):
    @extend_schema(
        operation_id="record_list",
        tags=["record"],
        parameters=[RecordQuery],
        responses={(200, "application/json"): RecordPageOut, **_LISTING},
    )
    def get(self, request: Request) -> Response:
        """The entries that fit, newest first, of what you may see."""
        given = _query_of(request)
        wanted = PageRequest(**{name: given.pop(name) for name in _PAGE if name in given})
        page = selectors.search(TrailFilters(**given), wanted, scope=_scope(request))
        return Response(RecordPageOut(page).data)


class OneRecord(APIView):
    @extend_schema(
        operation_id="record_get",
        tags=["record"],
        responses={(200, "application/json"): WholeRecordOut, **_ONE},
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """One entry with all that it says; what was sent or said stays sealed."""
        return Response(WholeRecordOut(selectors.get_record(pk, scope=_scope(request))).data)


def _query_of(request: Request) -> dict[str, Any]:
    """The filters and the page. A filter that is misspelt must not find everything."""
    asked = RecordQuery(data=request.query_params.dict())
    if unknown := request.query_params.keys() - asked.fields.keys():
        known = ", ".join(asked.fields)
        raise UnknownFilter(f"There is no filter {min(unknown)!r}. There are: {known}.")
    asked.is_valid(raise_exception=True)
    return dict(asked.validated_data)


def _scope(request: Request) -> AuditScope:
    return cast("Reader", request.user).audit_scope()


def _pid(text: str) -> str:
    try:
        return pid_of(text)
    except UnknownPerson as error:
        raise serializers.ValidationError(error.message) from error


def _said(record: Record) -> dict[str, Any]:
    """What the body says; nothing of one that was tampered with."""
    try:
        return selectors.parse_body(record)
    except BadBody:
        return {}
