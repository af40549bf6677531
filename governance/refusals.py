"""What a service refuses, as a page: the sentence of the error and its status, never a 500."""

from __future__ import annotations

from collections.abc import Callable

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from governance.kernel.errors import GovernanceError, NotFound, NotSignedIn


class RefusalPages:
    """Middleware. A view that has a better place for an error catches it itself."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """The page for an error of ours; Django's own for what is not there."""
        if not isinstance(error, GovernanceError):
            return None
        if isinstance(error, NotFound):
            raise Http404 from error
        if isinstance(error, NotSignedIn):
            return None
        context = {"message": error.message, "status": error.status}
        return render(request, "refused.html", context, status=error.status)
