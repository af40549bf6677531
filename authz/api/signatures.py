"""Denied signatures over REST."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from authz import services
from authz.engine.signatures import MAX_PATTERN
from authz.models import Signature
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
from registry.enums import ToolEffect


class SignatureOut(serializers.ModelSerializer[Signature]):
    class Meta:
        model = Signature
        fields = ["slug", "pattern", "reason", "effects", "tools", "is_active"]


class SignatureIn(serializers.Serializer[Any]):
    pattern = serializers.CharField(
        max_length=MAX_PATTERN, required=False, help_text="RE2, over plain text in lower case."
    )
    reason = serializers.CharField(max_length=300, required=False)
    effects = serializers.ListField(
        child=serializers.ChoiceField(choices=ToolEffect.choices), required=False, max_length=6
    )
    tools = serializers.ListField(
        child=serializers.CharField(max_length=120), required=False, max_length=100
    )
    is_active = serializers.BooleanField(required=False)


class NewSignatureIn(SignatureIn):
    slug = serializers.CharField(max_length=60)
    pattern = serializers.CharField(max_length=MAX_PATTERN)
    reason = serializers.CharField(max_length=300)


_WAITING = waiting_answer("Signature", SignatureOut)


class Signatures(Listed):
    @extend_schema(
        operation_id="signatures_list",
        responses={(200, JSON): SignatureOut(many=True), **LISTING},
    )
    def get(self, request: Request) -> Response:
        """Denied signatures, by slug."""
        person_of(request)
        return self.page(request, Signature.objects.order_by("slug"), SignatureOut)

    @extend_schema(request=NewSignatureIn, responses={(201, JSON): SignatureOut, **WRITING})
    def post(self, request: Request) -> Response:
        """Add a denied signature; it is in force at once."""
        given, by = given_in(NewSignatureIn, request), person_of(request)
        if Signature.objects.filter(slug=given["slug"]).exists():
            raise Conflict("A signature of this name is there. Change it with PATCH.")
        return answer_saved(services.save_signature(by=by, **given), SignatureOut, created=True)


class OneSignature(APIView):
    @extend_schema(responses={(200, JSON): SignatureOut, **READING})
    def get(self, request: Request, slug: str) -> Response:
        """One denied signature."""
        person_of(request)
        return Response(SignatureOut(get_object_or_404(Signature, slug=slug)).data)

    @extend_schema(
        request=SignatureIn, responses={(200, JSON): SignatureOut, **_WAITING, **WRITING}
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Change a signature. What lets more through is proposed, and answered 202."""
        by = person_of(request)
        get_object_or_404(Signature, slug=slug)
        given = given_in(SignatureIn, request)
        return answer_saved(services.save_signature(slug=slug, by=by, **given), SignatureOut)

    @extend_schema(responses={(200, JSON): SignatureOut, **_WAITING, **ACTING})
    def delete(self, request: Request, slug: str) -> Response:
        """Take a signature out. One in force stays until a second person agrees: 202."""
        return answer_saved(
            services.remove_signature(slug=slug, by=person_of(request)), SignatureOut
        )
