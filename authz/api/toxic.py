"""Toxic combinations over REST."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from authz import services
from authz.models import ToxicCombination
from governance.kernel.errors import Conflict
from registry.api.operations import (
    ACTING,
    JSON,
    LISTING,
    READING,
    WRITING,
    Listed,
    answer_saved,
    given_in,
    person_of,
    waiting_answer,
)
from registry.enums import CombinedEffect, Tier


class ToxicOut(serializers.ModelSerializer[ToxicCombination]):
    class Meta:
        model = ToxicCombination
        fields = [
            *("slug", "categories", "effects", "implied_tier", "reason", "reference"),
            *("only_listed", "is_active", "version"),
        ]


class ToxicIn(serializers.Serializer[Any]):
    categories = serializers.ListField(
        child=serializers.CharField(max_length=60), required=False, max_length=8
    )
    effects = serializers.ListField(
        child=serializers.ChoiceField(choices=CombinedEffect.choices), required=False, max_length=7
    )
    implied_tier = serializers.ChoiceField(choices=Tier.choices, required=False)
    reason = serializers.CharField(max_length=300, required=False)
    reference = serializers.CharField(max_length=300, required=False, allow_blank=True)
    only_listed = serializers.BooleanField(required=False)
    is_active = serializers.BooleanField(required=False)


class NewToxicIn(ToxicIn):
    slug = serializers.CharField(max_length=60)
    implied_tier = serializers.ChoiceField(choices=Tier.choices)
    reason = serializers.CharField(max_length=300)


_WAITING = waiting_answer("ToxicCombination", ToxicOut)


class ToxicCombinations(Listed):
    @extend_schema(
        operation_id="toxic_combinations_list",
        responses={(200, JSON): ToxicOut(many=True), **LISTING},
    )
    def get(self, request: Request) -> Response:
        """The catalogue of toxic combinations, by slug."""
        person_of(request)
        return self.page(request, ToxicCombination.objects.order_by("slug"), ToxicOut)

    @extend_schema(request=NewToxicIn, responses={(201, JSON): ToxicOut, **WRITING})
    def post(self, request: Request) -> Response:
        """Add a combination; it counts at once, and everything that exists is checked."""
        given, by = given_in(NewToxicIn, request), person_of(request)
        if ToxicCombination.objects.filter(slug=given["slug"]).exists():
            raise Conflict("A combination of this name is there. Change it with PATCH.")
        return answer_saved(services.save_toxic(by=by, **given), ToxicOut, created=True)


class OneToxicCombination(APIView):
    @extend_schema(responses={(200, JSON): ToxicOut, **READING})
    def get(self, request: Request, slug: str) -> Response:
        """One toxic combination."""
        person_of(request)
        return Response(ToxicOut(get_object_or_404(ToxicCombination, slug=slug)).data)

    @extend_schema(request=ToxicIn, responses={(200, JSON): ToxicOut, **_WAITING, **WRITING})
    def patch(self, request: Request, slug: str) -> Response:
        """Change a combination. What would guard less is proposed, and answered 202."""
        by = person_of(request)
        get_object_or_404(ToxicCombination, slug=slug)
        given = given_in(ToxicIn, request)
        return answer_saved(services.save_toxic(slug=slug, by=by, **given), ToxicOut)

    @extend_schema(responses={(200, JSON): ToxicOut, **_WAITING, **ACTING})
    def delete(self, request: Request, slug: str) -> Response:
        """Take a combination out. One in force stays until a second person agrees: 202."""
        return answer_saved(services.remove_toxic(slug=slug, by=person_of(request)), ToxicOut)
