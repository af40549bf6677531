"""Cases and leavers over REST: list them, read one with its story, answer."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.kernel import clock
from governance.kernel.errors import Invalid
from lifecycle.cases import rules
from lifecycle.decommissioning.api import EndOrderOf
from lifecycle.leavers import page, permissions, selectors, services
from lifecycle.models import Case, CaseEvent, CaseKind, CaseState
from lifecycle.movers import services as movers
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
from registry.api.serializers import PersonRef
from registry.models import Person

WORDS = ("accept", "refuse", "name", "end", "keep")


class DayOut(serializers.Serializer[Any]):
    date = serializers.DateField()
    number = serializers.IntegerField(help_text="Business days counted; below zero before it.")
    is_today = serializers.BooleanField()
    is_past = serializers.BooleanField()
    is_due = serializers.BooleanField()
    free = serializers.CharField(allow_blank=True, help_text="Why nobody works that day.")


class CaseEventOut(serializers.ModelSerializer[CaseEvent]):
    by = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True)

    class Meta:
        model = CaseEvent
        fields = ["what", "at", "by", "text", "record"]


class CaseOut(serializers.ModelSerializer[Case]):
    agent = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    proposed_owner = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True)
    proposed_by = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True)
    closed_by = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True)

    class Meta:
        model = Case
        fields = [
            *("id", "kind", "agent", "state", "opened_at", "counts_from", "due_on", "due_at"),
            *("zone", "calendar", "proposed_owner", "proposed_by", "outcome", "reason"),
            *("closed_at", "closed_by"),
        ]


class WholeCaseOut(CaseOut):
    days = serializers.SerializerMethodField()
    events = CaseEventOut(many=True)
    end_order = EndOrderOf()

    class Meta(CaseOut.Meta):
        fields = [*CaseOut.Meta.fields, "days", "events", "end_order"]

    @extend_schema(responses=DayOut(many=True))
    def get_days(self, row: Case) -> Any:
        return DayOut(rules.days_of(row, clock.now()), many=True).data


class CaseQuery(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=CaseKind.choices, required=False)
    state = serializers.ChoiceField(choices=CaseState.choices, required=False)
    agent = serializers.CharField(required=False, max_length=60, help_text="Its slug.")


class CaseAnswerIn(serializers.Serializer[Any]):
    word = serializers.ChoiceField(
        choices=WORDS,
        help_text="accept and refuse: who is asked. name: have somebody else be asked. "
        "end: decommission it, now or once those who rely on it know. "
        "keep: it stays with an owner who moved.",
    )
    reason = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")
    to = PersonRef(required=False, help_text="With name: who is asked.")


class Cases(Listed):
    @extend_schema(
        operation_id="cases_list",
        parameters=[CaseQuery],
        responses={(200, JSON): CaseOut(many=True), **SEARCHING},
    )
    def get(self, request: Request) -> Response:
        """Cases of agents that you see, or in which you are asked; the soonest due first."""
        wanted = query_of(CaseQuery, request)
        if agent := wanted.pop("agent", ""):
            wanted["agent__slug"] = agent
        rows = selectors.visible_to(person_of(request)).filter(**wanted)
        return self.page(request, rows.order_by("due_at", "pk"), CaseOut)


class OneCase(APIView):
    @extend_schema(operation_id="case", responses={(200, JSON): WholeCaseOut, **READING})
    def get(self, request: Request, pk: int) -> Response:
        """One case with its days and what happened, each with the id of its record."""
        return Response(WholeCaseOut(_visible(request, pk)).data)


class AnswerCase(APIView):
    @extend_schema(
        operation_id="case_answer",
        request=CaseAnswerIn,
        responses={(200, JSON): WholeCaseOut, **WRITING},
    )
    def post(self, request: Request, pk: int) -> Response:
        """Answer what becomes of the agent of a leaver or a mover."""
        given, by = given_in(CaseAnswerIn, request), person_of(request)
        case = _visible(request, pk)
        _answer(case, by, given)
        return Response(WholeCaseOut(_visible_again(case)).data)


def _visible(request: Request, pk: int) -> Case:
    return get_object_or_404(selectors.visible_to(person_of(request)), pk=pk)


def _visible_again(case: Case) -> Case:
    return Case.objects.select_related(*selectors.RELATED, "closed_by").get(pk=case.pk)


def _answer(case: Case, by: Person, given: dict[str, Any]) -> None:
    word, reason = given["word"], given["reason"]
    if word == "name":
        if "to" not in given:
            raise Invalid("Say who is asked.", fields={"to": ["Say who is asked."]})
        services.name_owner(case_id=case.pk, to=given["to"], by=by, reason=reason)
    elif word == "keep":
        movers.keep(case_id=case.pk, by=by, reason=reason)
    else:
        services.answer_one(case_id=case.pk, word=word, by=by, reason=reason)


class LeaverOut(serializers.ModelSerializer[Person]):
    class Meta:
        model = Person
        fields = ["pid", "name", "employment", "last_day"]


class LineOut(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    agent = serializers.CharField(allow_blank=True, help_text="Empty: it is of the leaver.")
    title = serializers.CharField()
    by = serializers.CharField(allow_blank=True)
    text = serializers.CharField(allow_blank=True)
    record = serializers.UUIDField()


class HearerOut(serializers.Serializer[Any]):
    person = serializers.CharField(source="person.pid")
    how = serializers.CharField(help_text="read, sent, on its way, could not be sent, on the site.")
    record = serializers.UUIDField(allow_null=True)


class ToldOut(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    subject = serializers.CharField()
    heard = HearerOut(many=True)


class DeniedOut(serializers.Serializer[Any]):
    agent = serializers.CharField()
    code = serializers.CharField()
    tries = serializers.IntegerField()
    first = serializers.DateTimeField()
    last = serializers.DateTimeField()


class EndedGrantOut(serializers.Serializer[Any]):
    """A grant of who leaves: live, or over because they left."""

    agent = serializers.CharField(source="agent.slug")
    tools = serializers.ListField(child=serializers.CharField())
    given_at = serializers.DateTimeField()
    until = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class WholeLeaverOut(serializers.Serializer[Any]):
    person = LeaverOut()
    cases = CaseOut(many=True)
    story = LineOut(many=True)
    denied = DeniedOut(many=True)
    told = ToldOut(many=True)
    grants = EndedGrantOut(many=True, help_text="For those who see all of the leaver.")


class Leavers(Listed):
    @extend_schema(
        operation_id="leavers_list", responses={(200, JSON): LeaverOut(many=True), **SEARCHING}
    )
    def get(self, request: Request) -> Response:
        """People whose agents wait for another owner."""
        return self.page(request, selectors.flagged_for(person_of(request)), LeaverOut)


class OneLeaver(APIView):
    @extend_schema(operation_id="leaver", responses={(200, JSON): WholeLeaverOut, **READING})
    def get(self, request: Request, pid: str) -> Response:
        """What became of the agents of one leaver, each line with the id of its record."""
        by = person_of(request)
        found = get_object_or_404(Person.objects.select_related("manager"), pid=pid)
        permissions.check_can_see_leaver(found, by)
        shown = page.page_of(found, by)
        story = shown["story"]
        body = {
            "person": found,
            "cases": [row.case for row in shown["rows"]],
            "story": story.lines if story else [],
            "denied": story.denied if story else [],
            "told": shown["told"],
            "grants": shown["grants"],
        }
        return Response(WholeLeaverOut(body).data)
