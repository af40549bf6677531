"""Under emergency access every request is recorded, and only what it is for is let through."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import Resolver404, resolve

from governance.kernel import emergency
from governance.kernel.api import PROBLEM, problem
from lifecycle.break_glass import selectors, services
from lifecycle.models import BreakGlass
from registry.models import Person

Next = Callable[[HttpRequest], HttpResponse]
KEY = "break_glass"
OVER = "Your emergency access is over. What was done under it now waits for its review."
SAFE = ("GET", "HEAD", "OPTIONS")
# What may be sent; everything else may only be looked at.
MAY_SEND = frozenset(
    {
        "agent_suspend", "api_agent_suspend", "suspend_many", "break_glass_end",
        "account_logout", "record_payload",
    }
)  # fmt: skip
# Looking at these does something.
MAY_NOT_LOOK = ("/accounts/", "/sign-in/", "/welcome")


class EmergencyAccess:
    """Ends it by the database's time, marks what is recorded, refuses what it is not for."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        key = request.session.get(KEY)
        if not key:
            return self.get_response(request)
        person = request.user
        used = selectors.running(key, person) if isinstance(person, Person) else None
        if used is None:
            return _over(request)
        with emergency.under(services.emergency_of(used)):
            return self._within(request, used)

    def _within(self, request: HttpRequest, used: BreakGlass) -> HttpResponse:
        method = str(request.method)
        services.note_request(used, method=method, place=request.path)
        if not _is_for_it(request):
            return _refused(request)
        return self.get_response(request)


def _is_for_it(request: HttpRequest) -> bool:
    try:
        name = resolve(request.path_info).view_name
    except Resolver404:
        return request.method in SAFE
    if name in MAY_SEND:
        return True
    return request.method in SAFE and not request.path.startswith(MAY_NOT_LOOK)


def _over(request: HttpRequest) -> HttpResponse:
    logout(request)
    if request.path.startswith("/api/"):
        body = problem(status_code=401, code="not_signed_in", detail=OVER)
        return JsonResponse(body, status=401, content_type=PROBLEM)
    messages.warning(request, OVER)
    return redirect("account_login")


def _refused(request: HttpRequest) -> HttpResponse:
    if request.path.startswith("/api/"):
        body = problem(status_code=403, code="emergency", detail=emergency.REFUSED)
        return JsonResponse(body, status=403, content_type=PROBLEM)
    return render(
        request, "lifecycle/break_glass/refused.html", {"why": emergency.REFUSED}, status=403
    )
