"""`/api/v1/people/imports`: a file of people over REST. Looked at first, then applied as shown."""

from __future__ import annotations

from typing import IO, Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.kernel import clock
from governance.kernel.api import PROBLEM, Problem
from lifecycle.models import ImportRow, ImportState, PeopleImport, RowKind, RowState
from lifecycle.people import importing, reading
from lifecycle.people.errors import ImportOutdated
from lifecycle.people.selectors import to_look_at
from registry import validators
from registry.api.operations import (
    JSON,
    LISTING,
    READING,
    SEARCHING,
    WRITING,
    Listed,
    given_in,
    person_of,
    problems,
    query_of,
)
from registry.models import Person
from registry.permissions import check_can_change_people

CSV = "text/csv"
SHOWN = 200


class Csv(BaseParser):
    """The file as it came, read no further than a file may be long."""

    media_type = CSV

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None
    ) -> Any:
        return stream.read(reading.MAX_BYTES + 1)


class ImportQuery(serializers.Serializer[Any]):
    source = serializers.CharField(  # type: ignore[assignment]  # a field's own word
        max_length=60,
        validators=[validators.slug],
        help_text="The name of the source. Files of one source know people by the same ids.",
    )
    file_name = serializers.CharField(max_length=120, required=False, default="")


class RowQuery(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(
        choices=RowKind.choices, required=False, help_text="Only rows that come to this."
    )
    state = serializers.ChoiceField(
        choices=RowState.choices, required=False, help_text="Only rows of which this became."
    )


class ChangeOut(serializers.Serializer[Any]):
    field = serializers.CharField()
    before = serializers.CharField(allow_blank=True)
    after = serializers.CharField(allow_blank=True)


class ImportRowOut(serializers.ModelSerializer[ImportRow]):
    person = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True, allow_null=True)
    id = serializers.CharField(source="external_id", help_text="What the source calls them.")
    changes = serializers.SerializerMethodField()
    told = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = ImportRow
        fields = ["line", "kind", "state", "person", "id", "who", "changes", "told", "problem"]

    @extend_schema_field(ChangeOut(many=True))
    def get_changes(self, row: ImportRow) -> list[dict[str, str]]:
        return [dict(zip(("field", "before", "after"), each, strict=True)) for each in row.changes]


class ListedImportOut(serializers.ModelSerializer[PeopleImport]):
    """What a file comes to in numbers, and what was done with it."""

    source = serializers.SlugRelatedField[Any](  # type: ignore[assignment]  # as above
        slug_field="slug", read_only=True
    )
    made_by = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True)
    applied_by = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True)
    open = serializers.SerializerMethodField(help_text="Whether it may be applied still.")
    counts = serializers.DictField(child=serializers.IntegerField())
    unread = serializers.ListField(child=serializers.CharField())
    leavers = serializers.SerializerMethodField(
        help_text="How many leave; to be said where they are many."
    )
    leavers_if_whole = serializers.SerializerMethodField()

    class Meta:
        model = PeopleImport
        fields = [
            *("id", "source", "file_name", "state", "open", "counts", "unread"),
            *("leavers", "leavers_if_whole", "whole", "returns", "made_by", "made_at"),
            *("expires_at", "applied_by", "applied_at", "ended_at"),
        ]

    def get_open(self, kept: PeopleImport) -> bool:
        return kept.state == ImportState.PREVIEW and kept.expires_at > clock.now()

    def get_leavers(self, kept: PeopleImport) -> int:
        return importing.leavers_of(kept, whole=False)

    def get_leavers_if_whole(self, kept: PeopleImport) -> int:
        return importing.leavers_of(kept, whole=True)


class ImportOut(ListedImportOut):
    """What a file comes to, and for whom."""

    rows = serializers.SerializerMethodField(
        help_text=f"The first {SHOWN} that change something, what must be looked at first."
    )

    class Meta(ListedImportOut.Meta):
        fields = [*ListedImportOut.Meta.fields, "rows"]

    @extend_schema_field(ImportRowOut(many=True))
    def get_rows(self, kept: PeopleImport) -> Any:
        return ImportRowOut(to_look_at(_rows(kept))[:SHOWN], many=True).data


class ApplyIn(serializers.Serializer[Any]):
    whole = serializers.BooleanField(
        default=False, help_text="The file is the whole company: who is not in it has left."
    )
    returns = serializers.BooleanField(
        default=False, help_text="Who has left and stands in it as employed is back."
    )
    leavers = serializers.IntegerField(
        required=False,
        min_value=0,
        help_text="How many leave, where they are many (`many_leavers`).",
    )


def _imports(by: Person) -> QuerySet[PeopleImport]:
    check_can_change_people(by)
    return PeopleImport.objects.select_related("source", "made_by", "applied_by")


def _rows(kept: PeopleImport) -> QuerySet[ImportRow]:
    return kept.rows.select_related("person")


NOT_CSV = OpenApiResponse(Problem, description="The body is not text/csv.")


class PeopleImports(Listed):
    parser_classes = [Csv]

    @extend_schema(
        operation_id="people_import_list",
        tags=["people"],
        responses={(200, JSON): ListedImportOut(many=True), **LISTING},
    )
    def get(self, request: Request) -> Response:
        """The files that were looked at, the newest first."""
        return self.page(request, _imports(person_of(request)), ListedImportOut)

    @extend_schema(
        operation_id="people_import_preview",
        tags=["people"],
        parameters=[ImportQuery],
        request={CSV: OpenApiTypes.BINARY},
        responses={
            (201, JSON): ImportOut,
            **problems(400, 401, 403, 409),
            (415, PROBLEM): NOT_CSV,
        },
    )
    def post(self, request: Request) -> Response:
        """Say what a file comes to. Nothing of it is done; it is good for a day."""
        by, asked = person_of(request), query_of(ImportQuery, request)
        check_can_change_people(by)
        raw = request.data if isinstance(request.data, bytes) else b""
        kept = importing.keep_preview(raw=raw, by=by, **asked)
        return Response(ImportOut(kept).data, status=status.HTTP_201_CREATED)


class OnePeopleImport(APIView):
    @extend_schema(
        operation_id="people_import", tags=["people"], responses={(200, JSON): ImportOut, **READING}
    )
    def get(self, request: Request, pk: int) -> Response:
        """What a file comes to, how far it is, or what came of it."""
        return Response(ImportOut(get_object_or_404(_imports(person_of(request)), pk=pk)).data)


class PeopleImportRows(Listed):
    @extend_schema(
        operation_id="people_import_rows",
        tags=["people"],
        parameters=[RowQuery],
        responses={(200, JSON): ImportRowOut(many=True), **SEARCHING},
    )
    def get(self, request: Request, pk: int) -> Response:
        """Its rows, as they stand in the file."""
        kept = get_object_or_404(_imports(person_of(request)), pk=pk)
        rows = _rows(kept).filter(**query_of(RowQuery, request)).order_by("line", "place")
        return self.page(request, rows, ImportRowOut)


class ApplyPeopleImport(APIView):
    @extend_schema(
        operation_id="people_import_apply",
        tags=["people"],
        request=ApplyIn,
        responses={
            (202, JSON): OpenApiResponse(ImportOut, description="It is being applied."),
            **WRITING,
        },
    )
    def post(self, request: Request, pk: int) -> Response:
        """Do what was shown. 409 `import_outdated`: look at it anew, it shows what holds now."""
        by, said = person_of(request), given_in(ApplyIn, request)
        kept = get_object_or_404(_imports(by), pk=pk)
        typed = str(said.pop("leavers", ""))
        try:
            begun = importing.begin_import(import_id=kept.pk, by=by, typed=typed, **said)
        except ImportOutdated:
            importing.look_again(import_id=kept.pk, by=by)
            raise
        return Response(ImportOut(begun).data, status=status.HTTP_202_ACCEPTED)
