"""Answering a periodic review over REST. It is listed and read as every review."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from lifecycle.decommissioning.api import EndOrderOf
from lifecycle.models.reviews import ReviewOutcome
from lifecycle.reviews import looking
from lifecycle.reviews.api import ReviewOut, step_of
from lifecycle.reviews.periodic import services
from registry.api.operations import JSON, WRITING, given_in, person_of


class AnswerStepIn(serializers.Serializer[Any]):
    digest = serializers.CharField(max_length=64, help_text="Of the review as it was read.")
    outcome = serializers.ChoiceField(choices=ReviewOutcome.choices)
    purpose = serializers.BooleanField(help_text=looking.QUESTIONS[0].asks)
    reach = serializers.BooleanField(help_text=looking.QUESTIONS[1].asks)
    people = serializers.BooleanField(help_text=looking.QUESTIONS[2].asks)
    drop = serializers.ListField(
        child=serializers.CharField(max_length=255),
        required=False,
        max_length=1000,
        help_text="Tools that it loses, where it goes on with less.",
    )
    reason = serializers.CharField(max_length=2000, required=False, allow_blank=True)


class AnsweredReviewOut(ReviewOut):
    end_order = EndOrderOf()

    class Meta(ReviewOut.Meta):
        fields = [*ReviewOut.Meta.fields, "end_order"]


class AnswerStep(APIView):
    @extend_schema(
        operation_id="review_answer_step",
        request=AnswerStepIn,
        responses={(200, JSON): AnsweredReviewOut, **WRITING},
    )
    def post(self, request: Request, pk: int, step: int) -> Response:
        """Say what comes of a periodic review. Less than before holds at once."""
        given = given_in(AnswerStepIn, request)
        answers = {each.name: given.pop(each.name) for each in looking.QUESTIONS}
        outcome = ReviewOutcome(given.pop("outcome"))
        review = services.answer_periodic(
            step_id=step_of(request, pk, step),
            by=person_of(request),
            outcome=outcome,
            answers=answers,
            **given,
        )
        return Response(AnsweredReviewOut(review).data)
