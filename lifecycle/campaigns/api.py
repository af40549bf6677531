"""Campaigns over REST: started by security, answered by those who are asked."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from lifecycle.campaigns import selectors, services
from lifecycle.campaigns.candidates import look_up
from lifecycle.campaigns.reading import CSV, MAX_BYTES, read_rows
from lifecycle.imports import KINDS
from lifecycle.models.campaigns import Campaign, Candidate, CandidateState
from lifecycle.permissions import check_can_run_campaigns
from registry.api.operations import JSON, LISTING, READING, WRITING, Listed, given_in, person_of


class CampaignIn(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100)
    due = serializers.DateField()
    kind = serializers.ChoiceField(choices=["", CSV, *KINDS], default="")
    text = serializers.CharField(max_length=MAX_BYTES, default="", allow_blank=True)
    callers = serializers.BooleanField(default=False)


class CampaignOut(serializers.Serializer[Any]):
    """One campaign and how far it is."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    started_by = serializers.EmailField(source="started_by.email")
    started_at = serializers.DateTimeField()
    due = serializers.DateField()
    closed_at = serializers.DateTimeField(allow_null=True)
    counted = serializers.SerializerMethodField()

    def get_counted(self, campaign: Campaign) -> dict[str, int]:
        """How many candidates stand where."""
        return {str(state): many for state, many in selectors.counted(campaign)}


class CandidateOut(serializers.Serializer[Any]):
    """One thing that runs, as it was found."""

    id = serializers.IntegerField(source="pk")
    campaign = serializers.IntegerField(source="campaign_id")
    kind = serializers.CharField()
    slug = serializers.CharField()
    name = serializers.CharField()
    found = serializers.DictField()
    problems = serializers.ListField(child=serializers.CharField())
    state = serializers.ChoiceField(choices=CandidateState.choices)
    owner = serializers.EmailField(source="owner.email", default=None, allow_null=True)
    answer = serializers.CharField()
    agent = serializers.CharField(source="agent.slug", default=None, allow_null=True)


class CandidatesIn(serializers.Serializer[Any]):
    candidates = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1), max_length=1_000
    )


class CandidatesDeclinedIn(CandidatesIn):
    reason = serializers.CharField(max_length=500)
    other = serializers.EmailField(
        required=False, default="", allow_blank=True, help_text="Whose they are, if you know."
    )


class CandidatesAnsweredOut(serializers.Serializer[Any]):
    """What moved, and why the rest did not."""

    moved = CandidateOut(many=True)
    left = serializers.DictField(child=serializers.CharField())


class Campaigns(Listed):
    @extend_schema(
        operation_id="campaigns_list",
        tags=["campaigns"],
        responses={(200, JSON): CampaignOut(many=True), **LISTING},
    )
    def get(self, request: Request) -> Response:
        """Campaigns, newest first."""
        check_can_run_campaigns(person_of(request))
        return self.page(request, Campaign.objects.select_related("started_by"), CampaignOut)

    @extend_schema(
        operation_id="campaign_start",
        tags=["campaigns"],
        request=CampaignIn,
        responses={(201, JSON): CampaignOut, **WRITING},
    )
    def post(self, request: Request) -> Response:
        """Read a list of what runs, keep every row, and ask the proposed owners."""
        given, by = given_in(CampaignIn, request), person_of(request)
        check_can_run_campaigns(by)
        raw = given["text"].encode()
        rows = read_rows(raw, kind=given["kind"]) if raw.strip() else []
        campaign = services.start_campaign(
            name=given["name"],
            due=given["due"],
            looked=look_up(rows, with_callers=given["callers"]),
            by=by,
        )
        return Response(CampaignOut(campaign).data, status=status.HTTP_201_CREATED)


class CandidatesOf(Listed):
    @extend_schema(
        operation_id="campaign_candidates",
        tags=["campaigns"],
        responses={(200, JSON): CandidateOut(many=True), **LISTING, **READING},
    )
    def get(self, request: Request, pk: int) -> Response:
        """Every candidate of a campaign, in the order of its list."""
        check_can_run_campaigns(person_of(request))
        campaign = get_object_or_404(Campaign, pk=pk)
        return self.page(
            request, campaign.candidates.select_related("owner", "agent"), CandidateOut
        )


class Mine(Listed):
    @extend_schema(
        operation_id="candidates_mine",
        tags=["campaigns"],
        responses={(200, JSON): CandidateOut(many=True), **LISTING},
    )
    def get(self, request: Request) -> Response:
        """What you are asked to accept."""
        rows = selectors.asked_of(person_of(request)).select_related("owner", "agent")
        return self.page(request, rows, CandidateOut)


class Accept(APIView):
    @extend_schema(
        tags=["campaigns"],
        request=CandidatesIn,
        responses={(200, JSON): CandidatesAnsweredOut, **WRITING},
    )
    def post(self, request: Request) -> Response:
        """They are yours: each becomes a draft that you own."""
        given = given_in(CandidatesIn, request)
        done = services.accept_candidates(candidate_ids=given["candidates"], by=person_of(request))
        return _answered(done)


class Decline(APIView):
    @extend_schema(
        tags=["campaigns"],
        request=CandidatesDeclinedIn,
        responses={(200, JSON): CandidatesAnsweredOut, **WRITING},
    )
    def post(self, request: Request) -> Response:
        """They are not yours: say why, and whose they are if you know."""
        given = given_in(CandidatesDeclinedIn, request)
        done = services.decline_candidates(
            candidate_ids=given["candidates"],
            by=person_of(request),
            reason=given["reason"],
            other=given["other"],
        )
        return _answered(done)


def _answered(done: services.Answered) -> Response:
    moved = [Candidate.objects.select_related("owner", "agent").get(pk=o.pk) for o in done.moved]
    left = {str(key): sentence for key, sentence in done.left.items()}
    return Response(CandidatesAnsweredOut({"moved": moved, "left": left}).data)
