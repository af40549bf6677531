"""The face of the REST API: errors as RFC 9457 problems, strict JSON in, cursor-free paging out."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import IO, Any

from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404
from rest_framework import exceptions, serializers, status
from rest_framework.pagination import PageNumberPagination
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from governance.kernel import clock, strict_json
from governance.kernel.errors import DatabaseUnavailable, GovernanceError, NotAllowed, NotFound

logger = logging.getLogger(__name__)

PROBLEM = "application/problem+json"


class ProblemRenderer(JSONRenderer):
    """Renders problems; listed so that the schema names their media type."""

    media_type = PROBLEM


class Problem(serializers.Serializer[object]):
    """The shape of a problem, for OpenAPI."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField(help_text="Muster's stable word for it.")


class StrictJsonParser(BaseParser):
    """Reads bodies by the rules of `strict_json`."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Any = None,
    ) -> strict_json.JsonValue:
        return strict_json.loads(stream.read(strict_json.MAX_BYTES + 1))


class InstantField(serializers.DateTimeField):
    """A time that calendars can work with; the library's own fails on the first and last days."""

    def enforce_timezone(self, value: datetime) -> datetime:
        if not clock.is_usable(value):
            self.fail("overflow")
        return super().enforce_timezone(value)


class Pages(PageNumberPagination):
    """`?page=` and `?page_size=` (at most 200)."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200


def problem(*, status_code: int, code: str, detail: str, **more: Any) -> dict[str, Any]:
    """An RFC 9457 problem object; `code` is Muster's stable word for it."""
    title = detail.split(". ", 1)[0].rstrip(".")
    return {
        "type": f"urn:muster:problem:{code}",
        "title": title,
        "status": status_code,
        "detail": detail,
        "code": code,
        **more,
    }


def problem_response(error: GovernanceError) -> Response:
    """`error` as an answer."""
    more = {"errors": error.fields} if error.fields else {}
    body = problem(status_code=error.status, code=error.code, detail=error.message, **more)
    return Response(body, status=error.status, content_type=PROBLEM)


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: the tree of `errors`, DRF's own and Django's into one shape."""
    if isinstance(error, GovernanceError):
        return problem_response(error)
    if isinstance(error, Http404):
        return problem_response(NotFound())
    if isinstance(error, PermissionDenied):
        return problem_response(NotAllowed())
    if isinstance(error, exceptions.APIException):
        return _from_rest_framework(error)
    if isinstance(error, OperationalError):
        # It is away, taken over by another, or took us for the loser of two that waited.
        logger.error("The database did not answer.", exc_info=error)
        return problem_response(DatabaseUnavailable())
    return None


def _from_rest_framework(error: exceptions.APIException) -> Response:
    code = str(error.default_code)
    more: dict[str, Any] = {}
    detail = str(error.default_detail)
    if isinstance(error, exceptions.ValidationError):
        code, detail = "invalid", "Some fields are not right."
        more["errors"] = error.detail
    elif isinstance(error.detail, str):
        detail = str(error.detail)
    answer = Response(
        problem(status_code=error.status_code, code=code, detail=detail, **more),
        status=error.status_code,
        content_type=PROBLEM,
    )
    if header := getattr(error, "auth_header", None):
        answer["WWW-Authenticate"] = header
    if error.status_code == status.HTTP_429_TOO_MANY_REQUESTS and getattr(error, "wait", None):
        answer["Retry-After"] = str(int(error.wait))  # type: ignore[attr-defined]
    return answer
