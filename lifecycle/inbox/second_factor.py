"""When the person behind a request last used their second factor, and where they use it again."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode

from allauth.account.authentication import get_authentication_records
from allauth.mfa.utils import is_mfa_enabled
from django.http import HttpRequest
from django.urls import reverse
from rest_framework.request import Request

from registry.models import PersonToken
from registry.oidc import factors
from registry.people import signed_in


def second_factor_at(request: HttpRequest) -> datetime | None:
    """The newest use of a second factor in this session, at sign-in or since; None without one.

    One that was used at the identity provider counts from when it says that it was.
    """
    records = get_authentication_records(request, signed_in(request))
    times = [datetime.fromtimestamp(each["at"], UTC) for each in records if each["method"] == "mfa"]
    outside = factors.strong_at(request)
    return max([*times, outside] if outside else times, default=None)


def proved_at(request: Request) -> datetime | None:
    """The same of a call over REST: a command line has proved what its person's session had."""
    if isinstance(request.auth, PersonToken):
        return request.auth.second_factor_at
    return second_factor_at(request._request)


def confirm_url(request: HttpRequest, back: str) -> str:
    """Where someone confirms that it is still them, and comes back from: here, or the provider."""
    provider = factors.provider_of(request)
    outside = factors.is_strong(request, request.user) or not is_mfa_enabled(request.user)
    if provider and outside:
        question = urlencode({"fresh": "1", "next": back})
        return f"{reverse('oidc_go', args=[provider])}?{question}"
    return f"{reverse('mfa_reauthenticate')}?{urlencode({'next': back})}"
