"""What is refused before any page sees it."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.defaults import bad_request

from governance.kernel.api import PROBLEM, problem

SCIM = "/scim/v2"
SCIM_ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"

Next = Callable[[HttpRequest], HttpResponse]


class NoNul:
    """Answers 400 where an address holds NUL: no name does, and PostgreSQL cannot look for it."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "\0" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            return _refused(request)
        return self.get_response(request)


def _refused(request: HttpRequest) -> HttpResponse:
    if request.path.startswith(SCIM):
        return JsonResponse(
            {"schemas": [SCIM_ERROR], "status": "400", "detail": "The address holds NUL."},
            status=400,
            content_type="application/scim+json",
        )
    if not request.path.startswith("/api/"):
        return bad_request(request, ValueError("NUL"))
    body = problem(status_code=400, code="invalid", detail="The address holds the character NUL.")
    return JsonResponse(body, status=400, content_type=PROBLEM)
