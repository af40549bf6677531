"""What every operation of the REST API shares: who asks, what is given, how it is answered."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from drf_spectacular.utils import OpenApiResponse, inline_serializer
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from governance.kernel.api import PROBLEM, Pages, Problem
from governance.kernel.errors import NotSignedIn
from registry.api import serializers as shapes
from registry.models import Person

M = TypeVar("M", bound=Model)

SAID = {
    400: "Something in the input is not right; `errors` names the fields.",
    401: "Nobody is signed in.",
    403: "You may not do this; the detail says who can. Or the CSRF token is missing.",
    404: "There is no such thing, or you may not see it.",
    409: "Its state does not allow this, or someone was first.",
    415: "The body is not application/json.",
}


def problems(*codes: int) -> dict[Any, OpenApiResponse]:
    return {(code, PROBLEM): OpenApiResponse(Problem, description=SAID[code]) for code in codes}


JSON = "application/json"
READING = problems(401, 403, 404)
LISTING = problems(401, 403, 404)
SEARCHING = problems(400, 401, 403, 404)
ACTING = problems(400, 401, 403, 404, 409)
WRITING = problems(400, 401, 403, 404, 409, 415)


def waiting_answer(name: str, shape: type[BaseSerializer[Any]]) -> dict[Any, Any]:
    """The answer where a second person must agree: the row as it is, and what waits."""
    fields: dict[str, Any] = {"row": shape(), "proposed": shapes.ProposedOut(many=True)}
    body = inline_serializer(f"{name}Waiting", fields)
    return {(202, JSON): OpenApiResponse(body, description="A second person must agree.")}


def person_of(request: Request) -> Person:
    """Who is signed in; raises `NotSignedIn` for nobody."""
    if isinstance(request.user, Person):
        return request.user
    raise NotSignedIn()


def query_of(shape: type[BaseSerializer[Any]], request: Request) -> dict[str, Any]:
    """What the address asks for besides the page."""
    serializer = shape(data=request.query_params.dict())
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def given_in(shape: type[BaseSerializer[Any]], request: Request) -> dict[str, Any]:
    """The body, read by its shape."""
    serializer = shape(data=request.data)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


class Listed(APIView):
    """The common part of a paged list."""

    pagination_class = Pages

    def page(
        self, request: Request, rows: QuerySet[M], shape: type[BaseSerializer[Any]], **context: Any
    ) -> Response:
        pages = self.pagination_class()
        found = pages.paginate_queryset(rows, request, view=self) or []
        return pages.get_paginated_response(shape(found, many=True, context=context).data)


def answer_saved(
    saved: Any, shape: type[BaseSerializer[Any]], *, created: bool = False, **context: Any
) -> Response:
    """The row as it is now; 202 with what waits where a second person must agree."""
    row = saved.row
    if saved.proposed:
        waiting = shapes.ProposedOut(saved.proposed, many=True).data
        body = {"row": shape(row, context=context).data, "proposed": waiting}
        return Response(body, status=status.HTTP_202_ACCEPTED)
    code = status.HTTP_201_CREATED if created else status.HTTP_200_OK
    return Response(shape(row, context=context).data, status=code)
