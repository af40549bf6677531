"""The report of strays: as a page, as CSV, over REST."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.kernel import clock
from governance.kernel.api import Pages
from governance.kernel.streaming import Streamed
from governance.words import number_word
from lifecycle.idle.strays import DORMANT, ORPHAN, ZOMBIE, Stray, csv_lines, strays_for
from registry.api.operations import JSON, SEARCHING, person_of, query_of
from registry.enums import AgentState
from registry.people import signed_in

PAGE = 50
KINDS = (
    (ORPHAN, "Orphans", "No employed owner"),
    (DORMANT, "Dormants", "Idle, or suspended for as long"),
    (ZOMBIE, "Zombies", "Ended, and still calling"),
)


@login_required
@require_GET
def strays(request: HttpRequest) -> HttpResponse:
    """What does nobody answer for, what does nobody need, and what runs on although it ended?"""
    found = strays_for(signed_in(request), clock.now())
    context = {"title": _title(found), "groups": [_group(request, found, *each) for each in KINDS]}
    return render(request, "lifecycle/idle/strays.html", context)


def _group(
    request: HttpRequest, found: list[Stray], kind: str, title: str, note: str
) -> dict[str, Any]:
    rows = [each for each in found if each.kind == kind]
    wanted = request.GET.get("page") if request.GET.get("kind") == kind else None
    page = Paginator(rows, PAGE).get_page(wanted)
    return {"kind": kind, "title": title, "note": note, "page": page, "many": len(rows)}


def _title(found: list[Stray]) -> str:
    if not found:
        return "Every agent has an owner, is needed, and ended where it ended"
    many = len({each.agent.pk for each in found})
    return "One stray agent" if many == 1 else f"{number_word(many).capitalize()} stray agents"


@login_required
@require_GET
def as_csv(request: HttpRequest) -> Streamed:
    """The whole report, for a spreadsheet."""
    found = strays_for(signed_in(request), clock.now())
    return Streamed(csv_lines(found), content_type="text/csv", name="strays.csv")


class StrayOut(serializers.Serializer[Any]):
    """An agent without an owner, without use, or without an end."""

    kind = serializers.CharField(help_text="orphan, dormant or zombie.")
    agent = serializers.CharField(source="agent.slug")
    state = serializers.ChoiceField(source="agent.state", choices=AgentState.choices)
    owner = serializers.EmailField(source="agent.owner.email")
    since = serializers.DateTimeField(allow_null=True)
    why = serializers.CharField()
    todo = serializers.CharField()


class StrayQuery(serializers.Serializer[Any]):
    kind = serializers.CharField(required=False, max_length=10, help_text="Of this kind alone.")


class Strays(APIView):
    pagination_class = Pages

    @extend_schema(
        operation_id="strays_list",
        tags=["idle"],
        parameters=[StrayQuery],
        responses={(200, JSON): StrayOut(many=True), **SEARCHING},
    )
    def get(self, request: Request) -> Response:
        """Orphans, dormants and zombies among the agents that you see."""
        wanted = query_of(StrayQuery, request).get("kind", "")
        found = strays_for(person_of(request), clock.now())
        rows: Any = [each for each in found if wanted in ("", each.kind)]
        pages = Pages()
        shown: list[Any] = pages.paginate_queryset(rows, request, view=self) or []
        return pages.get_paginated_response(StrayOut(shown, many=True).data)
