"""Inventories over REST: the plan, its application, and the register as one."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.kernel import strict_json
from governance.kernel.api import StrictJsonParser
from governance.kernel.errors import Invalid
from lifecycle.apply import document
from lifecycle.apply.execute import Outcome, apply_inventory
from lifecycle.apply.export import export_text
from lifecycle.apply.kinds import KINDS
from lifecycle.apply.problems import BadInventory, Problem
from lifecycle.apply.render import plan_json, plan_lines
from lifecycle.apply.secret_file import SecretFile
from lifecycle.permissions import check_can_use_inventories
from registry.api.operations import JSON, SEARCHING, WRITING, given_in, person_of
from registry.models import Person

MAX_BYTES = 2 * 1024 * 1024
MAX_FILES = 200
YAML = "application/yaml"
_NAME = re.compile(r"(?!\.)[A-Za-z0-9._ -]{1,100}(?:/(?!\.)[A-Za-z0-9._ -]{1,100}){0,5}")


class InventoryParser(StrictJsonParser):
    """As strict, and up to two mebibytes: an inventory says much."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None
    ) -> strict_json.JsonValue:
        return strict_json.loads(stream.read(MAX_BYTES + 1), max_bytes=MAX_BYTES)


class InventoryIn(serializers.Serializer[Any]):
    files = serializers.DictField(
        child=serializers.CharField(trim_whitespace=False, allow_blank=True),
        allow_empty=False,
        help_text="Relative paths, each with its text; every *.yaml and *.yml of them is read.",
    )

    def validate_files(self, files: Mapping[str, str]) -> Mapping[str, str]:
        if len(files) > MAX_FILES:
            raise serializers.ValidationError(f"At most {MAX_FILES} files.")
        if wrong := [name for name in files if not _NAME.fullmatch(name)]:
            raise serializers.ValidationError(f"{wrong[0][:80]!r} is no relative path.")
        return files


class InventoryDifferenceOut(serializers.Serializer[Any]):
    field = serializers.CharField()
    before = serializers.JSONField(allow_null=True)
    after = serializers.JSONField(allow_null=True)


class InventoryStepOut(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=list(KINDS))
    key = serializers.CharField()
    action = serializers.CharField()
    differences = InventoryDifferenceOut(many=True)
    waits = serializers.ListField(child=serializers.CharField())
    notes = serializers.ListField(child=serializers.CharField())


class IssuedSecretOut(serializers.Serializer[Any]):
    kind = serializers.CharField()
    id = serializers.CharField()
    client_id = serializers.CharField()
    client_secret = serializers.CharField(help_text="Told this once.")


class InventoryPlanOut(serializers.Serializer[Any]):
    """What would become of an inventory."""

    dry_run = serializers.BooleanField()
    by = serializers.CharField()
    nothing_to_do = serializers.BooleanField()
    steps = InventoryStepOut(many=True)
    text = serializers.CharField(help_text="The same as people read it.")


class InventoryAppliedOut(InventoryPlanOut):
    """What has become of it."""

    secrets = IssuedSecretOut(many=True)


class _Told(SecretFile):
    """New secrets that the answer tells once, and no file."""

    def __init__(self) -> None:
        super().__init__("the answer", base_url=settings.MUSTER_BASE_URL)

    def write(self) -> None:
        """Nothing: they are told."""

    def told(self) -> list[dict[str, str]]:
        return [{"kind": kind, **entry} for kind, entry in self.added]


class Plan(APIView):
    parser_classes = (InventoryParser,)

    @extend_schema(
        operation_id="inventory_plan",
        tags=["inventory"],
        request=InventoryIn,
        responses={(200, JSON): InventoryPlanOut, **WRITING},
    )
    def post(self, request: Request) -> Response:
        """What would be done, done and undone again. Nothing is changed."""
        outcome = _applied(request, dry_run=True)
        return Response(_said(outcome))


class Apply(APIView):
    parser_classes = (InventoryParser,)

    @extend_schema(
        operation_id="inventory_apply",
        tags=["inventory"],
        request=InventoryIn,
        responses={(200, JSON): InventoryAppliedOut, **WRITING},
    )
    def post(self, request: Request) -> Response:
        """Make the register say what it says, as far as you may: everything, or nothing."""
        secrets = _Told()
        outcome = _applied(request, dry_run=False, secrets=secrets)
        answer = Response(_said(outcome) | {"secrets": secrets.told()})
        answer["Cache-Control"] = "no-store"
        return answer


class Inventory(APIView):
    @extend_schema(
        operation_id="inventory_export",
        tags=["inventory"],
        parameters=[
            OpenApiParameter("kind", str, enum=list(KINDS), many=True, description="Only these.")
        ],
        responses={(200, YAML): OpenApiTypes.STR, **SEARCHING},
    )
    def get(self, request: Request) -> HttpResponse:
        """The register as an inventory. No secret is ever part of it."""
        check_can_use_inventories(person_of(request))
        kinds = request.query_params.getlist("kind")
        if unknown := sorted(set(kinds) - set(KINDS)):
            raise Invalid(f"There is no kind {unknown[0][:40]!r}. There are: {', '.join(KINDS)}.")
        return HttpResponse(export_text(kinds or KINDS), content_type=f"{YAML}; charset=utf-8")


def _applied(request: Request, *, dry_run: bool, secrets: SecretFile | None = None) -> Outcome:
    by = person_of(request)
    check_can_use_inventories(by)
    files = given_in(InventoryIn, request)["files"]
    with tempfile.TemporaryDirectory(prefix="muster-inventory-") as folder:
        try:
            return _in_folder(Path(folder), files, by, dry_run=dry_run, secrets=secrets)
        except BadInventory as error:
            raise BadInventory(_as_sent(one, folder) for one in error.problems) from error


def _in_folder(
    folder: Path, files: Mapping[str, str], by: Person, *, dry_run: bool, secrets: SecretFile | None
) -> Outcome:
    for name, text in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except (OSError, UnicodeEncodeError) as error:
            raise Invalid(f"The file {name[:80]} cannot stand beside the others.") from error
    return apply_inventory(
        document.read_inventory(folder), by_email=by.email, dry_run=dry_run, secrets=secrets
    )


def _as_sent(problem: Problem, folder: str) -> Problem:
    """Without where the files lay here."""
    name = problem.place.file.removeprefix(folder).removeprefix("/") or "inventory"
    message = problem.message.replace(f"{folder}/", "").replace(folder, "the inventory")
    return Problem(replace(problem.place, file=name), message)


def _said(outcome: Outcome) -> dict[str, Any]:
    told = plan_json(outcome)
    del told["secrets"], told["issued"]
    return {**told, "text": "\n".join(plan_lines(outcome))}
