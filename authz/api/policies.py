"""Policies over REST: the same services and permissions as the pages."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from authz import pages, permissions, selectors, services
from authz.api import shapes
from authz.cases import Tested, read_cases, with_pids
from authz.models import Policy
from registry.api.operations import (
    ACTING,
    JSON,
    LISTING,
    READING,
    SEARCHING,
    WRITING,
    Listed,
    given_in,
    person_of,
    query_of,
)

_ONE: dict[Any, Any] = {(200, JSON): shapes.PolicyOut}


def _version(slug: str, number: int) -> Policy:
    return get_object_or_404(selectors.versions_of(slug), version=number)


def _told(policy: Policy) -> Response:
    return Response(shapes.PolicyOut(selectors.versions_of(policy.slug).get(pk=policy.pk)).data)


class Policies(Listed):
    @extend_schema(
        operation_id="policies_list",
        parameters=[shapes.PolicyQuery],
        responses={(200, JSON): shapes.PolicyOut(many=True), **SEARCHING},
    )
    def get(self, request: Request) -> Response:
        """Versions: without `state` those that wait, drafts, and what is in force."""
        person_of(request)
        asked = query_of(shapes.PolicyQuery, request)
        rows = selectors.policies_listed(asked.get("state", ""), asked.get("q", ""))
        return self.page(request, rows, shapes.PolicyOut)


class Check(APIView):
    @extend_schema(request=shapes.TextIn, responses={(200, JSON): shapes.CheckedOut, **WRITING})
    def post(self, request: Request) -> Response:
        """What is wrong with a text, and what its cases come to. Nothing is saved."""
        permissions.check_can_propose_policies(person_of(request))
        given = given_in(shapes.TextIn, request)
        cases = with_pids(read_cases(given.get("cases", [])))
        return _checked(pages.Written(given["slug"], given["text"], cases))


def _checked(written: Tested) -> Response:
    return Response(shapes.CheckedOut(pages.preview(written)).data)


class Versions(Listed):
    @extend_schema(
        operation_id="policy_versions_list",
        responses={(200, JSON): shapes.PolicyOut(many=True), **LISTING},
    )
    def get(self, request: Request, slug: str) -> Response:
        """Every version of one policy, newest first."""
        person_of(request)
        get_object_or_404(Policy.objects.filter(slug=slug)[:1])
        return self.page(request, selectors.versions_of(slug), shapes.PolicyOut)


class OneVersion(APIView):
    @extend_schema(responses={**_ONE, **READING})
    def get(self, request: Request, slug: str, number: int) -> Response:
        """One version."""
        person_of(request)
        return _told(_version(slug, number))


class RunCases(APIView):
    @extend_schema(request=None, responses={(200, JSON): shapes.CheckedOut, **ACTING})
    def post(self, request: Request, slug: str, number: int) -> Response:
        """Check a version against the register as it is now, and run its cases."""
        person_of(request)
        return _checked(_version(slug, number))


class Draft(APIView):
    @extend_schema(request=shapes.DraftIn, responses={**_ONE, **WRITING})
    def put(self, request: Request, slug: str) -> Response:
        """Save the draft, or begin one. 409 where someone saved it after you read it."""
        given = given_in(shapes.DraftIn, request)
        seen = given.pop("seen")
        draft = services.PolicyDraft(slug=slug, **given)
        return _told(services.save_draft(draft=draft, by=person_of(request), seen=seen))


class Propose(APIView):
    @extend_schema(request=shapes.SeenIn, responses={**_ONE, **WRITING})
    def post(self, request: Request, slug: str, number: int) -> Response:
        """Send a draft on: in force at once where it only narrows, else proposed."""
        found, given = _version(slug, number), given_in(shapes.SeenIn, request)
        return _told(services.propose_draft(policy_id=found.pk, by=person_of(request), **given))


class Discard(APIView):
    @extend_schema(request=shapes.SeenIn, responses={**_ONE, **WRITING})
    def post(self, request: Request, slug: str, number: int) -> Response:
        """Give a draft up."""
        found, given = _version(slug, number), given_in(shapes.SeenIn, request)
        return _told(services.discard_draft(policy_id=found.pk, by=person_of(request), **given))


class Agree(APIView):
    @extend_schema(request=shapes.AnswerIn, responses={**_ONE, **WRITING})
    def post(self, request: Request, slug: str, number: int) -> Response:
        """The second person's yes: it comes into force, if its cases still pass."""
        found, given = _version(slug, number), given_in(shapes.AnswerIn, request)
        return _told(services.agree_policy(policy_id=found.pk, by=person_of(request), **given))


class Reject(APIView):
    @extend_schema(request=shapes.RejectIn, responses={**_ONE, **WRITING})
    def post(self, request: Request, slug: str, number: int) -> Response:
        """The second person's no, with the reason."""
        found, given = _version(slug, number), given_in(shapes.RejectIn, request)
        return _told(services.reject_policy(policy_id=found.pk, by=person_of(request), **given))


class Withdraw(APIView):
    @extend_schema(request=None, responses={**_ONE, **ACTING})
    def post(self, request: Request, slug: str, number: int) -> Response:
        """Take one's own proposal back."""
        found = _version(slug, number)
        return _told(services.withdraw_policy(policy_id=found.pk, by=person_of(request)))


class Retire(APIView):
    @extend_schema(request=shapes.WhyIn, responses={**_ONE, **WRITING})
    def post(self, request: Request, slug: str) -> Response:
        """Take a policy out of force; what forbids stays until a second person agrees."""
        given = given_in(shapes.WhyIn, request)
        return _told(services.retire_policy(slug=slug, by=person_of(request), **given))
