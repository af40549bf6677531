"""What is true of every page that a signed-in person asks for."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import SESSION_KEY, logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import reverse
from django.utils import timezone

from governance.kernel.api import PROBLEM, problem
from registry import permissions, selectors
from registry.models import Person
from registry.oidc import factors, staying

Next = Callable[[HttpRequest], HttpResponse]

SECOND_FACTOR = (
    "You may approve for others, so you sign in with a second factor. Set one up to go on."
)
# Where someone without a second factor must still get to.
WITHOUT_IT = ("/accounts/", "/sign-in/", "/welcome", "/static/", "/healthz", "/readyz")


class PersonMiddleware:
    """Signs out who has left, sets the person's time zone, asks approvers for a second factor."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if _has_ended(request):
            logout(request)
        person = request.user
        if not isinstance(person, Person):
            return self.get_response(request)
        if (again := staying.ask_again(request)) is not None:
            return again
        if not isinstance(request.user, Person):
            return self.get_response(request)
        if _lacks_second_factor(request, person):
            return _ask_for_it(request)
        with timezone.override(ZoneInfo(person.zone)):
            return self.get_response(request)


def _lacks_second_factor(request: HttpRequest, person: Person) -> bool:
    """Whether they must set one up first; one that was used at their provider counts."""
    if request.path.startswith(WITHOUT_IT) or factors.is_strong(request, person):
        return False
    return needs_second_factor(person)


def _ask_for_it(request: HttpRequest) -> HttpResponse:
    if request.path.startswith("/api/"):
        body = problem(status_code=403, code="second_factor", detail=SECOND_FACTOR)
        return JsonResponse(body, status=403, content_type=PROBLEM)
    messages.warning(request, SECOND_FACTOR)
    return HttpResponseRedirect(reverse("mfa_index"))


def _has_ended(request: HttpRequest) -> bool:
    """Whether this is the session of someone who may not act, or is not found, any more."""
    if isinstance(request.user, Person):
        return not request.user.may_act
    return SESSION_KEY in request.session


def needs_second_factor(person: Person) -> bool:
    """Whether this person approves for others and has no second factor yet."""
    return (
        settings.MUSTER_APPROVER_MFA
        and permissions.in_group(person, *permissions.APPROVERS)
        and not is_mfa_enabled(person)
        and not selectors.is_demo()
    )
