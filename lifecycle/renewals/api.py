"""Renewals over REST: what is due, the questions about one agent, the answers, the badge."""

from __future__ import annotations

import hashlib
from typing import Any

from django.http import HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.utils.cache import get_conditional_response, patch_vary_headers
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
)
from rest_framework import serializers, status
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.kernel import clock
from governance.kernel.errors import NotFound
from lifecycle.decommissioning.api import EndOrderOf
from lifecycle.models import Attestation
from lifecycle.renewals import badge, rules, selectors, services
from registry.api.authentication import CommandLine, PersonSession
from registry.api.operations import (
    ACTING,
    JSON,
    READING,
    SEARCHING,
    WRITING,
    Listed,
    given_in,
    person_of,
    problems,
    query_of,
)
from registry.api.serializers import ProposedOut
from registry.identity.rest import AgentToken, TokenBearer
from registry.models import Agent, Person
from registry.services.agents import today_of

CACHED_SECONDS = 300


class RenewalQuery(serializers.Serializer[Any]):
    mine = serializers.BooleanField(
        required=False, help_text="Only agents that I own or stand in for."
    )


class DueRenewalOut(serializers.ModelSerializer[Agent]):
    agent = serializers.CharField(source="slug")
    owner = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True)
    backup_owner = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True)
    until = serializers.DateTimeField(
        source="ends_at", allow_null=True, help_text="When it ends if nobody answers."
    )

    class Meta:
        model = Agent
        fields = ["agent", "state", "owner", "backup_owner", "renewal_due", "until"]


class HeldOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    last_used = serializers.DateTimeField(allow_null=True)
    uses = serializers.IntegerField()
    drop = serializers.BooleanField(help_text="Whether it is taken away unless you say otherwise.")
    note = serializers.CharField(allow_blank=True)


class AttestationOut(serializers.ModelSerializer[Attestation]):
    agent = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    by = serializers.SlugRelatedField[Any](slug_field="pid", read_only=True)

    class Meta:
        model = Attestation
        fields = [
            *("agent", "by", "at", "due_on", "next_due", "answer", "tier", "row_version", "days"),
            *("held", "used", "dropped", "kept_unused", "revoked", "still_required", "reason"),
        ]


class AnsweredOut(AttestationOut):
    end_order = EndOrderOf()

    class Meta(AttestationOut.Meta):
        fields = [*AttestationOut.Meta.fields, "end_order"]


class RenewalOut(serializers.Serializer[Any]):
    """The three questions about an agent, beside what it used."""

    agent = serializers.CharField()
    renewal_due = serializers.DateField(allow_null=True)
    asked_from = serializers.DateField(allow_null=True)
    until = serializers.DateTimeField(
        allow_null=True, help_text="When it ends if nobody answers; null while nobody is asked."
    )
    days = serializers.IntegerField(help_text="Over how many days use is shown.")
    used = serializers.IntegerField()
    held = serializers.IntegerField()
    tools = HeldOut(many=True)
    credentials = HeldOut(many=True)
    seen = serializers.CharField(help_text="Send it with your answer: it names what you have read.")
    attestations = AttestationOut(many=True)


class RenewIn(serializers.Serializer[Any]):
    needed = serializers.BooleanField(
        help_text="false ends the agent: now, or once those who rely on it know."
    )
    seen = serializers.CharField(max_length=64)
    drop = serializers.ListField(
        child=serializers.CharField(max_length=255), required=False, max_length=1000
    )
    revoke = serializers.ListField(
        child=serializers.CharField(max_length=300), required=False, max_length=1000
    )
    reason = serializers.CharField(max_length=500, required=False, allow_blank=True)


class ExtendIn(serializers.Serializer[Any]):
    until = serializers.DateField()
    reason = serializers.CharField(max_length=500)


class Renewals(Listed):
    @extend_schema(
        operation_id="renewals_list",
        tags=["renewals"],
        parameters=[RenewalQuery],
        responses={(200, JSON): DueRenewalOut(many=True), **SEARCHING},
    )
    def get(self, request: Request) -> Response:
        """Agents whose owners are asked now, soonest due first."""
        person, wanted = person_of(request), query_of(RenewalQuery, request)
        rows = selectors.due_for(person, today_of(person))
        rows = selectors.of_person(rows, person) if wanted.get("mine") else rows
        return self.page(request, rows, DueRenewalOut)


class OneRenewal(APIView):
    @extend_schema(
        operation_id="renewal", tags=["renewals"], responses={(200, JSON): RenewalOut, **READING}
    )
    def get(self, request: Request, slug: str) -> Response:
        """What is asked about an agent, beside what it used of what it holds."""
        return Response(RenewalOut(_asked(_visible(slug, person_of(request)))).data)

    @extend_schema(
        operation_id="renew",
        tags=["renewals"],
        request=RenewIn,
        responses={(201, JSON): AnsweredOut, **WRITING},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Answer: it goes on, with what is not dropped or revoked; or it ends. Nothing widens."""
        person, given = person_of(request), given_in(RenewIn, request)
        agent = _visible(slug, person)
        needed, reason = given.pop("needed"), given.pop("reason", "")
        if needed:
            told = services.renew(agent_id=agent.pk, by=person, reason=reason, **given)
        else:
            told = services.end(agent_id=agent.pk, by=person, reason=reason, seen=given["seen"])
        return Response(AnsweredOut(told).data, status=status.HTTP_201_CREATED)


class Extension(APIView):
    @extend_schema(
        operation_id="renewal_extend",
        tags=["renewals"],
        request=ExtendIn,
        responses={(202, JSON): ProposedOut, **ACTING},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Ask for more time, once, 30 days at most. It holds when security agrees."""
        person, given = person_of(request), given_in(ExtendIn, request)
        agent = _visible(slug, person)
        change = services.ask_for_extension(agent_id=agent.pk, by=person, **given)
        return Response(ProposedOut(change).data, status=status.HTTP_202_ACCEPTED)


def _visible(slug: str, person: Person) -> Agent:
    rows = Agent.objects.visible_to(person).select_related("owner", "backup_owner")
    return get_object_or_404(rows, slug=slug)


def _asked(agent: Agent) -> dict[str, Any]:
    asked, case = selectors.asked_about(agent, clock.now()), selectors.case_of(agent)
    return {
        "agent": agent.slug,
        "renewal_due": agent.renewal_due,
        "asked_from": rules.opens_on(agent.renewal_due) if agent.renewal_due else None,
        "until": case.due_at if case else None,
        "days": asked.days,
        "used": asked.used,
        "held": len(asked.tools),
        "tools": asked.tools,
        "credentials": asked.credentials,
        "seen": asked.seen,
        "attestations": selectors.attestations_of(agent)[:20],
    }


# The badge


class BadgeOut(serializers.Serializer[Any]):
    """An endpoint as shields.io reads it."""

    schemaVersion = serializers.IntegerField()  # noqa: N815 - shields.io's names
    label = serializers.CharField()  # type: ignore[assignment]
    message = serializers.CharField()
    color = serializers.CharField()
    isError = serializers.BooleanField()  # noqa: N815
    cacheSeconds = serializers.IntegerField()  # noqa: N815


KEY = OpenApiParameter("key", str, description="The badge's key; nobody need be signed in.")


class AnyAnswer(BaseContentNegotiation):
    """A picture is a picture, whatever its reader says that it takes."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class _OfBadge(APIView):
    authentication_classes = (AgentToken, PersonSession, CommandLine)
    permission_classes = ()
    content_negotiation_class = AnyAnswer

    def found(self, request: Request, slug: str) -> badge.Badge:
        """The badge, for its key, for who sees the agent, and for the agent itself."""
        agent = Agent.objects.select_related("owner").filter(slug=slug).first()
        if agent is None or not _may_read(request, agent):
            raise NotFound("There is no such badge.")
        return badge.badge_of(agent, clock.now())


class BadgePicture(_OfBadge):
    @extend_schema(
        operation_id="agent_badge_picture",
        tags=["renewals"],
        parameters=[KEY],
        responses={(200, "image/svg+xml"): OpenApiResponse(str), **problems(401, 404)},
    )
    def get(self, request: Request, slug: str) -> HttpResponseBase:
        """State and dates of an agent as a picture for a README."""
        found = self.found(request, slug)
        text = render_to_string("lifecycle/renewals/badge.svg", found.picture())
        return _cached(request, HttpResponse(text, content_type="image/svg+xml; charset=utf-8"))


class BadgeDocument(_OfBadge):
    @extend_schema(
        operation_id="agent_badge",
        tags=["renewals"],
        parameters=[KEY],
        responses={(200, JSON): BadgeOut, **problems(401, 404)},
    )
    def get(self, request: Request, slug: str) -> HttpResponseBase:
        """The same as an endpoint that shields.io reads (schemaVersion 1)."""
        return _cached(request, JsonResponse(self.found(request, slug).document()))


def _may_read(request: Request, agent: Agent) -> bool:
    if isinstance(request.user, TokenBearer):
        return request.user.agent is not None and request.user.agent.pk == agent.pk
    if isinstance(request.user, Person) and _sees(request.user, agent):
        return True
    key = request.query_params.get("key", "")
    return bool(key) and len(key) <= 64 and badge.opens(agent, key)


def _sees(person: Person, agent: Agent) -> bool:
    return Agent.objects.visible_to(person).filter(pk=agent.pk).exists()


def _cached(request: Request, response: HttpResponse) -> HttpResponseBase:
    """Five minutes, for everyone where the address itself is the key; 304 where it is the same."""
    reach = "public" if request.query_params.get("key") else "private"
    response["Cache-Control"] = f"{reach}, max-age={CACHED_SECONDS}"
    response["X-Content-Type-Options"] = "nosniff"
    etag = f'"{hashlib.sha256(response.content).hexdigest()[:32]}"'
    response["ETag"] = etag
    patch_vary_headers(response, ["Cookie", "Authorization"])
    again = get_conditional_response(request._request, etag=etag, response=response)
    return again or response
