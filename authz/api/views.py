"""The decision API as REST views: each hands its request to `answer` as it came.

They authenticate, parse and refuse nothing themselves. What stands here besides is for those who
read OpenAPI.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from authz.api import ext_authz, serializers
from authz.api.answer import answer
from governance.kernel.api import PROBLEM, Problem, StrictJsonParser
from governance.kernel.strict_json import MAX_BYTES


class WhateverIsAccepted(BaseContentNegotiation):
    """Answers JSON, whatever the Accept header says: a 406 helps no enforcement point."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        return next(iter(parsers))

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        first = next(iter(renderers))
        return first, first.media_type or ""


class Wire(APIView):
    """One address of the decision API."""

    authentication_classes = []
    permission_classes = []
    parser_classes = [StrictJsonParser]
    content_negotiation_class = WhateverIsAccepted

    def reply(self, request: Request) -> HttpResponse:
        return _reply(request._request)

    def finalize_response(  # type: ignore[override]
        self, request: Request, response: HttpResponse, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        return response

    def http_method_not_allowed(  # type: ignore[override]
        self, request: Request, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        return self.reply(request)

    def options(  # type: ignore[override]
        self, request: Request, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        return self.reply(request)


def _reply(request: HttpRequest, headers: Mapping[str, str] | None = None) -> HttpResponse:
    if headers is None:
        headers = {name.lower(): value for name, value in request.headers.items()}
    peer = request.META.get("REMOTE_ADDR") or "local"
    status, sent, content = answer(
        request.method or "", request.path, headers, _body(request), peer
    )
    return HttpResponse(content, status=status, headers=sent)


def _body(request: HttpRequest) -> bytes:
    """The body, read no further than to see that it is too long. A broken one counts as none."""
    try:
        return request.read(MAX_BYTES + 1)
    except UnreadablePostError:
        return b""


REQUEST_ID = OpenApiParameter(
    "X-Request-ID", str, OpenApiParameter.HEADER, description="Echoed in the answer."
)
RETRY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="Asked again under the same key, the same question gets the same answer, and "
    "nothing counts twice.",
)
BARE = OpenApiParameter(
    "Muster-Answer",
    str,
    OpenApiParameter.HEADER,
    description="`bare` leaves `context` out of the answer.",
)


def _problem(description: str) -> OpenApiResponse:
    return OpenApiResponse(Problem, description=description)


PROBLEMS = {
    (400, PROBLEM): _problem("The request is not one that can be decided."),
    (401, PROBLEM): _problem("There is no valid token."),
    (503, PROBLEM): _problem("It could not be recorded: there is no decision."),
}
ABOUT_ONE = PROBLEMS | {
    (404, PROBLEM): _problem("No such decision, or another caller's."),
}
SEARCHED = PROBLEMS | {
    (403, PROBLEM): _problem("An agent's own token asks what that agent may do, nothing else."),
}


# The scheme of settings.py. `answer` reads the token: there is no class that could be described.
BEARER: Any = [{"token": []}]


class Evaluation(Wire):
    """May this happen now?"""

    @extend_schema(
        operation_id="access_evaluation",
        tags=["decisions"],
        auth=BEARER,
        parameters=[REQUEST_ID, RETRY, BARE],
        request=serializers.EvaluationRequest,
        responses={
            (200, "application/json"): serializers.EvaluationAnswer,
            (409, PROBLEM): _problem("Another question was asked under this Idempotency-Key."),
            **PROBLEMS,
        },
    )
    def post(self, request: Request) -> HttpResponse:
        """Decide one request. A denial is an answer too: 200 with `decision` false."""
        return self.reply(request)


class Evaluations(Wire):
    """May these happen now?"""

    @extend_schema(
        operation_id="access_evaluations",
        tags=["decisions"],
        auth=BEARER,
        parameters=[REQUEST_ID, BARE],
        request=serializers.EvaluationsRequest,
        responses={(200, "application/json"): serializers.EvaluationsAnswer, **PROBLEMS},
    )
    def post(self, request: Request) -> HttpResponse:
        """Decide several requests in order, with the semantic that `options` names."""
        return self.reply(request)


@extend_schema(exclude=True)
class ExtAuthz(Wire):
    """May this request go through? Asked by proxies, by whatever method they were asked."""

    def reply(self, request: Request) -> HttpResponse:
        plain = request._request
        # Django joins what was said twice; here it must be seen.
        raw = plain.scope["headers"] if isinstance(plain, ASGIRequest) else None
        return _reply(plain, raw if raw is None else ext_authz.headers_of(raw))


@extend_schema(exclude=True)
class ClaudeCodeHook(Wire):
    """May Claude Code use this tool? Asked by its http hook, in its own words."""

    def post(self, request: Request) -> HttpResponse:
        return self.reply(request)


class SubjectSearch(Wire):
    """Who may?"""

    @extend_schema(
        operation_id="access_search_subject",
        tags=["decisions"],
        auth=BEARER,
        parameters=[REQUEST_ID, BARE],
        request=serializers.SubjectSearchRequest,
        responses={(200, "application/json"): serializers.EntitySearchAnswer, **SEARCHED},
    )
    def post(self, request: Request) -> HttpResponse:
        """Find the agents or people that may do this. Asked by gateways."""
        return self.reply(request)


class ResourceSearch(Wire):
    """On what may they?"""

    @extend_schema(
        operation_id="access_search_resource",
        tags=["decisions"],
        auth=BEARER,
        parameters=[REQUEST_ID, BARE],
        request=serializers.ResourceSearchRequest,
        responses={(200, "application/json"): serializers.EntitySearchAnswer, **SEARCHED},
    )
    def post(self, request: Request) -> HttpResponse:
        """Find the registered resources of one type on which this subject may do this."""
        return self.reply(request)


class ActionSearch(Wire):
    """What may they do?"""

    @extend_schema(
        operation_id="access_search_action",
        tags=["decisions"],
        auth=BEARER,
        parameters=[REQUEST_ID, BARE],
        request=serializers.ActionSearchRequest,
        responses={(200, "application/json"): serializers.ActionSearchAnswer, **SEARCHED},
    )
    def post(self, request: Request) -> HttpResponse:
        """Find the tools that this subject may call on this resource."""
        return self.reply(request)


class Metadata(Wire):
    """What this decision point offers, and where."""

    @extend_schema(
        operation_id="access_metadata",
        tags=["decisions"],
        auth=[],
        responses={(200, "application/json"): serializers.Metadata},
    )
    def get(self, request: Request) -> HttpResponse:
        """AuthZEN metadata of this decision point."""
        return self.reply(request)


class OneDecision(Wire):
    """A decision that the caller asked for."""

    @extend_schema(
        operation_id="decision",
        tags=["decisions"],
        auth=BEARER,
        parameters=[REQUEST_ID],
        responses={(200, "application/json"): serializers.DecisionRecord, **ABOUT_ONE},
    )
    def get(self, request: Request, pk: object) -> HttpResponse:
        """What was decided and by which walk of checks, for whoever asked."""
        return self.reply(request)


class DecisionProof(Wire):
    """That a decision stands in the log."""

    @extend_schema(
        operation_id="decision_proof",
        tags=["decisions"],
        auth=BEARER,
        parameters=[REQUEST_ID],
        responses={
            (200, "text/plain"): OpenApiTypes.STR,
            (409, PROBLEM): _problem("It is not sealed yet."),
            **ABOUT_ONE,
        },
    )
    def get(self, request: Request, pk: object) -> HttpResponse:
        """A C2SP tlog-proof that stands alone: the entry, its place, the signed checkpoint."""
        return self.reply(request)


class Outcome(Wire):
    """What became of a decision."""

    @extend_schema(
        operation_id="decision_outcome",
        tags=["decisions"],
        auth=BEARER,
        parameters=[REQUEST_ID],
        request=serializers.OutcomeRequest,
        responses={
            (201, "application/json"): serializers.OutcomeAnswer,
            (409, PROBLEM): _problem("The outcome was reported already."),
            **ABOUT_ONE,
        },
    )
    def post(self, request: Request, pk: object) -> HttpResponse:
        """Report once what the tool returned, what it cost and which records it touched."""
        return self.reply(request)
