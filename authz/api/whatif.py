"""Previews, simulations and coverage over REST: for people, by the session of the site."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from authz import permissions, services, wire
from authz.api import whatif_serializers as shapes
from authz.coverage import coverage
from authz.errors import BadRequest
from authz.models import Preview
from authz.preview import telling
from authz.simulate import simulate
from authz.tasks import set_off
from governance.kernel import clock
from governance.kernel.api import PROBLEM, Pages, Problem
from governance.kernel.errors import NotFound, NotSignedIn
from registry.models import Person

_JSON = "application/json"
_SAID = {
    400: "Something in the input is not right; `errors` names the fields.",
    401: "Nobody is signed in.",
    403: "You may not do this; the detail says who can. Or the CSRF token is missing.",
    404: "There is no such thing, or you may not see it.",
    409: "It runs already, or someone was first.",
    415: "The body is not application/json.",
}


def _problems(*codes: int) -> dict[Any, OpenApiResponse]:
    return {(code, PROBLEM): OpenApiResponse(Problem, description=_SAID[code]) for code in codes}


_ID = OpenApiParameter("id", UUID, OpenApiParameter.PATH)


def _id(text: str) -> UUID:
    """Anything may stand in an address; what is no id names no preview."""
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound("There is no such preview.") from error


def _by(request: Request) -> Person:
    if isinstance(request.user, Person):
        return request.user
    raise NotSignedIn()


class Previews(APIView):
    @extend_schema(
        operation_id="preview_ask",
        tags=["what if"],
        request=shapes.PreviewIn,
        responses={(201, _JSON): shapes.PreviewOut, **_problems(400, 401, 403, 404, 415)},
    )
    def post(self, request: Request) -> Response:
        """Compare a change with recorded decisions. A large comparison goes on after the answer."""
        given = shapes.PreviewIn(data=request.data)
        given.is_valid(raise_exception=True)
        preview = services.ask_preview(by=_by(request), **given.validated_data)
        set_off(preview)
        body = _preview(services.preview_seen_by(_by(request), preview.pk))
        return Response(body, status=status.HTTP_201_CREATED)


class OnePreview(APIView):
    @extend_schema(
        operation_id="preview",
        tags=["what if"],
        parameters=[_ID],
        responses={(200, _JSON): shapes.PreviewOut, **_problems(401, 403, 404)},
    )
    def get(self, request: Request, pk: str) -> Response:
        """How far a preview is, and what it found."""
        return Response(_preview(services.preview_seen_by(_by(request), _id(pk))))


class PreviewDifferences(APIView):
    pagination_class = Pages

    @extend_schema(
        operation_id="preview_differences",
        tags=["what if"],
        parameters=[_ID],
        responses={(200, _JSON): shapes.DifferenceOut(many=True), **_problems(401, 403, 404)},
    )
    def get(self, request: Request, pk: str) -> Response:
        """The calls that would be decided otherwise, newest first, with both walks."""
        preview = services.preview_seen_by(_by(request), _id(pk))
        rows = preview.differences.filter(moved=False)
        pages = self.pagination_class()
        found = pages.paginate_queryset(rows, request, view=self) or []
        return pages.get_paginated_response(shapes.DifferenceOut(found, many=True).data)


def _preview(preview: Preview) -> Mapping[str, Any]:
    result = preview.result
    told = {
        "id": preview.pk,
        "state": preview.state,
        "title": telling.title(preview),
        "summary": preview.summary,
        "change": preview.change,
        "by": preview.by.pid,
        "at": preview.at,
        "days": preview.days,
        "most": preview.most,
        "total": preview.total,
        "done": preview.done,
        "failure": preview.failure,
        "compared": result.get("compared", 0),
        "turns": result.get("turns", {}),
        "moved": result.get("moved", 0),
        "watched": result.get("watched", 0),
        "left_out": result.get("left_out", 0),
        "unjudgeable": result.get("unjudgeable", {}),
        "damaged": result.get("damaged", 0),
    }
    return shapes.PreviewOut(told).data


class Simulations(APIView):
    @extend_schema(
        operation_id="simulation",
        tags=["what if"],
        request=shapes.SimulationIn,
        responses={(200, _JSON): shapes.SimulationOut, **_problems(400, 401, 403, 415)},
    )
    def post(self, request: Request) -> Response:
        """What `/access/v1/evaluation` would answer to this body now, or `at` another instant."""
        ask = wire.read_evaluation(request.data)
        body = dict(request.data)
        at, gateway = _instant(body.get("at")), body.get("gateway", "")
        if not isinstance(gateway, str):
            raise BadRequest("gateway must be a string.")
        found = simulate(ask, by=_by(request), now=at, gateway=gateway)
        answer = Response(shapes.SimulationOut(shapes.simulation(found)).data)
        answer["Cache-Control"] = "no-store"
        return answer


def _instant(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
        if found is None or found.tzinfo is None:
            raise BadRequest("at must be an instant with its zone, such as 2026-11-23T14:00:00Z.")
    except ValueError as error:
        raise BadRequest("at must be an instant, such as 2026-11-23T14:00:00Z.") from error
    if not clock.is_usable(found):
        raise BadRequest(f"Choose a time from {clock.USABLE}.")
    return found


class Coverage(APIView):
    @extend_schema(
        operation_id="coverage",
        tags=["what if"],
        responses={(200, _JSON): shapes.CoverageOut, **_problems(401, 403)},
    )
    def get(self, request: Request) -> Response:
        """What no policy governs, nobody holds and nobody uses."""
        permissions.check_can_see_coverage(_by(request))
        return Response(shapes.CoverageOut(coverage()).data)
