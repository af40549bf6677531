"""Reviews over REST: the queues, one review, its answers, and absences."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.kernel.errors import NotFound
from lifecycle.models import Review, ReviewEvent, ReviewStep
from lifecycle.models.reviews import ReviewKind, ReviewState
from lifecycle.reviews import selectors, services
from lifecycle.reviews.reading import text_of
from registry import services as register
from registry.api.operations import (
    ACTING,
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
from registry.models import Absence


class ReviewStepOut(serializers.ModelSerializer[ReviewStep]):
    system = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    answered_by = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True)
    stands_in_for = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True)

    class Meta:
        model = ReviewStep
        fields = [
            *("id", "role", "system", "why", "days", "due", "state", "answered_by"),
            *("answered_at", "stands_in_for", "reason", "outcome", "answers"),
        ]


class EventOut(serializers.ModelSerializer[ReviewEvent]):
    by = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True)

    class Meta:
        model = ReviewEvent
        fields = ["kind", "at", "by", "role", "text"]


class ReviewOut(serializers.ModelSerializer[Review]):
    agent = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    opened_by = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True)
    what = serializers.SerializerMethodField()
    steps = ReviewStepOut(many=True)

    class Meta:
        model = Review
        fields = [
            *("id", "agent", "kind", "change", "what", "state", "tier", "digest", "opened_by"),
            *("opened_at", "closed_at", "live_at", "due_on", "due_at", "because", "outcome"),
            "steps",
        ]

    def get_what(self, row: Review) -> str:
        return selectors.what_of(row)


class FactOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    value = serializers.CharField(allow_blank=True)


class WholeReviewOut(ReviewOut):
    events = EventOut(many=True)
    facts = serializers.SerializerMethodField()

    class Meta(ReviewOut.Meta):
        fields = [*ReviewOut.Meta.fields, "events", "facts"]

    @extend_schema(responses=FactOut(many=True))
    def get_facts(self, row: Review) -> list[dict[str, str]]:
        return [{"name": name, "value": text_of(said)} for name, said in sorted(row.facts.items())]


class ReviewQuery(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=ReviewState.choices, required=False)
    kind = serializers.ChoiceField(choices=ReviewKind.choices, required=False)
    agent = serializers.CharField(required=False, max_length=60)
    queue = serializers.ChoiceField(
        choices=["mine", "overdue"],
        required=False,
        help_text="Only what I may sign, or what is late.",
    )


class ApproveStepIn(serializers.Serializer[Any]):
    digest = serializers.CharField(max_length=64, help_text="Of the review as it was read.")
    reason = serializers.CharField(max_length=2000, required=False, allow_blank=True)


class RefuseStepIn(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=2000)


class CommentIn(serializers.Serializer[Any]):
    text = serializers.CharField(max_length=2000)


class Reviews(Listed):
    @extend_schema(
        operation_id="reviews_list",
        parameters=[ReviewQuery],
        responses={(200, JSON): ReviewOut(many=True), **SEARCHING},
    )
    def get(self, request: Request) -> Response:
        """Reviews that you may see, soonest due first."""
        wanted = query_of(ReviewQuery, request)
        return self.page(request, selectors.queue(person_of(request), **wanted), ReviewOut)


class OneReview(APIView):
    @extend_schema(responses={(200, JSON): WholeReviewOut, **READING})
    def get(self, request: Request, pk: int) -> Response:
        """One review with its steps, its timeline, and the row as it was read."""
        return Response(WholeReviewOut(_visible(request, pk)).data)


class CommentReview(APIView):
    @extend_schema(request=CommentIn, responses={(201, JSON): EventOut, **WRITING})
    def post(self, request: Request, pk: int) -> Response:
        """Say something in a review."""
        review, given = _visible(request, pk), given_in(CommentIn, request)
        event = services.add_comment(review_id=review.pk, by=person_of(request), text=given["text"])
        return Response(EventOut(event).data, status=status.HTTP_201_CREATED)


class GoLiveReview(APIView):
    @extend_schema(request=None, responses={(200, JSON): ReviewOut, **ACTING})
    def post(self, request: Request, pk: int) -> Response:
        """Try again where everyone has signed and something kept the agent from going live."""
        review = services.go_live(review_id=_visible(request, pk).pk, by=person_of(request))
        return Response(ReviewOut(review).data)


class ApproveStep(APIView):
    @extend_schema(request=ApproveStepIn, responses={(200, JSON): ReviewOut, **WRITING})
    def post(self, request: Request, pk: int, step: int) -> Response:
        """Sign a step, for exactly the row that was read. The last one lets it take effect."""
        given = given_in(ApproveStepIn, request)
        found = step_of(request, pk, step)
        review = services.approve_step(step_id=found, by=person_of(request), **given)
        return Response(ReviewOut(review).data)


class AskForChange(APIView):
    @extend_schema(request=RefuseStepIn, responses={(200, JSON): ReviewOut, **WRITING})
    def post(self, request: Request, pk: int, step: int) -> Response:
        """Send it back, with what must change."""
        given = given_in(RefuseStepIn, request)
        review = services.ask_for_change(
            step_id=step_of(request, pk, step), by=person_of(request), **given
        )
        return Response(ReviewOut(review).data)


class RejectStep(APIView):
    @extend_schema(request=RefuseStepIn, responses={(200, JSON): ReviewOut, **WRITING})
    def post(self, request: Request, pk: int, step: int) -> Response:
        """Say no, with the reason."""
        given = given_in(RefuseStepIn, request)
        review = services.reject_step(
            step_id=step_of(request, pk, step), by=person_of(request), **given
        )
        return Response(ReviewOut(review).data)


class FiguresOut(serializers.Serializer[Any]):
    tier = serializers.CharField()
    hours = serializers.FloatField(allow_null=True)
    live = serializers.IntegerField()


class MetricsOut(serializers.Serializer[Any]):
    days = serializers.IntegerField()
    open = serializers.IntegerField()
    overdue = serializers.IntegerField()
    decided = serializers.IntegerField()
    approved = serializers.IntegerField()
    time_to_live = FiguresOut(many=True)


class ReviewMetrics(APIView):
    @extend_schema(responses={(200, JSON): MetricsOut, **READING})
    def get(self, request: Request) -> Response:
        """Time to live by tier, overdue and approval rate of the last 30 days."""
        return Response(MetricsOut(selectors.metrics_for(person_of(request))).data)


class AbsenceOut(serializers.ModelSerializer[Absence]):
    person = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True)
    stand_in = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True)

    class Meta:
        model = Absence
        fields = ["id", "person", "stand_in", "first_day", "last_day", "reason", "ended_at"]


class AbsenceIn(serializers.Serializer[Any]):
    person = PersonRef(required=False, help_text="Who is away; you, if nobody is named.")
    stand_in = PersonRef()
    first_day = serializers.DateField()
    last_day = serializers.DateField()
    reason = serializers.CharField(max_length=200, required=False, allow_blank=True)


class Absences(Listed):
    @extend_schema(
        operation_id="absences_list",
        responses={(200, JSON): AbsenceOut(many=True), **SEARCHING},
    )
    def get(self, request: Request) -> Response:
        """Absences that concern you; all of them for those who see the whole register."""
        return self.page(request, selectors.absences_for(person_of(request)), AbsenceOut)

    @extend_schema(request=AbsenceIn, responses={(201, JSON): AbsenceOut, **WRITING})
    def post(self, request: Request) -> Response:
        """Name who stands in while you are away."""
        given, by = given_in(AbsenceIn, request), person_of(request)
        absence = register.declare_absence(person=given.pop("person", by), by=by, **given)
        return Response(AbsenceOut(absence).data, status=status.HTTP_201_CREATED)


class EndAbsence(APIView):
    @extend_schema(request=None, responses={(200, JSON): AbsenceOut, **ACTING})
    def post(self, request: Request, pk: int) -> Response:
        """Come back early."""
        by = person_of(request)
        found = get_object_or_404(selectors.absences_for(by), pk=pk)
        return Response(AbsenceOut(register.end_absence(absence_id=found.pk, by=by)).data)


def _visible(request: Request, pk: int) -> Review:
    return get_object_or_404(selectors.visible(person_of(request)), pk=pk)


def step_of(request: Request, pk: int, step: int) -> int:
    if not _visible(request, pk).steps.filter(pk=step).exists():
        raise NotFound()
    return step
